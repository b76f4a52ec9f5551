//! Which entries of the log a list holds, and in which order.
//!
//! Owns the filters and their conditions. Refuses to know who may ask: the permit says of which
//! accounts, and `of_accounts` what is about an account.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{StoredEntry, entries, of_accounts};
use crate::{
    db::{
        error::Error,
        query::{EXAMINED, ListQuery, is_full, members, text, time},
        table::{TableRow as _, Value},
        tx::Tx,
    },
    evidence::{AuditEvent, Entry},
    model::{
        actor::Actor,
        id::{PrincipalId, RecordingId},
        sid::AccountSid,
        time::Timestamp,
        word::{UnknownWord, unknown},
    },
};

/// The order of a list of entries.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum AuditOrder {
    /// The lowest number first.
    #[default]
    Oldest,
    /// The highest number first.
    Newest,
}

recvault_core::word_set!(AuditOrder);

/// Which entries to list, and in which order. As JSON: what a place in the list depends on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct AuditFilter {
    /// Only about this recording.
    pub recording: Option<RecordingId>,
    /// Only what this principal did, and what the log tells of them and their tokens.
    pub principal: Option<PrincipalId>,
    /// Only what this actor did.
    pub actor: Option<Actor>,
    /// Only these events; empty means all.
    pub events: Vec<AuditEvent>,
    /// Only at or after.
    pub since: Option<Timestamp>,
    /// Only before.
    pub until: Option<Timestamp>,
    /// The order.
    pub order: AuditOrder,
    /// Only of these accounts; empty means all. What the permit covers.
    #[serde(skip)]
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this number in the list.
    #[serde(skip)]
    pub after: Option<i64>,
}

impl AuditFilter {
    /// Every entry with a higher number, in order.
    pub fn after(seq: i64) -> Self {
        Self {
            after: Some(seq),
            ..Self::default()
        }
    }

    fn query(&self, after: Option<i64>, limit: i64) -> ListQuery {
        const HEAD: &str = formatcp!(
            "/* audit.list */ SELECT {} FROM audit WHERE true",
            StoredEntry::COLUMNS
        );
        // Of the events that name a principal who is not their actor, there are few.
        const PRINCIPAL: &str = "(actor = ? OR (event IN ('token.created', 'token.revoked', 'approval.decided') AND details LIKE ?))";
        // What names neither a recording, an account, a conversation nor a revocation is nobody's
        // whose sight is limited.
        const THEIRS: &str = "(recording_id IN (SELECT id FROM recordings WHERE account IN (SELECT key FROM json_each(?)))
          OR (recording_id IS NULL AND (details LIKE '%\"AC%' OR details LIKE '%\"conversation\"%' OR details LIKE '%\"revocation\"%')))";
        let mut query = ListQuery::of(HEAD);
        query.when("recording_id = ?", self.recording.map(text));
        query.when("actor = ?", self.actor.map(text));
        if let Some(principal) = self.principal {
            let named = text(format_args!("%\"{principal}\"%"));
            query.with(PRINCIPAL, [text(principal), named]);
        }
        query.when(
            "event IN (SELECT key FROM json_each(?))",
            members(&self.events),
        );
        query.when("at >= ?", self.since.map(time));
        query.when("at < ?", self.until.map(time));
        query.when(THEIRS, members(&self.accounts));
        let (behind, end) = match self.order {
            AuditOrder::Oldest => ("seq > ?", " ORDER BY seq LIMIT ?"),
            AuditOrder::Newest => ("seq < ?", " ORDER BY seq DESC LIMIT ?"),
        };
        query.when(behind, after.map(Value::Int));
        query.add(end, [Value::Int(limit)]);
        query
    }
}

/// A page of entries.
pub async fn list(tx: &mut Tx, filter: &AuditFilter, limit: i64) -> Result<Vec<Entry>, Error> {
    if filter.accounts.is_empty() {
        return entries(filter.query(filter.after, limit).rows(tx).await?);
    }
    let at_once = limit.max(EXAMINED);
    let mut found = Vec::new();
    let mut after = filter.after;
    loop {
        let page = entries(filter.query(after, at_once).rows(tx).await?)?;
        let seen = page.len();
        after = page.last().map(|last| last.seq).or(after);
        found.extend(of_accounts::only(tx, &filter.accounts, page).await?);
        if is_full(&mut found, seen, at_once, limit) {
            return Ok(found);
        }
    }
}
