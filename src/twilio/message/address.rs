//! One end of a message, as Twilio names it.
//!
//! Owns the reading of the channel prefix. Refuses to decide who is a person.
//!
//! INVARIANT: `Debug` shows nothing of it.

use std::{convert::Infallible, str::FromStr};

use crate::{model::subject::Address, twilio::personal::PersonalText};

/// A number, short code, sender name, `whatsapp:` number or `whatsapp:` user identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAddress {
    raw: PersonalText,
    address: Option<Address>,
}

impl MessageAddress {
    /// Reads an address in any of Twilio's forms.
    pub fn parse(raw: &str) -> Self {
        Self {
            raw: raw.into(),
            address: raw.parse().ok(),
        }
    }

    /// Returns the text as Twilio sent it, only for a seal, a keyed hash or a request to Twilio.
    pub fn expose(&self) -> &str {
        self.raw.expose()
    }

    /// Returns the typed address; `None` for a short code, a name or any other form.
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// Returns the channel, such as `whatsapp` or `rcs`; `None` for SMS and MMS.
    pub fn channel(&self) -> Option<&str> {
        let (channel, _) = self.expose().split_once(':')?;
        let is_word = !channel.is_empty() && channel.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_word.then_some(channel)
    }

    /// Returns the identifier of a WhatsApp user who hides their number: country, dot, and up to
    /// 128 letters and digits. It changes with the user's number.
    pub fn external_user_id(&self) -> Option<&str> {
        self.address()?.expose().strip_prefix("whatsapp:")
    }
}

impl FromStr for MessageAddress {
    type Err = Infallible;

    fn from_str(raw: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(raw))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_is_read_for_what_it_is() {
        for (raw, number, channel, user) in [
            ("+15005550001", true, None, None),
            ("whatsapp:+15005550001", true, Some("whatsapp"), None),
            (
                "whatsapp:US.ABC123XYZ",
                true,
                Some("whatsapp"),
                Some("US.ABC123XYZ"),
            ),
            ("WhatsApp:DE.1", true, Some("WhatsApp"), Some("DE.1")),
            ("whatsapp:us.ABC", false, Some("whatsapp"), None),
            ("whatsapp:US.", false, Some("whatsapp"), None),
            ("whatsapp:US.A-B", false, Some("whatsapp"), None),
            ("messenger:US.ABC", false, Some("messenger"), None),
            ("12345", false, None, None),
            ("ACME", false, None, None),
            ("", false, None, None),
        ] {
            let read = MessageAddress::parse(raw);
            assert_eq!(read.address().is_some(), number, "{raw}");
            assert_eq!(
                (read.channel(), read.external_user_id()),
                (channel, user),
                "{raw}"
            );
            assert_eq!(read.expose(), raw);
        }
    }

    #[test]
    fn it_is_not_printed() {
        let printed = format!("{:?}", MessageAddress::parse("whatsapp:+15005550001"));
        assert!(
            !printed.contains("1500") && !printed.contains("whatsapp"),
            "{printed}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_an_address(raw in "\\PC{0,40}|(whatsapp|rcs):.{0,20}") {
            let read = MessageAddress::parse(&raw);
            prop_assert_eq!(read.expose(), &raw);
            let _ = (read.channel(), read.external_user_id());
        }
    }
}
