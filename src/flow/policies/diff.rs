//! Comparison of the policy in force with another version, over the catalogue.
//!
//! Owns reading the catalogue, page by page. Refuses to count: `policy` does. Nothing is written.

use super::{Policies, parsed_again, rulebook_beside};
use crate::{
    db::recordings::{self, RecordingFilter},
    flow::{error::Error, facts},
    policy::{Diff, PolicyComparison, Rules},
};

/// Recordings read at a time.
const PAGE: i64 = 1000;

impl Policies {
    /// Compares the version in force with another, over every recording. `say` is called regularly
    /// with the number of counted recordings.
    ///
    /// # Errors
    /// [`Error::Policy`] if an earlier version does not load; any database error.
    pub async fn diff(&self, new: Rules, say: &(dyn Fn(u64) + Sync)) -> Result<Diff, Error> {
        let present = parsed_again(self.rulebook.current())?;
        let to = rulebook_beside(&self.db, new, Some(present)).await?;
        let mut comparison = PolicyComparison::new(&self.rulebook, &to, self.clock.now());
        let mut filter = RecordingFilter::default();
        let mut counted = 0;
        loop {
            let mut tx = self.db.read().await?;
            let page = recordings::list(&mut tx, &filter, PAGE).await?;
            let known = facts::known_all(&mut tx, &page).await?;
            drop(tx);
            let Some(last) = page.last() else {
                return Ok(comparison.finish());
            };
            filter.after = Some(filter.sort.place(last));
            let nothing = facts::KnownFacts::default();
            for recording in &page {
                let known = known.get(&recording.id).unwrap_or(&nothing);
                comparison.count(recording, &known.consents, &known.holds);
            }
            counted += page.len() as u64;
            say(counted);
        }
    }
}
