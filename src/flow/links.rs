//! Links that the source states: a recording has copies at the source that may be recordings of their
//! own.
//!
//! Owns which copies are which recordings. Refuses to know what follows from a link (`db::links`). Both
//! are recordings with an exact link, not one: a message must be durable before its webhook is
//! answered, and what names it often comes later, or was there before.

use std::collections::BTreeSet;

use crate::{
    db::{self, Unit, links, outbox::OutboxKind},
    model::{
        id::{RecordingId, VaultId},
        link::LinkReason,
        media::{MediaKind, Product, SourceRef},
        source::{CopyKind, SourceCopy},
        time::Timestamp,
    },
};

/// Links a recording with the messages among its copies at the source, whether they came or not.
/// Repeating it changes nothing.
///
/// # Errors
/// The database's.
pub(super) async fn link_copies(
    unit: &mut Unit,
    vault: VaultId,
    source: &SourceRef,
    copies: &[SourceCopy],
    now: Timestamp,
) -> Result<(), db::Error> {
    let why = match (source.kind(), source.product()) {
        (MediaKind::ChatMessage, _) => LinkReason::DeliveryReceipt,
        (MediaKind::Message, Product::Proxy) => LinkReason::Interaction,
        _ => return Ok(()),
    };
    let messages = copies.iter().filter(|copy| copy.kind == CopyKind::Message);
    let others: BTreeSet<RecordingId> = messages
        .filter_map(|copy| SourceRef::parse(source.account().clone(), &copy.sid).ok())
        .map(|other| other.recording_id(vault))
        .collect();
    let linked = links::enter(unit, source.recording_id(vault), &others, why).await?;
    unit.to_journal(OutboxKind::Recording, &linked, now);
    Ok(())
}
