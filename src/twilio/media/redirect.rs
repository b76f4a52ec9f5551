//! Permitted targets of redirects, and the permission to send credentials there. Pure.
//!
//! Clients that follow redirects blindly have leaked Twilio credentials to strangers and fetched
//! from their own internal network. Therefore each hop is checked anew, by URL.

use reqwest::{StatusCode, Url};

use crate::twilio::{account::is_confidential, fetch_error::FetchRefusal};

/// A file at one of Twilio's interfaces, and the hosts to which it may be redirected.
pub(super) struct MediaOrigin<'a> {
    /// The interface's root.
    pub(super) interface: &'a Url,
    /// The file's path at the interface, without a suffix.
    pub(super) path: String,
    /// The hosts of the settings.
    pub(super) listed: &'a [String],
    /// Whether Twilio is known to store files of this kind at a host.
    pub(super) is_known: fn(&str) -> bool,
}

/// Whether the `Location` of a status is followed. For a GET, these statuses have the same meaning.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns the next URL: confidential, without user and password, on the interface or on a listed
/// host.
pub(super) fn target(
    origin: &MediaOrigin<'_>,
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
    let listed = is_interface(origin, &to)
        || (origin.is_known)(host)
        || origin.listed.iter().any(|allowed| allowed == host);
    if !listed || !is_confidential(&to) {
        return Err(FetchRefusal::ForeignHost {
            host: host.to_owned(),
        });
    }
    Ok(to)
}

/// Whether the account's credential may be sent to `to`: only to the file's
/// path at the interface, with or without a suffix.
pub(super) fn may_carry_credential(origin: &MediaOrigin<'_>, to: &Url) -> bool {
    let is_recording = to
        .path()
        .strip_prefix(&origin.path)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && !rest.contains('/')));
    is_interface(origin, to) && is_recording
}

/// Whether scheme, host and port are those of the interface.
fn is_interface(origin: &MediaOrigin<'_>, to: &Url) -> bool {
    to.origin() == origin.interface.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/2010-04-01/Accounts/AC0/Recordings/RE0";

    fn with_origin<T>(run: impl FnOnce(&MediaOrigin<'_>) -> T) -> T {
        run(&MediaOrigin {
            interface: &"https://api.twilio.com".parse().unwrap(),
            path: PATH.to_owned(),
            listed: &["cdn.example.com".into(), "127.0.0.1".into()],
            is_known: |host| host == "known.example",
        })
    }

    fn lead(location: &str) -> Result<String, FetchRefusal> {
        with_origin(|origin| {
            let from = origin
                .interface
                .join(&format!("{PATH}.wav?RequestedChannels=2"))
                .unwrap();
            target(origin, &from, Some(location)).map(String::from)
        })
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
            lead("https://known.example/x").unwrap(),
            "https://known.example/x"
        );
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
        assert_eq!(lead("http://known.example/x"), foreign("known.example"));
        assert_eq!(
            with_origin(|origin| target(origin, origin.interface, None)),
            Err(FetchRefusal::Location)
        );
    }

    #[test]
    fn the_credential_goes_to_this_recording_at_the_interface_only() {
        let may =
            |url: &str| with_origin(|origin| may_carry_credential(origin, &url.parse().unwrap()));
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
