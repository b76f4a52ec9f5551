//! Budgets: the number of openings, per principal, purpose and day. Openings are counted in the unit
//! that releases the key, so that two openings cannot both use the last one. A recording counts once
//! a day, whatever the grants under which it is opened; so does a conversation that is read as a
//! whole.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{grant_object::GrantObject, id::PrincipalId, name::Purpose, time::Timestamp};

table! {
    "budgets" {}

    #[derive(Debug)]
    pub(super) struct StoredBudget {
        key {
            principal: PrincipalId = "principal_id",
            purpose: Purpose = "purpose",
            day: i64 = "day",
        }
        used: i64 = "used",
    }
}

const DAY: i64 = 24 * 3600 * 1000;

/// The day of an instant, in days since 1970-01-01 UTC.
fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY)
}

table! {
    "budgeted" {}

    /// What is counted on a day.
    #[derive(Debug)]
    pub(super) struct BudgetedObject {
        key {
            principal: PrincipalId = "principal_id",
            purpose: Purpose = "purpose",
            day: i64 = "day",
            object: GrantObject = "object",
        }
    }
}

/// Returns how many recordings this principal has opened for this purpose on the day of `now`.
pub async fn used(
    tx: &mut Tx,
    principal: PrincipalId,
    purpose: &Purpose,
    now: Timestamp,
) -> Result<u32, Error> {
    const SQL: &str = "/* budgets.used */
        SELECT COALESCE(MAX(used), 0) FROM budgets WHERE principal_id = $1 AND purpose = $2 AND day = $3";
    let principal = principal.to_string();
    let args = [
        Arg::Text(&principal),
        Arg::Text(purpose.as_str()),
        Arg::Int(day(now)),
    ];
    let used = tx.fetch_int(SQL, &args).await?;
    Ok(u32::try_from(used).unwrap_or(u32::MAX))
}

/// Returns those of these that are already counted on the day of `now`; opening them again costs
/// nothing.
pub async fn counted(
    tx: &mut Tx,
    principal: PrincipalId,
    purpose: &Purpose,
    objects: &[GrantObject],
    now: Timestamp,
) -> Result<BTreeSet<GrantObject>, Error> {
    const SQL: &str = "/* budgets.counted */
        SELECT object FROM budgeted
        WHERE principal_id = $1 AND purpose = $2 AND day = $3 AND object IN (SELECT key FROM json_each($4))";
    let principal = principal.to_string();
    let objects = set(objects);
    let args = [
        Arg::Text(&principal),
        Arg::Text(purpose.as_str()),
        Arg::Int(day(now)),
        Arg::Text(&objects),
    ];
    tx.fetch_all(SQL, &args)
        .await?
        .iter()
        .map(|row| row.parse("budgeted", "object", "object"))
        .collect()
}

/// Returns whether [`spend`] would count this on the day of `now`. Counts nothing.
pub async fn has_room(
    tx: &mut Tx,
    principal: PrincipalId,
    purpose: &Purpose,
    object: &GrantObject,
    budget: Option<u32>,
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(budget) = budget else {
        return Ok(true);
    };
    if used(tx, principal, purpose, now).await? < budget {
        return Ok(true);
    }
    let counted = counted(tx, principal, purpose, std::slice::from_ref(object), now).await?;
    Ok(counted.contains(object))
}

/// Counts a recording or a conversation on the day of `now`, unless it is counted already or the
/// count would exceed `budget`. Returns whether it is counted. Without a budget it is counted as well, so
/// that a budget that comes into force during the day includes earlier openings.
pub async fn spend(
    tx: &mut Tx,
    principal: PrincipalId,
    purpose: &Purpose,
    object: &GrantObject,
    budget: Option<u32>,
    now: Timestamp,
) -> Result<bool, Error> {
    const ENTER: &str = formatcp!(
        "/* budgets.enter */ {} ON CONFLICT DO NOTHING",
        BudgetedObject::INSERT
    );
    const TAKE_OUT: &str = "/* budgets.take_out */
        DELETE FROM budgeted WHERE principal_id = $1 AND purpose = $2 AND day = $3 AND object = $4";
    const SPEND: &str = formatcp!(
        "/* budgets.spend */ {}
        ON CONFLICT (principal_id, purpose, day) DO UPDATE SET used = budgets.used + 1 WHERE budgets.used < $5",
        StoredBudget::INSERT
    );
    let day = day(now);
    let counted = BudgetedObject {
        principal,
        purpose: purpose.clone(),
        day,
        object: object.clone(),
    };
    if tx.insert_row(ENTER, &counted, &[]).await? == 0 {
        return Ok(true);
    }
    // The first opening of a day meets no row to compare with.
    let is_nothing = budget == Some(0);
    let budget = budget.map_or(i64::MAX, i64::from);
    let spent = StoredBudget {
        principal,
        purpose: purpose.clone(),
        day,
        used: 1,
    };
    if !is_nothing && tx.insert_row(SPEND, &spent, &[Arg::Int(budget)]).await? == 1 {
        return Ok(true);
    }
    let entry = [
        Arg::Text(&principal.to_string()),
        Arg::Text(purpose.as_str()),
        Arg::Int(day),
        Arg::Text(&object.to_string()),
    ];
    tx.execute(TAKE_OUT, &entry).await?;
    Ok(false)
}

/// Deletes the counts of the days before the day of `now`. Returns the number of deleted rows.
pub async fn remove_past(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "/* budgets.remove_past */ DELETE FROM budgets WHERE day < $1";
    const WHICH: &str = "/* budgets.remove_past_recordings */ DELETE FROM budgeted WHERE day < $1";
    tx.execute(WHICH, &[Arg::Int(day(now))]).await?;
    tx.execute(SQL, &[Arg::Int(day(now))]).await
}
