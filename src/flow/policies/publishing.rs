//! The effects of a publication: the file, the signed statement, and the audit entry.
//!
//! Owns the unit of work that stores them. Refuses to check the file; it takes [`Rules`], which are
//! made only from a file without faults. Repeating it changes nothing.

use crate::{
    db::{outbox::OutboxKind, policies},
    evidence::NewEntry,
    model::actor::Initiator,
    policy::Rules,
    vault::{self, Vault},
};

/// Publishes a version if that was not done before, and puts it in force if `in_force`. Returns
/// whether it was not published before.
///
/// # Errors
/// [`Stale`](crate::db::Error::Stale) inside if the version was published with another file; any
/// database error.
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
