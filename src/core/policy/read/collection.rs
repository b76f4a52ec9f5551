//! Collection and recipients: collection rules, content rules, recipients, rights.

use std::collections::BTreeSet;

use super::{Reader, walk::Section};
use crate::{
    model::{media::MediaKind, name::Purpose},
    policy::document::{
        Basis, Collection, ContentRule, KEPT_UNSAID, Pattern, PurposeRule, Recipient,
        RemovedAtSource, Right, ToRevoked, quote,
    },
};

/// The kinds that can be collected.
const COLLECTED: [MediaKind; 5] = [
    MediaKind::CallAudio,
    MediaKind::Message,
    MediaKind::ChatMessage,
    MediaKind::VideoTrack,
    MediaKind::VideoComposition,
];

impl Reader<'_> {
    pub(super) fn collection(&mut self, mut section: Section<'_, '_>) -> Option<Collection> {
        let line = section.line;
        let kinds = section.given("kinds", |section| self.kinds(section));
        let basis = section.given("basis", |section| self.basis(section));
        let disclosure = section.given("disclosure", |section| {
            section.text("disclosure", self.faults)
        });
        let quarantine = section.given("quarantine", |section| self.period(section, "quarantine"));
        let labels = section.given("labels", |section| self.labels(section));
        let shorter_than = section.given("shorter_than", |section| {
            self.period(section, "shorter_than")
        });
        let quieter_than = section.given("quieter_than", |section| {
            self.whole(section, "quieter_than", 1..=32767)
        });
        let to_revoked = section.given("to_revoked", |section| {
            section.parsed::<ToRevoked>("to_revoked", self.faults)
        });
        let removed = section.given("removed_at_source", |section| {
            section.parsed::<RemovedAtSource>("removed_at_source", self.faults)
        });
        let bots = section.given("bots", |section| self.bots(section));
        section.finish(self.faults);
        let collection = Collection {
            kinds: kinds?.unwrap_or_else(|| KEPT_UNSAID.into()),
            basis: basis?,
            disclosure: disclosure?.map(|text| text.value.to_owned()),
            quarantine: quarantine?,
            labels: labels?.unwrap_or_default(),
            shorter_than: shorter_than?,
            quieter_than: quieter_than?.and_then(|sample| u16::try_from(sample).ok()),
            to_revoked: to_revoked?.map(|word| word.value).unwrap_or_default(),
            removed_at_source: removed?.map(|at| at.value).unwrap_or_default(),
            bots: bots?.unwrap_or_default(),
        };
        if collection.basis == Some(Basis::Consent) && collection.quarantine.is_none() {
            self.faults.add(
                line,
                "`quarantine` is missing in `[collection]`: set how long a recording \
                            waits for evidence of consent, like `7d`",
            );
            return None;
        }
        Some(collection)
    }

    /// Reads the authors in chats who are no persons.
    fn bots(&mut self, section: &mut Section<'_, '_>) -> Option<BTreeSet<String>> {
        let list = section.list::<String>("bots", self.faults)?;
        let mut bots = BTreeSet::new();
        for bot in list.value {
            if bot.value.trim().is_empty() {
                self.faults
                    .add(bot.line, "`bots` names an empty identity".to_owned());
            } else {
                bots.insert(bot.value);
            }
        }
        Some(bots)
    }

    /// Reads the kinds that are kept.
    fn kinds(&mut self, section: &mut Section<'_, '_>) -> Option<BTreeSet<MediaKind>> {
        let list = section.list::<MediaKind>("kinds", self.faults)?;
        let mut kinds = BTreeSet::new();
        for kind in list.value {
            let name = kind.value;
            if !COLLECTED.contains(&name) {
                self.faults.add(
                    kind.line,
                    format!("`kinds` names `{name}`, which this version does not collect: use `call`, `message`, `chat-message`, `video-track` and `video-composition`"),
                );
            } else if !kinds.insert(name) {
                self.faults
                    .add(kind.line, format!("`kinds` names `{name}` twice"));
            }
        }
        Some(kinds)
    }

    pub(super) fn content(&mut self, mut section: Section<'_, '_>) -> Option<ContentRule> {
        let tier = section
            .parsed("tier", self.faults)
            .and_then(|tier| self.known_tier(tier, "tier"));
        let pattern = section.text("pattern", self.faults).and_then(|text| match text.value {
            "card-number" => Some(Pattern::CardNumber),
            "us-social-security-number" => Some(Pattern::UsSocialSecurityNumber),
            "iban" => Some(Pattern::Iban),
            "words" => Some(Pattern::Words(Vec::new())),
            other => {
                let quoted = quote(other);
                self.faults.add(
                    text.line,
                    format!("`pattern`: `{quoted}` must be one of `card-number`, `us-social-security-number`, `iban`, `words`"),
                );
                None
            }
        });
        let words = match &pattern {
            Some(Pattern::Words(_)) => self.words(&mut section).map(Some),
            _ => Some(None),
        };
        section.finish(self.faults);
        let pattern = match words? {
            Some(words) => Pattern::Words(words),
            None => pattern?,
        };
        Some(ContentRule {
            pattern,
            tier: tier?,
        })
    }

    pub(super) fn words(&mut self, section: &mut Section<'_, '_>) -> Option<Vec<String>> {
        let list = section.list::<String>("words", self.faults)?;
        let blank = list
            .value
            .iter()
            .any(|word| !word.value.contains(char::is_alphanumeric));
        let line = list.line;
        if list.value.is_empty() || blank {
            self.faults.add(
                line,
                "`words` must hold words or phrases, each with a letter or digit",
            );
            return None;
        }
        Some(list.value.into_iter().map(|word| word.value).collect())
    }

    pub(super) fn recipient(
        &mut self,
        mut section: Section<'_, '_>,
        known: &[Purpose],
    ) -> Option<Recipient> {
        let name = section.text("name", self.faults);
        let mut purposes = Vec::new();
        let list = section.list::<Purpose>("purposes", self.faults);
        for purpose in list.map(|list| list.value)? {
            if known.contains(&purpose.value) {
                purposes.push(purpose.value);
            } else {
                self.faults.add(
                    purpose.line,
                    format!(
                        "`purposes` names `{}`, which no `[[purposes]]` declares",
                        purpose.value
                    ),
                );
            }
        }
        section.finish(self.faults);
        Some(Recipient {
            name: name?.value.to_owned(),
            purposes,
        })
    }

    /// Parses the purposes for which holds are placed. Revoked recordings cannot be opened on the
    /// basis of consent.
    pub(super) fn hold_purposes(
        &mut self,
        file: &mut Section<'_, '_>,
        known: &[Purpose],
        purposes: Option<&[PurposeRule]>,
    ) -> Option<Vec<Purpose>> {
        let mut held = Vec::new();
        for purpose in file.list::<Purpose>("hold_purposes", self.faults)?.value {
            let rule = purposes
                .unwrap_or_default()
                .iter()
                .find(|rule| rule.name == purpose.value);
            let fault = if !known.contains(&purpose.value) {
                "no `[[purposes]]` declares"
            } else if rule.is_some_and(|rule| rule.basis == Some(Basis::Consent)) {
                "rests on consent: a hold keeps what was revoked"
            } else {
                held.push(purpose.value);
                continue;
            };
            let name = purpose.value;
            self.faults.add(
                purpose.line,
                format!("`hold_purposes` names `{name}`, which {fault}"),
            );
        }
        Some(held)
    }

    pub(super) fn right(&mut self, mut section: Section<'_, '_>) -> Option<Right> {
        let name = section.text("name", self.faults);
        let how = section.text("how", self.faults);
        section.finish(self.faults);
        Some(Right {
            name: name?.value.to_owned(),
            how: how?.value.to_owned(),
        })
    }
}
