//! Checks of base URLs, redirect hosts and time-outs.

use std::{ops::RangeInclusive, time::Duration};

use url::{Host, Url};

use super::{faults::TableFaults, is_confidential};

pub(super) fn base_url(key: &str, text: &str, faults: &mut TableFaults<'_>) -> Url {
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

pub(super) fn redirect_host(text: &str, at: usize, faults: &mut TableFaults<'_>) -> Option<String> {
    match Host::parse(text) {
        Ok(host) => Some(host.to_string()),
        Err(_) => {
            faults.add(
                format_args!("media_redirect_hosts[{at}]"),
                "expected a host name alone, without scheme, port or path",
            );
            None
        }
    }
}

/// The range of a time-out, milliseconds.
const TIMEOUT_MS: RangeInclusive<u64> = 1..=3_600_000;

pub(super) fn timeout(key: &str, millis: u64, faults: &mut TableFaults<'_>) -> Duration {
    faults.check_range(key, &millis, &TIMEOUT_MS, "milliseconds");
    Duration::from_millis(millis)
}
