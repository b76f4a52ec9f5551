//! Which recordings belong to which tier.

use super::{Reader, walk::Section};
use crate::{
    model::{
        name::Label,
        text::{InvalidText, LabelValue},
    },
    policy::classify::Classification,
};

impl Reader<'_> {
    pub(super) fn classification(
        &mut self,
        mut section: Section<'_, '_>,
        labels: Option<&[Label]>,
    ) -> Option<Classification> {
        let line = section.line;
        let tier = section
            .parsed("tier", self.faults)
            .and_then(|tier| self.known_tier(tier, "tier"));
        let account = section.given("account", |section| section.parsed("account", self.faults));
        let source = section.given("source", |section| section.text("source", self.faults));
        let conference = section.given("conference", |section| {
            section.flag("conference", self.faults)
        });
        let parameter = section.given("parameter", |section| {
            let parameter = section.section("parameter", self.faults)?;
            self.parameter(parameter)
        });
        let label = section.given("label", |section| {
            let label = section.section("label", self.faults)?;
            self.label(label, labels)
        });
        let number = section.given("number", |section| section.parsed("number", self.faults));
        section.finish(self.faults);
        let rule = Classification {
            tier: tier?,
            account: account?.map(|account| account.value),
            source: source?.map(|source| source.value.to_owned()),
            conference: conference?.map(|conference| conference.value),
            parameter: parameter?,
            label: label?,
            number: number?.map(|number| number.value),
        };
        if rule.number.is_some() && rule.parameter.is_some() {
            self.faults.add(
                line,
                "`number` and `parameter` cannot be in one `[[classification]]`: parameters are no \
                 longer known when parties are named; use `label`",
            );
        }
        if !rule.is_conditional() {
            self.faults.add(line, "this `[[classification]]` matches every recording: give it a condition, or use `default_tier`");
        }
        Some(rule)
    }

    fn parameter(&mut self, mut section: Section<'_, '_>) -> Option<(String, String)> {
        let name = section.text("name", self.faults);
        let value = section.text("value", self.faults);
        section.finish(self.faults);
        Some((name?.value.to_owned(), value?.value.to_owned()))
    }

    fn label(
        &mut self,
        mut section: Section<'_, '_>,
        labels: Option<&[Label]>,
    ) -> Option<(Label, LabelValue)> {
        let name = section.parsed::<Label>("name", self.faults);
        let value = section.text("value", self.faults);
        section.finish(self.faults);
        let name = name?;
        let value = value?;
        // A fault of the declaration is reported there.
        if labels.is_some_and(|labels| !labels.contains(&name.value)) {
            self.faults.add(
                name.line,
                format!(
                    "`label` names `{}`, which `labels` in `[collection]` does not declare",
                    name.value
                ),
            );
            return None;
        }
        match value.value.parse() {
            Ok(wanted) => Some((name.value, wanted)),
            Err(error) => {
                let error: InvalidText = error;
                self.faults
                    .add(value.line, format!("`value` of a label {error}"));
                None
            }
        }
    }
}
