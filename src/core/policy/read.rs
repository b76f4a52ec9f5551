//! Parsing of a policy document.
//!
//! Owns the keys of the file and their permitted values. Refuses to stop at the first fault: either
//! the whole document is parsed, or every fault is reported. INVARIANT: a declaration counts even
//! if its entry has another fault, so that one mistake is reported once.

mod classification;
mod collection;
mod condition;
mod consent;
mod odd;
mod purpose;
#[cfg(test)]
mod tests;
mod walk;

use std::{str::FromStr, time::Duration};

use toml::de::DeTable;

use self::{
    condition::Condition,
    consent::Declared,
    walk::{At, Section},
};
use super::document::{
    Actions, ApprovalRule, Basis, Controller, MAX_BYTES, MAX_GRANT_LIFETIME, PolicyDocument,
    PolicyFault, PolicyFaults, Processor, TierRule, quote,
};
use crate::model::{
    name::{Label, Role, Tier},
    numerals::counted,
    time::Timestamp,
    word::UnknownWord,
};

impl PolicyDocument {
    /// Parses the text of a policy file; `file` is its name in faults. Returns the document and its
    /// warnings.
    ///
    /// # Errors
    /// Every fault of the text, in the order of the lines.
    pub fn read(file: &str, text: &str) -> Result<(Self, Vec<PolicyFault>), Vec<PolicyFault>> {
        let mut faults = PolicyFaults::new(file, text);
        if text.len() > MAX_BYTES {
            faults.add(
                1,
                format!(
                    "the file has {}: a policy has at most {MAX_BYTES}",
                    counted(text.len(), "byte", "bytes")
                ),
            );
            return Err(faults.into_list());
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            faults.add(
                faults.line(error.span().map_or(0, |span| span.start)),
                error.message(),
            );
        }
        // The recovered part of a text that is not TOML would only repeat the same faults in other
        // words.
        if !faults.is_empty() {
            return Err(faults.into_list());
        }
        let mut warnings = PolicyFaults::new(file, text);
        let reader = Reader {
            faults: &mut faults,
            warnings: &mut warnings,
            roles: Vec::new(),
            tiers: Vec::new(),
            labels: Some(Vec::new()),
            conditions: Vec::new(),
        };
        match reader.document(table.get_ref()) {
            Some(document) if faults.is_empty() => {
                document.warn(table.get_ref(), &mut warnings);
                Ok((document, warnings.into_list()))
            }
            _ => Err(faults.into_list()),
        }
    }
}

/// The declarations so far, and the faults.
struct Reader<'f> {
    faults: &'f mut PolicyFaults,
    warnings: &'f mut PolicyFaults,
    roles: Vec<Role>,
    tiers: Vec<Tier>,
    /// `None` if the list has a fault: the attributes of conditions are then unknown.
    labels: Option<Vec<Label>>,
    conditions: Vec<Condition>,
}

impl Reader<'_> {
    /// Parses declarations first, then their uses.
    fn document(mut self, table: &DeTable<'_>) -> Option<PolicyDocument> {
        let mut file = Section::new(table, "the policy file", 1);
        let version = file
            .text("version", self.faults)
            .and_then(|text| self.version(&text));
        let effective = file
            .date("effective", self.faults)
            .and_then(|text| self.effective(&text));
        let controller = file
            .section("controller", self.faults)
            .and_then(|section| self.controller(section));
        let processors = self.each(&mut file, "processors", Self::processor);
        let roles = file
            .section("roles", self.faults)
            .and_then(|section| self.declare_roles(&section));
        let tiers = self.each(&mut file, "tiers", Self::tier);
        let default_tier = file
            .parsed("default_tier", self.faults)
            .and_then(|tier| self.known_tier(tier, "default_tier"));
        let collection = file.given("collection", |file| {
            let section = file.section("collection", self.faults)?;
            self.collection(section)
        });
        let labels = collection.as_ref().map(|collection| {
            collection
                .as_ref()
                .map_or(&[][..], |collection| &collection.labels)
        });
        let classification = self.each(&mut file, "classification", |reader, section| {
            reader.classification(section, labels)
        });
        let content = self.each(&mut file, "content", Self::content);
        let mut names = Vec::new();
        let purposes = self.each(&mut file, "purposes", |reader, section| {
            reader.purpose(section, &mut names)
        });
        self.check_conditions(&names);
        let hold_purposes = file.given("hold_purposes", |file| {
            self.hold_purposes(file, &names, purposes.as_deref())
        });
        let consent = file.given("consent", |file| {
            let section = file.section("consent", self.faults)?;
            self.consent(
                section,
                &Declared {
                    processors: processors.as_deref(),
                    purposes: purposes.as_deref(),
                    controller: controller.as_ref(),
                    collection: collection.as_ref().map(Option::as_ref),
                },
            )
        });
        let recipients = self.each(&mut file, "recipients", |reader, section| {
            reader.recipient(section, &names)
        });
        let rights = self.each(&mut file, "rights", Self::right);
        let actions = file
            .section("actions", self.faults)
            .and_then(|section| self.actions(section));
        file.finish(self.faults);
        Some(PolicyDocument {
            version: version?,
            effective: effective?,
            controller: controller?,
            processors: processors?,
            roles: roles?,
            tiers: tiers?,
            default_tier: default_tier?,
            classification: classification?,
            collection: collection?.unwrap_or_default(),
            consent: consent?.unwrap_or_default(),
            content: content?,
            recipients: recipients?,
            rights: rights?,
            purposes: purposes?,
            hold_purposes: hold_purposes?.unwrap_or_default(),
            actions: actions?,
        })
    }

    fn version(&mut self, text: &At<&str>) -> Option<String> {
        let plain = text.value.len() <= 64
            && text
                .value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if !plain {
            let quoted = quote(text.value);
            self.faults.add(
                text.line,
                format!(
                    "`version`: `{quoted}` must be 1 to 64 ASCII letters, digits, `.`, `-` and `_`"
                ),
            );
        }
        plain.then(|| text.value.to_owned())
    }

    fn effective(&mut self, text: &At<String>) -> Option<Timestamp> {
        let date = Timestamp::parse_rfc3339(&text.value)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", text.value)));
        // RFC 3339 and Cedar have no years before 0, and no policy dates from before the epoch.
        let date = date.filter(|date| date.as_millis() >= 0);
        if date.is_none() {
            let quoted = quote(&text.value);
            self.faults.add(
                text.line,
                format!("`effective`: `{quoted}` must be an RFC 3339 date (2026-01-31, from midnight UTC) or time with its offset"),
            );
        }
        date
    }

    fn controller(&mut self, mut section: Section<'_, '_>) -> Option<Controller> {
        let name = section.text("name", self.faults);
        let contact = section.text("contact", self.faults);
        section.finish(self.faults);
        Some(Controller {
            name: name?.value.to_owned(),
            contact: contact?.value.to_owned(),
        })
    }

    fn processor(&mut self, mut section: Section<'_, '_>) -> Option<Processor> {
        let name = section.text("name", self.faults);
        let task = section.text("task", self.faults);
        section.finish(self.faults);
        Some(Processor {
            name: name?.value.to_owned(),
            task: task?.value.to_owned(),
        })
    }

    fn declare_roles(&mut self, section: &Section<'_, '_>) -> Option<Vec<(Role, String)>> {
        let mut roles = Vec::new();
        for (key, text) in section.texts(self.faults) {
            match key.value.parse::<Role>() {
                Ok(role) => roles.push((role, text.to_owned())),
                Err(error) => self.faults.add(key.line, error.to_string()),
            }
        }
        self.roles = roles.iter().map(|(role, _)| role.clone()).collect();
        Some(roles)
    }

    fn tier(&mut self, mut section: Section<'_, '_>) -> Option<TierRule> {
        let name = section
            .parsed::<Tier>("name", self.faults)
            .and_then(|name| {
                let fresh = !self.tiers.contains(&name.value);
                if fresh {
                    self.tiers.push(name.value.clone());
                } else {
                    self.faults.add(
                        name.line,
                        format!("the tier `{}` is declared twice", name.value),
                    );
                }
                fresh.then_some(name.value)
            });
        let description = section.text("description", self.faults);
        let grant_lifetime = section
            .text("grant_lifetime", self.faults)
            .and_then(|text| self.lifetime(&text));
        let forgotten = section.given("forgotten", |section| {
            let text = section.text("forgotten", self.faults)?;
            self.word(&text, "forgotten")
        });
        let retention = section.given("retention", |section| self.period(section, "retention"));
        let approval = section.given("approval", |section| {
            let section = section.section("approval", self.faults)?;
            self.approval(section)
        });
        section.finish(self.faults);
        Some(TierRule {
            name: name?,
            description: description?.value.to_owned(),
            grant_lifetime: grant_lifetime?,
            forgotten: forgotten?.unwrap_or_default(),
            retention: retention?,
            approval: approval?,
        })
    }

    fn approval(&mut self, mut section: Section<'_, '_>) -> Option<ApprovalRule> {
        let roles = self.known_roles(&mut section, "roles");
        let lifetime = self.period(&mut section, "lifetime");
        let break_glass = section.given("break_glass", |section| {
            self.known_roles(section, "break_glass")
        });
        section.finish(self.faults);
        Some(ApprovalRule {
            roles: roles?,
            lifetime: lifetime?,
            break_glass: break_glass?.unwrap_or_default(),
        })
    }

    fn basis(&mut self, section: &mut Section<'_, '_>) -> Option<Basis> {
        let text = section.text("basis", self.faults)?;
        self.word(&text, "basis")
    }

    /// Parses one word of a closed set.
    fn word<T: FromStr<Err = UnknownWord>>(
        &mut self,
        text: &At<&str>,
        key: &'static str,
    ) -> Option<T> {
        match text.value.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                let quoted = quote(text.value);
                let known = error.expected();
                self.faults.add(
                    text.line,
                    format!("`{key}`: `{quoted}` must be one of {known}"),
                );
                None
            }
        }
    }

    /// Parses a duration up to the longest retention.
    fn period(&mut self, section: &mut Section<'_, '_>, key: &'static str) -> Option<Duration> {
        let text = section.text(key, self.faults)?;
        let period =
            duration(text.value).filter(|period| !period.is_zero() && *period <= MAX_PERIOD);
        if period.is_none() {
            let quoted = quote(text.value);
            self.faults.add(text.line, format!("`{key}`: `{quoted}` must be a length from `1s` to `36500d`, like `90s`, `12h` or `180d`"));
        }
        period
    }

    fn whole(
        &mut self,
        section: &mut Section<'_, '_>,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let number = section.number(key, self.faults)?;
        let fits = range.contains(&number.value);
        if !fits {
            self.faults.add(
                number.line,
                format!(
                    "`{key}`: `{}` must be from {} to {}",
                    number.value,
                    range.start(),
                    range.end()
                ),
            );
        }
        fits.then_some(number.value)
    }

    fn lifetime(&mut self, text: &At<&str>) -> Option<Duration> {
        let lifetime = duration(text.value)
            .filter(|lifetime| !lifetime.is_zero() && *lifetime <= MAX_GRANT_LIFETIME);
        if lifetime.is_none() {
            let quoted = quote(text.value);
            self.faults
                .add(text.line, format!("`grant_lifetime`: `{quoted}` must be a length from `1s` to `24h`, like `90s`, `15m` or `2h`"));
        }
        lifetime
    }

    fn actions(&mut self, mut section: Section<'_, '_>) -> Option<Actions> {
        let catalogue = self.known_roles(&mut section, "catalogue");
        let shred = self.known_roles(&mut section, "shred");
        let audit = self.known_roles(&mut section, "audit");
        // A role that is not listed has no permission.
        let mut also = |key| {
            Some(
                section
                    .given(key, |section| self.known_roles(section, key))?
                    .unwrap_or_default(),
            )
        };
        let [consent, revoke, hold, correct, transcribe, export] = [
            "consent",
            "revoke",
            "hold",
            "correct",
            "transcribe",
            "export",
        ]
        .map(&mut also);
        section.finish(self.faults);
        Some(Actions {
            catalogue: catalogue?,
            shred: shred?,
            audit: audit?,
            consent: consent?,
            revoke: revoke?,
            hold: hold?,
            correct: correct?,
            transcribe: transcribe?,
            export: export?,
        })
    }

    fn known_roles(
        &mut self,
        section: &mut Section<'_, '_>,
        key: &'static str,
    ) -> Option<Vec<Role>> {
        let mut known = Vec::new();
        for role in section.list::<Role>(key, self.faults)?.value {
            if self.roles.contains(&role.value) {
                known.push(role.value);
            } else {
                self.faults.add(
                    role.line,
                    format!(
                        "`{key}` names the role `{}`, which `[roles]` does not declare",
                        role.value
                    ),
                );
            }
        }
        Some(known)
    }

    fn known_tier(&mut self, tier: At<Tier>, key: &str) -> Option<Tier> {
        let known = self.tiers.contains(&tier.value);
        if !known {
            self.faults.add(
                tier.line,
                format!(
                    "`{key}` names the tier `{}`, which no `[[tiers]]` declares",
                    tier.value
                ),
            );
        }
        known.then_some(tier.value)
    }

    /// Parses every section `[[key]]`, even after one that has faults.
    fn each<'t, 'i, T>(
        &mut self,
        file: &mut Section<'t, 'i>,
        key: &'static str,
        mut read: impl FnMut(&mut Self, Section<'t, 'i>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = file
            .sections(key, self.faults)
            .into_iter()
            .map(|section| read(self, section))
            .collect();
        read.into_iter().collect()
    }
}

/// The longest period: a hundred years.
const MAX_PERIOD: Duration = Duration::from_secs(36_500 * 86_400);

/// `90s`, `15m`, `2h`, `30d`: digits and one unit.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    // `parse` would accept a sign.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)
        .map(Duration::from_secs)
}
