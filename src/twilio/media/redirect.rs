//! Permitted targets of redirects, and the permission to send credentials there. Pure.
//!
//! Clients that follow redirects blindly have leaked Twilio credentials to strangers and fetched
//! from their own internal network. Therefore each hop is checked anew, by URL.

use reqwest::{StatusCode, Url};

use crate::twilio::{
    account::{Endpoints, is_confidential},
    fetch_error::FetchRefusal,
};

/// Whether the `Location` of a status is followed. For a GET, these statuses have the same meaning.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns the next URL: confidential, without user and password, on the interface or on a listed
/// host.
pub(super) fn target(
    endpoints: &Endpoints,
    from: &Url,
    location: Option<&str>,
) -> Result<Url, FetchRefusal> {
    let to = location
        .and_then(|text| from.join(text).ok())
        .ok_or(FetchRefusal::Location)?;
    let host = to.host_str().ok_or(FetchRefusal::Location)?;
    // A user in the URL would become an unintended Authorization header.
    if !to.username().is_empty() || to.password().is_some() {
        return Err(FetchRefusal::Location);
    }
    let listed = is_interface(endpoints, &to)
        || endpoints
            .redirect_hosts
            .iter()
            .any(|allowed| allowed == host);
    if !listed || !is_confidential(&to) {
        return Err(FetchRefusal::ForeignHost {
            host: host.to_owned(),
        });
    }
    Ok(to)
}

/// Whether the account's credential may be sent to `to`: only to `path` (the recording) at the
/// interface, with or without a suffix.
pub(super) fn may_carry_credential(endpoints: &Endpoints, path: &str, to: &Url) -> bool {
    let is_recording = to
        .path()
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && !rest.contains('/')));
    is_interface(endpoints, to) && is_recording
}

/// Whether scheme, host and port are those of the interface.
fn is_interface(endpoints: &Endpoints, to: &Url) -> bool {
    to.origin() == endpoints.api_base.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/2010-04-01/Accounts/AC0/Recordings/RE0";

    fn endpoints(base: &str) -> Endpoints {
        Endpoints {
            api_base: base.parse().unwrap(),
            intelligence_base: base.parse().unwrap(),
            redirect_hosts: vec!["cdn.example.com".into(), "127.0.0.1".into()],
            buckets: [].into(),
        }
    }

    fn lead(location: &str) -> Result<String, FetchRefusal> {
        let endpoints = endpoints("https://api.twilio.com");
        let from = endpoints
            .api_base
            .join(&format!("{PATH}.wav?RequestedChannels=2"))
            .unwrap();
        target(&endpoints, &from, Some(location)).map(String::from)
    }

    #[test]
    fn listed_hosts_and_the_interface_are_followed_over_tls() {
        assert_eq!(
            lead("https://cdn.example.com/x?sig=1").unwrap(),
            "https://cdn.example.com/x?sig=1"
        );
        assert_eq!(
            lead("https://CDN.example.com:8443/x").unwrap(),
            "https://cdn.example.com:8443/x"
        );
        assert_eq!(lead("/other").unwrap(), "https://api.twilio.com/other");
        assert_eq!(
            lead("//cdn.example.com/x").unwrap(),
            "https://cdn.example.com/x"
        );
        assert_eq!(
            lead("http://127.0.0.1:9/x").unwrap(),
            "http://127.0.0.1:9/x"
        );
    }

    #[test]
    fn everything_else_is_not() {
        let foreign = |host: &str| Err(FetchRefusal::ForeignHost { host: host.into() });
        assert_eq!(lead("https://evil.example/"), foreign("evil.example"));
        assert_eq!(
            lead("https://cdn.example.com.evil.example/"),
            foreign("cdn.example.com.evil.example")
        );
        assert_eq!(
            lead("https://evil.api.twilio.com/"),
            foreign("evil.api.twilio.com")
        );
        assert_eq!(
            lead("https://api.twilio.com:8443/"),
            foreign("api.twilio.com")
        );
        assert_eq!(lead("http://cdn.example.com/x"), foreign("cdn.example.com"));
        assert_eq!(lead("http://api.twilio.com/x"), foreign("api.twilio.com"));
        assert_eq!(
            lead("https://169.254.169.254/latest/meta-data"),
            foreign("169.254.169.254")
        );
        assert_eq!(
            lead("https://user:pass@cdn.example.com/x"),
            Err(FetchRefusal::Location)
        );
        assert_eq!(
            lead("https://user@api.twilio.com/x"),
            Err(FetchRefusal::Location)
        );
        assert_eq!(lead("file:///etc/passwd"), Err(FetchRefusal::Location));
        assert_eq!(lead("https://"), Err(FetchRefusal::Location));
        let endpoints = endpoints("https://api.twilio.com");
        assert_eq!(
            target(&endpoints, &endpoints.api_base, None),
            Err(FetchRefusal::Location)
        );
    }

    #[test]
    fn the_credential_goes_to_this_recording_at_the_interface_only() {
        let endpoints = endpoints("https://api.twilio.com");
        let may = |url: &str| may_carry_credential(&endpoints, PATH, &url.parse().unwrap());
        for good in ["", ".wav", ".wav?RequestedChannels=2", "?x"] {
            assert!(
                may(&format!("https://api.twilio.com{PATH}{good}")),
                "{good}"
            );
        }
        assert!(may(&format!("https://api.twilio.com:443{PATH}.wav")));
        for bad in [
            format!("http://api.twilio.com{PATH}.wav"),
            format!("https://api.twilio.com:8443{PATH}.wav"),
            format!("https://cdn.example.com{PATH}.wav"),
            format!("https://api.twilio.com{PATH}0.wav"),
            format!("https://api.twilio.com{PATH}/../RE1.wav"),
            format!("https://api.twilio.com{PATH}./x"),
            format!("https://api.twilio.com{PATH}/Transcriptions"),
            "https://api.twilio.com/".into(),
        ] {
            assert!(!may(&bad), "{bad}");
        }
    }
}
