//! People across recordings: the addresses by which they are known, and the places they have in a conversation.
//!
//! INVARIANT: an address is never printed. What leaves this type is the text that a keyed hash is made of, asked for by name.

use std::{fmt, str::FromStr};

use super::sid::{CallSid, ConferenceSid, InvalidSid};

/// How one person is reached: a telephone number in E.164 (ITU-T), or an address that is none (`sip:…`, `client:…`), in one spelling.
/// Zeroed when it is dropped.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, zeroize::ZeroizeOnDrop)]
pub struct Address(String);

/// Why a text is nobody's address. It does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number in international form, like `+493012345678`, and no `sip:` or `client:` address")]
pub struct InvalidAddress;

impl Address {
    /// Reads an address as people and systems write it. White space, brackets, dots and dashes in a number do not matter; it must begin with `+` and a country code, and
    /// have 7 to 15 digits.
    ///
    /// # Errors
    /// [`InvalidAddress`]; also for what Twilio sends in place of a number that is withheld (`anonymous`, `+266696687`, …).
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text.len() > 256 || WITHHELD.iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Err(InvalidAddress);
        }
        for scheme in ["sip:", "client:"] {
            let Some((head, rest)) = text.split_at_checked(scheme.len()) else { continue };
            if head.eq_ignore_ascii_case(scheme) {
                // Parameters of a SIP URI are about this call, not about the person (RFC 3261, section 19.1.1).
                let rest = rest.split([';', '?']).next().unwrap_or_default();
                let fits = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic());
                return if fits { Ok(Self(format!("{scheme}{}", rest.to_ascii_lowercase()))) } else { Err(InvalidAddress) };
            }
        }
        // The reader of numbers would pass over what follows one; an extension is not the person's number any more.
        let rest = text.strip_prefix('+').ok_or(InvalidAddress)?;
        if !rest.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "()-./".contains(c)) {
            return Err(InvalidAddress);
        }
        let number = phonenumber::parse(None, text).map_err(|_| InvalidAddress)?;
        let number = number.format().mode(phonenumber::Mode::E164).to_string();
        let fits =
            number.strip_prefix('+').is_some_and(|digits| DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        if fits && !WITHHELD.contains(&number.as_str()) { Ok(Self(number)) } else { Err(InvalidAddress) }
    }

    /// The one spelling, for a keyed hash or a seal and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How many digits a number has with its country code: at most 15 (ITU-T E.164); the shortest that anybody has are of islands with four digits of their own.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// What Twilio says instead of a number that it may not tell (<https://www.twilio.com/docs/voice/twiml#request-parameters>): words, and the digits that
/// these words have on a keypad.
const WITHHELD: [&str; 10] =
    ["anonymous", "restricted", "blocked", "unknown", "unavailable", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        Self::parse(text)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What people take part in: a call or a conference, by the source's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(untagged)]
pub enum Conversation {
    /// A call.
    Call(CallSid),
    /// A conference.
    Conference(ConferenceSid),
}

impl Conversation {
    /// The source's id as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Call(sid) => sid.as_str(),
            Self::Conference(sid) => sid.as_str(),
        }
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Conversation {
    type Err = InvalidSid;

    fn from_str(text: &str) -> Result<Self, InvalidSid> {
        text.parse().map(Self::Call).or_else(|error| text.parse().map(Self::Conference).map_err(|_| error))
    }
}

impl<'de> serde::Deserialize<'de> for Conversation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One participant, as a conversation knows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Party {
    /// Their place, as the application calls it: `caller`, `callee`, or a channel number.
    pub leg: super::name::LegName,
    /// Who they are; `None` for somebody who is not known.
    pub subject: Option<super::id::SubjectId>,
    /// On which channel of a recording with two they are heard, 1 or 2; `None`: not known, or not on one alone.
    pub channel: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_spelling() {
        for text in ["+49 30 123456-78", "+493012345678", " +49 (30) 12345678 "] {
            assert_eq!(Address::parse(text).unwrap().expose(), "+493012345678", "{text}");
        }
        assert_eq!(Address::parse("SIP:Alice@Example.com;transport=tls").unwrap().expose(), "sip:alice@example.com");
        assert_eq!(Address::parse("client:Agent_7").unwrap().expose(), "client:agent_7");
    }

    #[test]
    fn what_is_nobodys_is_refused_and_not_repeated() {
        for text in [
            "",
            "anonymous",
            "Anonymous",
            "RESTRICTED",
            "+266696687",
            "+266 696 687",
            "+256-2533",
            "030 12345678",
            "+",
            "+1",
            "+12345",
            "sip:",
            "client:",
            "sip:a b",
            "client:\u{e9}",
            "hello",
            "+49301234567890123456",
            "+49 30 12345678 ext. 5",
            "+49 30 12345678, Anna",
            "+49 30 \u{661}2345678",
            "tel:+493012345678",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(text.len() < 8 || !error.to_string().contains(text), "{text}");
        }
        assert_eq!(format!("{:?}", Address::parse("+493012345678").unwrap()), "Address");
    }

    #[test]
    fn a_conversation_is_a_call_or_a_conference() {
        let zeros = "0".repeat(32);
        for text in [format!("CA{zeros}"), format!("CF{zeros}")] {
            assert_eq!(text.parse::<Conversation>().unwrap().as_str(), text);
        }
        assert!(format!("RE{zeros}").parse::<Conversation>().is_err());
    }
}
