//! Correction: what the catalogue says of a recording is put right (Article 16 GDPR). The sound is never changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Flow};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, audit,
        marks::{self, Marked},
        recordings,
    },
    model::{
        id::RecordingId,
        name::Label,
        recording::{Recording, State},
    },
    policy::{Action, Permit},
};

/// The longest value of a label, in characters; as for those that come with a callback.
const LONGEST: usize = 64;

/// What is to be put right.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    /// New values by label; `None` takes a label away. Labels that are not named stay as they are.
    pub labels: BTreeMap<Label, Option<String>>,
}

impl Flow {
    /// Corrects what the catalogue says of a recording, and writes down which fields, never their values. To say what is so already changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover; [`Error::Invalid`], which names the field; [`Error::Shredded`].
    pub async fn correct(&self, permit: &Permit, id: RecordingId, correction: &Correction) -> Result<Recording, Error> {
        if permit.action() != Action::Correct {
            return Err(Error::NotFound);
        }
        self.check(correction)?;
        let recording = recordings::find(&mut self.0.ledger.read().await?, id).await?;
        let recording = recording.filter(|recording| permit.covers(&recording.account)).ok_or(Error::NotFound)?;
        if recording.state == State::Shredded {
            return Err(self.shredded(id).await?);
        }
        let now = self.now();
        let corrected = self.0.ledger.unit(|| async {
            let mut tx = self.0.ledger.begin().await?;
            let changed: BTreeSet<Label> = recordings::change_labels(&mut tx, id, &correction.labels).await?;
            if !changed.is_empty() {
                let fields: Vec<String> = changed.iter().map(|label| format!("labels.{label}")).collect();
                marks::set(&mut tx, Marked::Recording, &[id], now).await?;
                audit::append(&mut tx, NewEntry::recording_corrected(now, *permit.actor(), id, &fields)).await?;
            }
            tx.commit().await
        });
        match corrected.await {
            Ok(()) => {}
            // It was shredded between the look and the unit.
            Err(ledger::Error::Stale(_)) => return Err(self.shredded(id).await?),
            Err(other) => return Err(other.into()),
        }
        recordings::find(&mut self.0.ledger.read().await?, id).await?.ok_or(Error::NotFound)
    }

    fn check(&self, correction: &Correction) -> Result<(), Error> {
        if correction.labels.is_empty() {
            return Err(Error::Invalid("nothing to correct: name at least one of `labels`".into()));
        }
        let declared = &self.0.rulebook.current().document().collection.labels;
        for (label, value) in &correction.labels {
            if !declared.contains(label) {
                return Err(Error::Invalid(format!("`labels.{label}`: `labels` in `[collection]` of the policy does not declare it")));
            }
            if value.as_ref().is_some_and(|value| !(1..=LONGEST).contains(&value.chars().count())) {
                return Err(Error::Invalid(format!("`labels.{label}`: a value has 1 to {LONGEST} characters; null takes the label away")));
            }
        }
        Ok(())
    }
}
