//! What a publication leaves behind: the file, the signed statement, the entry in the audit log.
//!
//! Owns the unit of work in which that becomes true. Refuses to know whether the file is a good
//! one; it takes [`Rules`], which only a file without a fault becomes. Doing it again changes
//! nothing.

use crate::{
    db::{outbox::OutboxKind, policies},
    evidence::NewEntry,
    model::actor::Initiator,
    policy::Rules,
    vault::{self, Vault},
};

/// Publishes a version where that was not done before, and decides by it from now on if `in_force`.
/// Whether it was not published before.
///
/// # Errors
/// [`Stale`](crate::db::Error::Stale) inside if the version was published with another file;
/// the database's.
pub(super) async fn write(
    vault: &Vault,
    actor: Initiator,
    rules: &Rules,
    in_force: bool,
) -> Result<bool, vault::Error> {
    let unit = vault.unit("publish.publish", async |mut unit| {
        let now = vault.now();
        let statement = vault.sign_publication(&mut unit, rules, now).await?;
        let digest = rules.digest();
        let version = rules.version();
        let published =
            policies::publish(&mut unit, digest, version, rules.text(), &statement).await?;
        let began = in_force && policies::put_in_force(&mut unit, digest, now).await?;
        if published || began {
            unit.to_journal(OutboxKind::Policy, &[digest], now);
        }
        if published {
            unit.audit(NewEntry::policy_published(now, actor, rules));
        }
        if began {
            unit.audit(NewEntry::policy_in_force(now, actor, rules));
        }
        Ok(published)
    });
    unit.await
}
