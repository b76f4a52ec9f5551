//! Which grants a move to another tier closes.
//!
//! Owns the comparison of two decisions: by the recording as it was, and as it is. Refuses to end
//! anything: each opening is decided again, and running streams end with the move.

use std::collections::BTreeSet;

use crate::{
    db::{
        Db,
        grants::{self, GrantFilter, GrantState},
        tokens,
    },
    flow::{asking::Circumstances, error::Error},
    model::{id::GrantId, recording::Recording, time::Timestamp},
    policy::{Decision, DecisionFacts, Reason, Rulebook, decide},
};

/// Grants looked up at a time.
const PAGE: i64 = 1000;

/// The living grants of a recording for which there is a reason to refuse now that there was not
/// before it moved. From where a listener will ask is not known here, and is the same before and
/// after.
///
/// # Errors
/// The database's.
pub(super) async fn closed_by_move(
    db: &Db,
    rulebook: &Rulebook,
    before: &Recording,
    now: &Recording,
    at: Timestamp,
) -> Result<Vec<GrantId>, Error> {
    let mut closed = Vec::new();
    if before.tier == now.tier {
        return Ok(closed);
    }
    let mut filter = GrantFilter {
        object: Some(now.id.into()),
        state: Some(GrantState::Living),
        ..GrantFilter::default()
    };
    loop {
        let mut tx = db.read().await?;
        let page = grants::list(&mut tx, &filter, at, PAGE).await?;
        for grant in &page {
            let row = &grant.row;
            let Some(principal) = tokens::living(&mut tx, row.token, at).await? else {
                continue;
            };
            let circumstances =
                Circumstances::gather(&mut tx, &principal, now, &row.purpose, at).await?;
            let reasons = |recording| {
                let facts = circumstances.claimed(&principal, recording, row, None);
                reasons(&facts, rulebook, at)
            };
            if !reasons(now).is_subset(&reasons(before)) {
                closed.push(row.id);
            }
        }
        match page.last() {
            Some(last) if page.len() as i64 >= PAGE => {
                filter.after = Some((last.row.issued_at, last.row.id));
            }
            _ => return Ok(closed),
        }
    }
}

/// Why a claim is refused; nothing if it is allowed.
fn reasons(facts: &DecisionFacts<'_>, rulebook: &Rulebook, at: Timestamp) -> BTreeSet<Reason> {
    match decide(facts, rulebook, at) {
        Decision::Allow(_) => BTreeSet::new(),
        Decision::Deny(denial) => denial
            .refusals()
            .iter()
            .map(|refusal| refusal.reason)
            .collect(),
    }
}
