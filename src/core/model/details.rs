//! The participants of a recording, in the clear.
//!
//! Owns the form in which they are sealed and shown, and how one report completes another. Refuses
//! to know the source of a report. INVARIANT: nothing personal is printed: `Debug` shows legs and
//! channels only.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    id::SubjectId,
    name::LegName,
    subject::{Address, Party},
};
use crate::secret::SecretBuffer;

/// The longest name, in characters.
pub const MAX_NAME: usize = 128;

/// One participant, as reported.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Participant {
    /// Their leg of the conversation.
    pub leg: LegName,
    /// Their channel in a recording with two, 1 or 2; `None` if it is unknown or not one channel
    /// alone.
    pub channel: Option<u8>,
    /// Their address; `None` if it is unknown.
    pub address: Option<Address>,
    /// Their name, 1 to [`MAX_NAME`] characters, in the form that [`Participant::name`] returns.
    pub name: Option<String>,
}

impl Participant {
    /// Returns a participant at this leg without further details.
    pub fn at(leg: LegName) -> Self {
        Self {
            leg,
            channel: None,
            address: None,
            name: None,
        }
    }

    /// Returns a name in its stored form: without control characters, trimmed, cut at [`MAX_NAME`]
    /// characters; `None` if nothing is left.
    pub fn name(text: &str) -> Option<String> {
        let name: String = text
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_NAME)
            .collect();
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Returns whether it has personal data, which must be sealed.
    pub fn is_personal(&self) -> bool {
        self.address.is_some() || self.name.is_some()
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("leg", &self.leg)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// All participants, in the order of their legs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participants(Vec<Participant>);

/// The JSON form, both sealed and shown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    parties: Vec<WrittenParty<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenParty<'a> {
    leg: std::borrow::Cow<'a, str>,
    channel: Option<u8>,
    #[serde(borrow)]
    address: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<std::borrow::Cow<'a, str>>,
}

impl Participants {
    /// Returns all participants, in the order of their legs.
    pub fn iter(&self) -> impl Iterator<Item = &Participant> {
        self.0.iter()
    }

    /// Returns whether any participant has personal data, which must be sealed.
    pub fn is_personal(&self) -> bool {
        self.0.iter().any(Participant::is_personal)
    }

    /// Merges another report: adds new legs, and fills missing details of known ones. Known details
    /// stay unchanged.
    pub fn complete(&mut self, told: impl IntoIterator<Item = Participant>) {
        for told in told {
            match self.0.binary_search_by(|known| known.leg.cmp(&told.leg)) {
                Err(place) => self.0.insert(place, told),
                Ok(place) => {
                    if let Some(known) = self.0.get_mut(place) {
                        known.channel = known.channel.or(told.channel);
                        // A name belongs to the person with the address.
                        if known.address.is_none()
                            || told.address.is_none()
                            || known.address == told.address
                        {
                            known.name = known.name.take().or(told.name);
                            known.address = known.address.take().or(told.address);
                        }
                    }
                }
            }
        }
    }

    /// Replaces the participants at these legs: their address, and their name with the reported one
    /// or none. Channels stay.
    pub fn correct(&mut self, told: impl IntoIterator<Item = Participant>) {
        for told in told {
            if let Ok(place) = self.0.binary_search_by(|known| known.leg.cmp(&told.leg))
                && let Some(known) = self.0.get_mut(place)
                && known.address != told.address
            {
                (known.address, known.name) = (told.address, told.name);
            } else {
                self.complete([told]);
            }
        }
    }

    /// Restricts it to the named parties: each of them has an entry, nobody else, and details of
    /// another person at a leg are dropped. `subject` maps an address to its person.
    #[must_use]
    pub fn agreeing(mut self, parties: &[Party], subject: impl Fn(&Address) -> SubjectId) -> Self {
        let agreed = parties.iter().map(|party| {
            let place = self
                .0
                .binary_search_by(|known| known.leg.cmp(&party.leg))
                .ok();
            let known = place
                .and_then(|place| self.0.get_mut(place))
                .map(|known| (known.address.take(), known.name.take(), known.channel));
            let (address, name, channel) = known.unwrap_or_default();
            let channel = party.channel.or(channel);
            let is_they = address.as_ref().map(&subject) == party.subject;
            let (address, name) = if is_they {
                (address, name)
            } else {
                (None, None)
            };
            Participant {
                leg: party.leg.clone(),
                channel,
                address,
                name,
            }
        });
        agreed.collect()
    }

    /// Returns the JSON that is sealed and shown:
    /// `{"parties": [{"leg", "channel", "address", "name"}, …]}`.
    pub fn to_json(&self) -> Zeroizing<String> {
        fn party(found: &Participant) -> WrittenParty<'_> {
            WrittenParty {
                leg: found.leg.as_str().into(),
                channel: found.channel,
                address: found
                    .address
                    .as_ref()
                    .map(|address| address.expose().into()),
                name: found.name.as_deref().map(Into::into),
            }
        }
        let written = Written {
            parties: self.0.iter().map(party).collect(),
        };
        let text = SecretBuffer::json(&written).expect("texts and numbers have a JSON form");
        text.into_text().expect("JSON is UTF-8")
    }

    /// Parses the output of [`Self::to_json`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let written: Written<'_> = serde_json::from_str(text).ok()?;
        let mut details = Self::default();
        for party in written.parties {
            let leg = party.leg.parse().ok()?;
            let address = party
                .address
                .map(|text| Address::parse(&text))
                .transpose()
                .ok()?;
            let channel = match party.channel {
                Some(channel) if !matches!(channel, 1 | 2) => return None,
                channel => channel,
            };
            details.complete([Participant {
                leg,
                channel,
                address,
                name: party.name.and_then(|name| Participant::name(&name)),
            }]);
        }
        Some(details)
    }
}

impl FromIterator<Participant> for Participants {
    fn from_iter<I: IntoIterator<Item = Participant>>(told: I) -> Self {
        let mut details = Self::default();
        details.complete(told);
        details
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leg(name: &str) -> LegName {
        name.parse().unwrap()
    }

    fn found(
        name: &str,
        channel: Option<u8>,
        address: Option<&str>,
        called: Option<&str>,
    ) -> Participant {
        let address = address.map(|text| Address::parse(text).unwrap());
        Participant {
            leg: leg(name),
            channel,
            address,
            name: called.map(str::to_owned),
        }
    }

    #[test]
    fn one_account_completes_another_and_replaces_nobody() {
        let mut details: Participants = [
            found("caller", None, Some("+493012345678"), None),
            found("callee", None, None, None),
        ]
        .into_iter()
        .collect();
        details.complete([
            found(
                "caller",
                Some(1),
                Some("+493099999999"),
                Some("Somebody Else"),
            ),
            found("callee", Some(2), Some("client:agent"), Some("Anna")),
            found("callee-2", None, None, None),
        ]);
        let expected = [
            found("callee", Some(2), Some("client:agent"), Some("Anna")),
            found("callee-2", None, None, None),
            found("caller", Some(1), Some("+493012345678"), None),
        ];
        assert_eq!(details.iter().cloned().collect::<Vec<_>>(), expected);
        details.complete(expected.clone());
        assert_eq!(details.iter().cloned().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_correction_puts_somebody_else_in_a_place_and_takes_their_name_along() {
        let mut details: Participants = [found(
            "caller",
            Some(1),
            Some("+493012345678"),
            Some("Anna"),
        )]
        .into_iter()
        .collect();
        details.correct([found("caller", None, Some("+493012345678"), None)]);
        assert_eq!(details.iter().next().unwrap().name.as_deref(), Some("Anna"));
        details.correct([found("caller", None, Some("+493099999999"), None)]);
        assert_eq!(
            details.iter().cloned().collect::<Vec<_>>(),
            [found("caller", Some(1), Some("+493099999999"), None)]
        );
        details.correct([found("caller", None, None, None)]);
        assert_eq!(
            details.iter().cloned().collect::<Vec<_>>(),
            [found("caller", Some(1), None, None)]
        );
        assert!(!details.is_personal());
    }

    #[test]
    fn it_agrees_with_who_is_named() {
        let ids: [SubjectId; 2] = std::array::from_fn(|_| SubjectId::random(&mut rand::rng()));
        let subject = |address: &Address| {
            if address.expose() == "+493012345678" {
                ids[0]
            } else {
                ids[1]
            }
        };
        let party = |name: &str, subject, channel| Party {
            leg: leg(name),
            subject,
            channel,
            presence: crate::model::subject::Presence::ALWAYS,
        };
        let details: Participants = [
            found("callee", None, Some("client:agent"), Some("Anna")),
            found("caller", Some(1), Some("+493012345678"), None),
            found("guest", None, None, Some("Carla")),
            found("stranger", None, Some("client:stranger"), None),
        ]
        .into_iter()
        .collect();
        let parties = [
            party("callee", Some(ids[0]), Some(2)),
            party("caller", Some(ids[0]), None),
            party("guest", None, None),
        ];
        let parties: Vec<Party> = parties
            .into_iter()
            .chain([party("new", Some(ids[1]), None)])
            .collect();
        let expected = [
            found("callee", Some(2), None, None),
            found("caller", Some(1), Some("+493012345678"), None),
            found("guest", None, None, Some("Carla")),
            found("new", None, None, None),
        ];
        assert_eq!(
            details
                .agreeing(&parties, subject)
                .iter()
                .cloned()
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn it_reads_what_it_wrote_and_prints_nobody() {
        let details: Participants = [
            found("caller", Some(1), Some("+493012345678"), Some("Anna \"Q\"")),
            found("callee", None, None, None),
        ]
        .into_iter()
        .collect();
        let text = details.to_json();
        let caller =
            r#"{"leg":"caller","channel":1,"address":"+493012345678","name":"Anna \"Q\""}"#;
        assert_eq!(
            *text,
            format!(
                r#"{{"parties":[{{"leg":"callee","channel":null,"address":null,"name":null}},{caller}]}}"#
            )
        );
        assert_eq!(Participants::parse(&text).as_ref(), Some(&details));
        let printed = format!("{details:?}");
        assert!(
            !printed.contains("Anna") && !printed.contains("4930"),
            "{printed}"
        );
        for bad in [
            "",
            "{}",
            r#"{"parties":[{"leg":"Caller"}]}"#,
            r#"{"parties":[{"leg":"caller","channel":3}]}"#,
        ] {
            assert_eq!(Participants::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert_eq!(
            Participant::name("  Anna\u{7} B.\n"),
            Some("Anna B.".into())
        );
        assert_eq!(Participant::name(" \r\n"), None);
        assert_eq!(
            Participant::name(&"ä".repeat(500)).unwrap().chars().count(),
            MAX_NAME
        );
    }

    proptest! {
        #[test]
        fn any_text_is_details_or_none(text in ".{0,200}", name in ".{0,200}") {
            let _ = Participants::parse(&text);
            let details: Participants = [Participant { name: Participant::name(&name), ..Participant::at(leg("caller")) }].into_iter().collect();
            prop_assert_eq!(Participants::parse(&details.to_json()), Some(details));
        }
    }
}
