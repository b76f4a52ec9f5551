//! People across recordings: their addresses, and their legs in a conversation.
//!
//! INVARIANT: an address is never printed. Only explicitly named methods expose its text, for a
//! keyed hash or a seal.

mod conversation;
mod conversation_kind;
mod identity;
mod message_thread;
mod number;
mod party_scope;

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use unicode_normalization::UnicodeNormalization as _;

pub use self::{
    conversation::{Conversation, UnknownConversation},
    conversation_kind::ConversationKind,
    message_thread::ThreadId,
    party_scope::{InvalidPartyScope, PartyScope},
};

use self::identity::{CHAT, address_of_identity, chat_identity, client_of, person_of_identity};
use super::{folding::visible, time::Timestamp};

/// One person's address: a telephone number in E.164 (ITU-T), or another address (`sip:…`,
/// `client:…`, `chat:…` for an identity as a chat shows it) in one spelling.
///
/// It is stored as given, and zeroed when it is dropped. Two addresses are equal if they lead to the
/// same person: `+5215512345678` and `+525512345678`, `chat:Dave` and `client:dave`.
#[derive(Clone, zeroize::ZeroizeOnDrop, serde_with::DeserializeFromStr)]
pub struct Address {
    told: String,
    /// The canonical form, if it differs from the given one.
    person: Option<String>,
}

impl utoipa::ToSchema for Address {}

impl utoipa::PartialSchema for Address {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        super::schema::text(
            "A telephone number in international form, an address with `sip:` or `client:`, a WhatsApp user's identifier, or an identity with `chat:`, which may also have letters beyond ASCII. `client:` and `chat:` before the same identity are one person.",
            r"^(\+[1-9][0-9]{5,14}|(sip|client):[!-:<->@-~]{1,240}|whatsapp:[A-Z]{2}\.[A-Za-z0-9]{1,128}|chat:[!-~]([ -~]{0,238}[!-~])?)$".into(),
            "+493012345678".into(),
        )
    }
}

/// Why a text is not an address. The error does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a telephone number in international form, like `+493012345678`, and no `sip:`, `client:`, `whatsapp:` or `chat:` address"
)]
pub struct InvalidAddress;

impl Address {
    /// Parses an address as people and systems write it. White space, brackets, dots, dashes and
    /// invisible characters in a number are ignored; it must begin with `+` and a country code, and
    /// have 6 to 15 digits. A number in E.164 is kept digit for digit.
    ///
    /// # Errors
    /// [`InvalidAddress`]; also for Twilio's placeholders of a withheld number (`anonymous`,
    /// `+266696687`, …).
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if text.len() > 256 {
            return Err(InvalidAddress);
        }
        // Unchanged: an identity that only looks like another one belongs to another person.
        for scheme in ["sip:", "client:"] {
            let Some((head, rest)) = text.trim().split_at_checked(scheme.len()) else {
                continue;
            };
            if head.eq_ignore_ascii_case(scheme) {
                // Parameters of a SIP URI belong to this call, not to the person (RFC 3261, section
                // 19.1.1).
                let rest = rest.split([';', '?']).next().unwrap_or_default();
                let fits = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic());
                let told = format!("{scheme}{}", rest.to_ascii_lowercase());
                return if fits {
                    Ok(Self { told, person: None })
                } else {
                    Err(InvalidAddress)
                };
            }
        }
        if let Some(told) = whatsapp_user(text.trim()) {
            return Ok(Self { told, person: None });
        }
        if let Some(identity) = chat_identity(text.trim()) {
            return Ok(Self {
                told: format!("{CHAT}{identity}"),
                person: Some(person_of_identity(identity)),
            });
        }
        // Telephones copy a number with direction marks around it, and some keyboards produce
        // full-width digits.
        let text: String = visible(text).nfkc().collect();
        let text = text.trim();
        if WITHHELD.iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Err(InvalidAddress);
        }
        let digits = number::read(without_channel(text)).ok_or(InvalidAddress)?;
        let person = Some(number::person(&digits))
            .filter(|person| *person != digits)
            .map(|person| format!("+{person}"));
        let told = format!("+{digits}");
        if WITHHELD.contains(&told.as_str()) {
            Err(InvalidAddress)
        } else {
            Ok(Self { told, person })
        }
    }

    /// Parses how a chat names a person: by an address, or by an identity that the application chose.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn of_chat(text: &str) -> Result<Self, InvalidAddress> {
        Self::parse(text).or_else(|_| Self::parse(&format!("{CHAT}{}", text.trim())))
    }

    /// Parses the identity that an application gives a person in a token of the source. The same
    /// identity in calls and rooms is one person: the address `client:`, with `%` and two hex
    /// digits for whatever an address cannot contain. An identity that is a telephone number, or an
    /// address with a scheme, is that address.
    ///
    /// # Errors
    /// [`InvalidAddress`] for an empty identity, and for one that is too long.
    pub fn of_identity(identity: &str) -> Result<Self, InvalidAddress> {
        match address_of_identity(identity) {
            Some(known) => Ok(known),
            None => Self::parse(&client_of(identity)),
        }
    }

    /// Returns the address as given, in one spelling: only for a seal, or to contact the person.
    pub fn expose(&self) -> &str {
        &self.told
    }

    /// Returns the canonical form, the same for each spelling of one person: only for a keyed hash.
    pub fn expose_person(&self) -> &str {
        self.person.as_deref().unwrap_or(&self.told)
    }
}

/// Returns the identifier of a WhatsApp user who hides their number, in one spelling: two letters of
/// a country, a dot, and 1 to 128 letters and digits. Identifiers differ by their case.
fn whatsapp_user(text: &str) -> Option<String> {
    let (channel, rest) = text.split_once(':')?;
    let (country, user) = rest.split_once('.')?;
    let is_user = channel.eq_ignore_ascii_case("whatsapp")
        && country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && matches!(user.len(), 1..=128)
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_user.then(|| format!("whatsapp:{rest}"))
}

/// Removes the channel prefix: on WhatsApp and RCS, a person's address is their number.
fn without_channel(text: &str) -> &str {
    let number = |channel: &str| {
        text.split_at_checked(channel.len())
            .filter(|(head, _)| head.eq_ignore_ascii_case(channel))
    };
    ["whatsapp:", "rcs:"]
        .into_iter()
        .find_map(number)
        .map_or(text, |(_, number)| number)
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.expose_person() == other.expose_person()
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.expose_person().cmp(other.expose_person())
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose_person().hash(state);
    }
}

/// Twilio's placeholders for a withheld number
/// (<https://www.twilio.com/docs/voice/twiml#request-parameters>): words, and their digits on a
/// keypad.
const WITHHELD: [&str; 10] = [
    "anonymous",
    "restricted",
    "blocked",
    "unknown",
    "unavailable",
    "+266696687",
    "+7378742833",
    "+2562533",
    "+8656696",
    "+86282452253",
];

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

/// One participant of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Party {
    /// Their leg, as the application names it: `caller`, `callee`, or a channel number.
    pub leg: super::name::LegName,
    /// The person; `None` if unknown.
    pub subject: Option<super::id::SubjectId>,
    /// Their channel in a recording with two, 1 or 2; `None` if it is unknown or not one channel
    /// alone.
    pub channel: Option<u8>,
    /// In a chat, when they were there; always, elsewhere.
    #[serde(flatten)]
    pub presence: Presence,
}

/// When a participant was in a chat. What is not known has no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Presence {
    /// When they joined, to the second, rounded down: Twilio's lists have no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<Timestamp>,
    /// When they left, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
}

impl Presence {
    /// No time: of who wrote something, and received nothing.
    pub const NEVER: Self = Self {
        joined_at: None,
        left_at: Some(Timestamp::from_millis(0)),
    };

    /// Without bounds.
    pub const ALWAYS: Self = Self {
        joined_at: None,
        left_at: None,
    };

    /// Returns whether it includes this time.
    pub fn includes(self, at: Timestamp) -> bool {
        self.joined_at.is_none_or(|joined| joined <= at)
            && self.left_at.is_none_or(|left| at <= left)
    }

    /// Returns what both accounts of one participant say together, in either order.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            joined_at: self.joined_at.into_iter().chain(other.joined_at).min(),
            left_at: self.left_at.into_iter().chain(other.left_at).max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_spelling() {
        for text in [
            "+49 30 123456-78",
            "+493012345678",
            " +49 (30) 12345678 ",
            "\u{202a}+49 30 12345678\u{202c}",
            "＋４９３０１２３４５６７８",
        ] {
            assert_eq!(
                Address::parse(text).unwrap().expose(),
                "+493012345678",
                "{text}"
            );
        }
        assert_eq!(
            Address::parse("SIP:Alice@Example.com;transport=tls")
                .unwrap()
                .expose(),
            "sip:alice@example.com"
        );
        assert_eq!(
            Address::parse("client:Agent_7").unwrap().expose(),
            "client:agent_7"
        );
    }

    #[test]
    fn both_spellings_of_a_line_are_kept_as_told_and_are_one_person() {
        let [told, other] = ["whatsapp:+5215512345678", "+52 55 1234 5678"]
            .map(|text| Address::parse(text).unwrap());
        assert_eq!(
            (told.expose(), other.expose()),
            ("+5215512345678", "+525512345678")
        );
        assert_eq!(told, other);
        assert_eq!(told.expose_person(), other.expose_person());
        assert_eq!(std::collections::HashSet::from([told, other]).len(), 1);
        assert_ne!(
            Address::parse("+525512345678").unwrap(),
            Address::parse("+525512345679").unwrap()
        );
    }

    #[test]
    fn a_whatsapp_user_without_a_number_is_somebody() {
        let user = Address::parse("WhatsApp:US.ABC123xyz").unwrap();
        assert_eq!(user.expose(), "whatsapp:US.ABC123xyz");
        assert_ne!(user, Address::parse("whatsapp:US.ABC123XYZ").unwrap());
        for text in [
            "whatsapp:us.ABC",
            "whatsapp:US.",
            "whatsapp:US.A-B",
            "US.ABC123",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_identity_is_a_client_or_the_address_that_it_spells() {
        for (identity, address) in [
            ("alice", "client:alice"),
            ("Alice", "client:alice"),
            ("Dr. Zoë; 50 %?", "client:dr.%20zo%c3%ab%3b%2050%20%25%3f"),
            ("alice@example.com", "client:alice@example.com"),
            ("+49 30 12345678", "+493012345678"),
            ("client:alice", "client:alice"),
            ("urn:uuid:1", "client:urn:uuid:1"),
            ("493012345678", "client:493012345678"),
        ] {
            let parsed = Address::of_identity(identity).unwrap();
            assert_eq!(parsed.expose(), address, "{identity}");
        }
        for bad in ["", &"x".repeat(300)] {
            assert!(Address::of_identity(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_identity_is_one_person_in_calls_rooms_and_chats() {
        let long = "\u{e9}".repeat(120);
        for identity in [
            "dave",
            "Dave",
            "Dr. Zo\u{eb}; 50 %?",
            "alice@example.com",
            "+49 30 12345678",
            "sip:alice@example.com",
            "urn:uuid:1",
            "chat:dave",
        ] {
            let people = [
                Address::of_identity(identity).unwrap(),
                Address::of_chat(identity).unwrap(),
                Address::parse(&format!("chat:{identity}")).unwrap(),
            ];
            for person in &people {
                assert_eq!(*person, people[0], "{identity}");
                assert_eq!(person.expose_person(), people[0].expose_person());
            }
        }
        let chat = Address::of_chat("Dave").unwrap();
        assert_eq!(chat.expose(), "chat:Dave", "as the chat shows it");
        assert_eq!(chat, Address::parse("client:dave").unwrap());
        assert_ne!(chat, Address::parse("client:davy").unwrap());
        assert_eq!(
            Address::of_chat(&long).unwrap(),
            Address::of_chat(&long.clone()).unwrap()
        );
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
            "client:al\u{200b}ice",
            "client:\u{202e}alice",
            "\u{ff53}ip:alice@example.com",
            "hello",
            "+49301234567890123456",
            "+49 30 12345678 ext. 5",
            "+49 30 12345678, Anna",
            "+49 30 \u{661}2345678",
            "tel:+493012345678",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(
                text.len() < 8 || !error.to_string().contains(text),
                "{text}"
            );
        }
        assert_eq!(
            format!("{:?}", Address::parse("+493012345678").unwrap()),
            "Address"
        );
    }

    #[test]
    fn a_conversation_is_of_one_kind_by_its_letters() {
        let zeros = "0".repeat(32);
        for letters in ["CA", "CF", "CH", "RM", "KC"] {
            let text = format!("{letters}{zeros}");
            let conversation: Conversation = text.parse().unwrap();
            assert_eq!(conversation.as_str(), text);
            assert_eq!(conversation.kind().prefix(), letters);
            assert_eq!(serde_json::to_value(&conversation).unwrap(), text);
        }
        for other in ["RE", "IM", "SM", "RT", "MB"] {
            assert!(format!("{other}{zeros}").parse::<Conversation>().is_err());
        }
    }
}
