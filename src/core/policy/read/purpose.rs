//! Parsing of purposes.

use super::{Reader, condition::Condition, walk::Section};
use crate::{
    model::{consent::RECORDING, name::Purpose},
    policy::{
        document::{PurposeRule, quote},
        view::View,
    },
};

impl Reader<'_> {
    pub(super) fn purpose(
        &mut self,
        mut section: Section<'_, '_>,
        names: &mut Vec<Purpose>,
    ) -> Option<PurposeRule> {
        let line = section.line;
        let name = self.purpose_name(&mut section, names);
        let text = section.text("text", self.faults);
        let dpv = self.dpv(&mut section);
        let tiers = section.list("tiers", self.faults);
        let tiers = tiers.map(|list| {
            list.value
                .into_iter()
                .filter_map(|tier| self.known_tier(tier, "tiers"))
                .collect()
        });
        let roles = self.known_roles(&mut section, "roles");
        let justification = section.flag("justification", self.faults);
        let basis = section.given("basis", |section| self.basis(section));
        let view = section.given("view", |section| self.view(section));
        let window = section.given("window", |section| {
            let section = section.section("window", self.faults)?;
            self.window(section)
        });
        let when = section.given("when", |section| section.text("when", self.faults));
        if let (Some(purpose), Some(Some(text))) = (&name, &when) {
            self.conditions.push(Condition {
                line: text.line,
                purpose: purpose.clone(),
                text: text.value.to_owned(),
            });
        }
        let retention = section.given("retention", |section| self.period(section, "retention"));
        let budget = section.given("budget", |section| {
            self.whole(section, "budget", 1..=1_000_000)
        });
        section.finish(self.faults);
        let view = view?;
        let window = window?;
        if window.is_some() && !matches!(view, None | Some(View::Audio)) {
            self.faults.add(
                line,
                "`window` in `[[purposes]]` is a part of the audio: use it with `view = \"audio\"` \
                 only",
            );
        }
        Some(PurposeRule {
            name: name?,
            text: text?.value.to_owned(),
            dpv: dpv?,
            tiers: tiers?,
            roles: roles?,
            justification: justification?.value,
            basis: basis?,
            view: window.or(view).unwrap_or_default(),
            when: when?.map(|text| text.value.to_owned()),
            retention: retention?,
            budget: budget?.and_then(|openings| u32::try_from(openings).ok()),
        })
    }

    /// Parses the name; it must be valid and unique among purposes.
    fn purpose_name(
        &mut self,
        section: &mut Section<'_, '_>,
        names: &mut Vec<Purpose>,
    ) -> Option<Purpose> {
        let name = section.parsed::<Purpose>("name", self.faults)?;
        if name.value.as_str() == RECORDING {
            self.faults.add(
                name.line,
                "the purpose name `recording` is reserved for `[collection]`: choose another name",
            );
            return None;
        }
        if names.contains(&name.value) {
            self.faults.add(
                name.line,
                format!("the purpose `{}` is declared twice", name.value),
            );
            return None;
        }
        names.push(name.value.clone());
        Some(name.value)
    }

    /// Parses the IRI of a term of the Data Privacy Vocabulary.
    fn dpv(&mut self, section: &mut Section<'_, '_>) -> Option<String> {
        let dpv = section.text("dpv", self.faults)?;
        let is_broken = dpv
            .value
            .contains(|c: char| c.is_whitespace() || c.is_control());
        if dpv.value.starts_with("https://w3id.org/dpv") && !is_broken {
            return Some(dpv.value.to_owned());
        }
        let quoted = quote(dpv.value);
        self.faults.add(
            dpv.line,
            format!("`dpv`: `{quoted}` must be the IRI of a term, https://w3id.org/dpv#…"),
        );
        None
    }

    pub(super) fn view(&mut self, section: &mut Section<'_, '_>) -> Option<View> {
        let text = section.text("view", self.faults)?;
        match text.value {
            "audio" => Some(View::Audio),
            "transcript" => Some(View::Transcript),
            "redacted-transcript" => Some(View::RedactedTranscript),
            other => {
                let quoted = quote(other);
                self.faults.add(text.line, format!("`view`: `{quoted}` must be one of `audio`, `transcript`, `redacted-transcript`"));
                None
            }
        }
    }

    pub(super) fn window(&mut self, mut section: Section<'_, '_>) -> Option<View> {
        let line = section.line;
        let from = self.whole(&mut section, "from_s", 0..=604_800);
        let to = self.whole(&mut section, "to_s", 1..=604_800);
        section.finish(self.faults);
        let from_s = u32::try_from(from?).ok()?;
        let to_s = u32::try_from(to?).ok()?;
        if from_s >= to_s {
            self.faults.add(
                line,
                "`window` must end after it begins: `to_s` larger than `from_s`",
            );
            return None;
        }
        Some(View::Window { from_s, to_s })
    }
}
