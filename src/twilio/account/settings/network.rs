//! Where Twilio is reached, whom it may redirect to, and how long it may take.

use std::time::Duration;

use url::{Host, Url};

use crate::twilio::account::{faults::SettingFaults, is_confidential};

pub(super) fn base_url(key: &str, text: &str, faults: &mut SettingFaults) -> Url {
    let parsed = Url::parse(text).ok().filter(|url| {
        is_confidential(url)
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    parsed.unwrap_or_else(|| {
        faults.add(key, "expected scheme and host only, https (http is for this machine), such as `https://api.twilio.com`");
        // Never used: a fault refuses the settings as a whole.
        Url::parse("https://invalid.invalid").expect("a constant URL parses")
    })
}

pub(super) fn redirect_host(text: &str, at: usize, faults: &mut SettingFaults) -> Option<String> {
    match Host::parse(text) {
        Ok(host) => Some(host.to_string()),
        Err(_) => {
            faults.add(
                format!("twilio.media_redirect_hosts[{at}]"),
                "expected a host name alone, without scheme, port or path",
            );
            None
        }
    }
}

pub(super) fn timeout(key: &str, millis: u64, faults: &mut SettingFaults) -> Duration {
    if !matches!(millis, 1..=3_600_000) {
        faults.add(key, "expected 1 to 3600000 milliseconds");
    }
    Duration::from_millis(millis)
}
