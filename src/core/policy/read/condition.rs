//! The conditions of purposes.
//!
//! Owns when they are checked: after everything that they may refer to was declared. Refuses to
//! know the language: `cedar` does.

use super::{Reader, walk::Section};
use crate::{
    model::name::{Label, Purpose},
    policy::{
        cedar::{Conditions, RESERVED, Vocabulary},
        document::quote,
    },
};

/// A condition that was parsed and not yet checked.
pub(super) struct Condition {
    pub(super) line: usize,
    pub(super) purpose: Purpose,
    pub(super) text: String,
}

impl Reader<'_> {
    /// Parses labels, and refuses reserved names.
    pub(super) fn labels(&mut self, section: &mut Section<'_, '_>) -> Option<Vec<Label>> {
        // Until the whole list is parsed.
        self.labels = None;
        let told = self.faults.count();
        let list = section.list::<Label>("labels", self.faults)?;
        let mut labels = Vec::new();
        for label in list.value {
            let name = label.value.as_str();
            if RESERVED.contains(&name) {
                self.faults.add(
                    label.line,
                    format!(
                        "`labels` names `{name}`, which is a built-in \
                     attribute of conditions: choose another name"
                    ),
                );
            } else if labels.contains(&label.value) {
                self.faults
                    .add(label.line, format!("`labels` names `{name}` twice"));
            } else {
                labels.push(label.value);
            }
        }
        self.labels = (self.faults.count() == told).then(|| labels.clone());
        Some(labels)
    }

    /// Checks every condition against the document's declarations.
    pub(super) fn check_conditions(&mut self, purposes: &[Purpose]) {
        if self.conditions.is_empty() {
            return;
        }
        let conditions = self
            .labels
            .as_ref()
            .map_or_else(Conditions::of_form, |labels| {
                Conditions::new(&Vocabulary {
                    roles: self.roles.iter().collect(),
                    tiers: self.tiers.iter().collect(),
                    labels: labels.iter().collect(),
                    purposes: purposes
                        .iter()
                        .map(|purpose| (purpose, false, false))
                        .collect(),
                    recorded_with_consent: false,
                })
            });
        for Condition {
            line,
            purpose,
            text,
        } in std::mem::take(&mut self.conditions)
        {
            let told = |told: &str| {
                format!(
                    "`when` of the purpose `{}`: {told}",
                    quote(purpose.as_str())
                )
            };
            match conditions.check(&purpose, &text) {
                Ok(odd) => odd
                    .iter()
                    .for_each(|odd| self.warnings.add(line, told(odd))),
                Err(faults) => faults
                    .iter()
                    .for_each(|fault| self.faults.add(line, told(fault))),
            }
        }
    }
}
