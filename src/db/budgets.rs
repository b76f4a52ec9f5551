//! Openings per principal, purpose and day: counted in the unit that releases the key, so that no
//! two openings share the last one.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{id::PrincipalId, name::Purpose, time::Timestamp};

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

/// How many recordings this principal has opened for this purpose on the day of `now`.
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

/// Counts one opening on the day of `now`, if that leaves no more than `budget` of them; whether it
/// did. Without a budget it counts all the same: one that comes into force during the day knows of
/// the morning.
pub async fn spend(
    tx: &mut Tx,
    principal: PrincipalId,
    purpose: &Purpose,
    budget: Option<u32>,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = formatcp!(
        "/* budgets.spend */ {}
        ON CONFLICT (principal_id, purpose, day) DO UPDATE SET used = budgets.used + 1 WHERE budgets.used < $5",
        StoredBudget::INSERT
    );
    // The first of a day meets no row to compare with.
    if budget == Some(0) {
        return Ok(false);
    }
    let budget = budget.map_or(i64::MAX, i64::from);
    let row = StoredBudget {
        principal,
        purpose: purpose.clone(),
        day: day(now),
        used: 1,
    };
    Ok(tx.insert_row(SQL, &row, &[Arg::Int(budget)]).await? == 1)
}

/// Forgets the days before that of `now`. How many rows.
pub async fn remove_past(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "/* budgets.remove_past */ DELETE FROM budgets WHERE day < $1";
    tx.execute(SQL, &[Arg::Int(day(now))]).await
}
