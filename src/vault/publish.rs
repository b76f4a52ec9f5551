//! Publishing: a version of the privacy policy is signed and kept for ever.
//!
//! Owns what a publication leaves behind: the file, the signed statement, the entry in the audit
//! log. Refuses to know whether the file is a good one; it takes [`Rules`], which only a file
//! without a fault becomes. Doing it again changes nothing.

use super::{Error, Vault};
use crate::{
    evidence::{NewEntry, Publication},
    ledger::{Unit, marks::Marked, policies},
    model::actor::Initiator,
    policy::Rules,
};

impl Vault {
    /// Publishes a version: signs it, keeps it, notes it. True if it was not published before.
    ///
    /// # Errors
    /// [`Stale`](crate::ledger::Error::Stale) if the version was published with another file; the
    /// ledger's.
    pub async fn publish(&self, actor: Initiator, rules: &Rules) -> Result<bool, Error> {
        Ok(self
            .0
            .unit("publish.publish", async |mut unit| {
                self.write_policy(&mut unit, actor, rules, false).await
            })
            .await?
            .0)
    }

    /// Decides by these rules from now on; publishes them where that was not done before. True if
    /// that is new.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn put_in_force(&self, rules: &Rules) -> Result<bool, Error> {
        Ok(self
            .0
            .unit("publish.put_in_force", async |mut unit| {
                self.write_policy(&mut unit, Initiator::Vault, rules, true)
                    .await
            })
            .await?
            .1)
    }

    /// Whether the version is newly published, and whether it is newly in force.
    async fn write_policy(
        &self,
        unit: &mut Unit,
        actor: Initiator,
        rules: &Rules,
        in_force: bool,
    ) -> Result<(bool, bool), Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let statement = Publication::of(vault.id, rules, now).sign(&vault.signer);
        let published = policies::publish(
            unit,
            rules.digest(),
            rules.version(),
            rules.text(),
            &statement,
        )
        .await?;
        let began = in_force && policies::put_in_force(unit, rules.digest(), now).await?;
        if !published && !began {
            return Ok((false, false));
        }
        unit.mark(Marked::Policy, &[rules.digest()], now);
        let published_entry = published.then(|| NewEntry::policy_published(now, actor, rules));
        let began_entry = began.then(|| NewEntry::policy_in_force(now, actor, rules));
        let entries: Vec<NewEntry> = published_entry.into_iter().chain(began_entry).collect();
        unit.audit_all(entries);
        Ok((published, began))
    }
}
