//! `[twilio.consent]`: the continuation of a call after the question of consent.
//!
//! Owns the keys and every check of them. Refuses to know the question.

use url::Url;

use super::{faults::TableFaults, is_confidential};
use crate::{model::subject::Address, twilio::twiml::Endpoint};

/// `[twilio.consent]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentSettings {
    /// The URL of the application's own TwiML, with which the call continues.
    pub connect_url: Option<String>,
    /// The callee: a number in E.164, `sip:…` or `client:…`.
    pub connect_to: Option<String>,
    /// Whether the callee is asked too before a recording begins. Without it: where recording is
    /// based on consent.
    pub ask_callee: Option<bool>,
}

/// The continuation of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connect {
    /// Other TwiML.
    Url(Url),
    /// A dialled callee.
    To {
        /// The callee's endpoint.
        endpoint: Endpoint,
        /// The callee's address in the vault, if there is one.
        address: Option<Address>,
        /// Whether the callee is asked too. `None`: where recording is based on consent.
        ask: Option<bool>,
    },
}

impl ConsentSettings {
    /// Whether a continuation is configured.
    pub fn goes_on(&self) -> bool {
        self.connect_url.is_some() || self.connect_to.is_some()
    }

    pub(super) fn resolve(&self, faults: &mut TableFaults<'_>) -> Option<Connect> {
        if self.ask_callee.is_some() && self.connect_to.is_none() {
            faults.add(
                "ask_callee",
                "needs `connect_to`; your own TwiML asks the callee through its `<Number url>`",
            );
        }
        match (&self.connect_url, &self.connect_to) {
            (Some(_), Some(_)) => {
                faults.add("connect_to", "given beside `connect_url`; keep one of them");
                None
            }
            (Some(url), None) => {
                let parsed = Url::parse(url).ok().filter(|url| {
                    is_confidential(url)
                        && url.username().is_empty()
                        && url.password().is_none()
                        && url.fragment().is_none()
                });
                if parsed.is_none() {
                    faults.add(
                        "connect_url",
                        "expected the URL of TwiML, https (http is for this machine), without user, password and fragment",
                    );
                }
                parsed.map(Connect::Url)
            }
            (None, Some(to)) => {
                let found = endpoint(to);
                if found.is_none() {
                    faults.add(
                        "connect_to",
                        "expected a number like `+493012345678`, `sip:…` or `client:…`",
                    );
                }
                found.map(|(endpoint, address)| Connect::To {
                    endpoint,
                    address,
                    ask: self.ask_callee,
                })
            }
            (None, None) => None,
        }
    }
}

/// Returns the endpoint as it is dialled, with its parameters and case, and its canonical address.
fn endpoint(text: &str) -> Option<(Endpoint, Option<Address>)> {
    let address: Address = text.parse().ok()?;
    let endpoint = match text.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("sip") => Endpoint::Sip(text.to_owned()),
        Some((_, identity)) => Endpoint::Client(identity.to_owned()),
        None => Endpoint::Number(address.expose().to_owned()),
    };
    Some((endpoint, Some(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::account::faults::{SettingFault, SettingFaults};

    fn resolved(toml: &str) -> Result<Option<Connect>, Vec<String>> {
        let settings: ConsentSettings = toml::from_str(toml).unwrap();
        let mut faults = SettingFaults::default();
        let connect = settings.resolve(&mut faults.at("twilio.consent"));
        let keys = |faults: Vec<SettingFault>| faults.into_iter().map(|fault| fault.key).collect();
        faults.or(connect).map_err(keys)
    }

    #[test]
    fn a_call_goes_on_with_a_document_or_with_somebody() {
        assert_eq!(resolved(""), Ok(None));
        let url = "https://app.example.com/voice?line=1&x=y";
        assert_eq!(
            resolved(&format!("connect_url = '{url}'")),
            Ok(Some(Connect::Url(url.parse().unwrap())))
        );
        for (to, dialled) in [
            ("+49 30 23125-001", Endpoint::Number("+493023125001".into())),
            (
                "sip:Desk@example.com;transport=tls",
                Endpoint::Sip("sip:Desk@example.com;transport=tls".into()),
            ),
            ("client:Agent_7", Endpoint::Client("Agent_7".into())),
        ] {
            let Ok(Some(Connect::To {
                endpoint,
                address,
                ask,
            })) = resolved(&format!("connect_to = '{to}'\nask_callee = true"))
            else {
                panic!("{to}")
            };
            assert_eq!((endpoint, ask), (dialled, Some(true)));
            assert_eq!(address, to.parse().ok());
        }
    }

    #[test]
    fn what_leads_nowhere_is_a_fault() {
        for (toml, key) in [
            ("connect_url = 'http://app.example.com/'", "connect_url"),
            (
                "connect_url = 'https://user:pass@app.example.com/'",
                "connect_url",
            ),
            ("connect_url = '/voice'", "connect_url"),
            ("connect_to = 'anonymous'", "connect_to"),
            ("connect_to = '030 1234567'", "connect_to"),
            (
                "connect_to = '+493012345678'\nconnect_url = 'https://a.example'",
                "connect_to",
            ),
            ("ask_callee = true", "ask_callee"),
        ] {
            assert_eq!(
                resolved(toml),
                Err(vec![format!("twilio.consent.{key}")]),
                "{toml}"
            );
        }
        assert!(toml::from_str::<ConsentSettings>("connect = 'x'").is_err());
    }

    #[test]
    fn who_is_dialled_is_not_printed() {
        let connect = resolved("connect_to = '+493012345678'").unwrap();
        assert!(!format!("{connect:?}").contains("4930"), "{connect:?}");
    }
}
