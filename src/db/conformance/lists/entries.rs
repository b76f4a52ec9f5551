//! The audit log, asked.

use std::cmp::Reverse;

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{account, may_be};
use crate::{
    db::{
        audit::{self, AuditFilter, AuditOrder},
        conformance::{World, at, recording_id},
    },
    evidence::{AuditEvent, Entry, NewEntry},
    model::{
        actor::{Actor, Initiator},
        id::{GrantId, PrincipalId, TokenId},
    },
};

every_database!(entries_are_listed_by_any_filters_from_either_end_while_more_come_in,);

/// What is written by somebody about something.
fn any_entry(rng: &mut StdRng, principals: &[PrincipalId]) -> NewEntry {
    let now = at(rng.random_range(0..20));
    let id = *principals.choose(rng).unwrap();
    let other = *principals.choose(rng).unwrap();
    let credential = TokenId::random(rng);
    let by = *[
        Initiator::Principal { id, credential },
        Initiator::Operator,
        Initiator::Vault,
    ]
    .choose(rng)
    .unwrap();
    let recording = recording_id(rng.random_range(0..6));
    match rng.random_range(0..4) {
        0 => NewEntry::token_revoked(now, by, credential, other),
        1 => NewEntry::work_retried(now, by, Some(recording), 1),
        2 => NewEntry::work_dead(now, "fetch", 12, recording),
        _ => NewEntry::grant_ended(now, by, &recording.into(), GrantId::random(rng), None),
    }
}

fn any_audit_filter(rng: &mut StdRng, principals: &[PrincipalId]) -> AuditFilter {
    let events = [
        AuditEvent::TokenRevoked,
        AuditEvent::WorkRetried,
        AuditEvent::WorkDead,
        AuditEvent::VaultCreated,
    ];
    let actors = [
        Initiator::Operator.actor(),
        Actor::Vault,
        Actor::Principal(principals[0]),
    ];
    let count = rng.random_range(0..3);
    AuditFilter {
        recording: may_be(rng, |rng| recording_id(rng.random_range(0..7))),
        principal: may_be(rng, |rng| *principals.choose(rng).unwrap()),
        actor: may_be(rng, |rng| *actors.choose(rng).unwrap()),
        events: may_be(rng, |rng| events.sample(rng, count).copied().collect()).unwrap_or_default(),
        since: may_be(rng, |rng| at(rng.random_range(0..20))),
        until: may_be(rng, |rng| at(rng.random_range(0..20))),
        order: *AuditOrder::ALL.choose(rng).unwrap(),
        accounts: may_be(rng, |rng| account(rng.random_range(0..3)))
            .into_iter()
            .collect(),
        after: None,
    }
}

fn tells(filter: &AuditFilter, entry: &Entry) -> bool {
    let names = |id: &PrincipalId| entry.details.to_string().contains(&id.to_string());
    let is_theirs = entry.recording.is_some_and(|id| {
        let number = (0..6).find(|number| recording_id(*number) == id);
        filter.accounts.contains(&account(number.unwrap()))
    });
    filter
        .recording
        .is_none_or(|id| entry.recording == Some(id))
        && filter
            .principal
            .is_none_or(|id| entry.actor == Actor::Principal(id) || names(&id))
        && filter.actor.is_none_or(|actor| entry.actor == actor)
        && (filter.events.is_empty() || filter.events.contains(&entry.event))
        && filter.since.is_none_or(|since| entry.at >= since)
        && filter.until.is_none_or(|until| entry.at < until)
        && (filter.accounts.is_empty() || is_theirs)
}

async fn entries_are_listed_by_any_filters_from_either_end_while_more_come_in(world: &World) {
    world.announced(6).await;
    let seed = rand::rng().next_u64();
    let rng = &mut StdRng::seed_from_u64(seed);
    let principals = [PrincipalId::random(rng), PrincipalId::random(rng)];
    let append = async |entries: Vec<NewEntry>| {
        let mut tx = world.tx().await;
        audit::append_all(&mut tx, &entries).await.unwrap();
        tx.commit().await.unwrap();
    };
    append((0..300).map(|_| any_entry(rng, &principals)).collect()).await;
    let mut found_some = 0;
    for round in 0..120 {
        let mut all = audit::after(&mut world.db.read().await.unwrap(), 0, 1000)
            .await
            .unwrap();
        let mut filter = any_audit_filter(rng, &principals);
        all.retain(|entry| tells(&filter, entry));
        if filter.order == AuditOrder::Newest {
            all.sort_by_key(|entry| Reverse(entry.seq));
        }
        let expected: Vec<i64> = all.iter().map(|entry| entry.seq).collect();
        let limit = rng.random_range(1..40);
        let mut listed = Vec::new();
        let mut newcomers = 0;
        loop {
            let mut tx = world.db.read().await.unwrap();
            let page = audit::list(&mut tx, &filter, limit).await.unwrap();
            drop(tx);
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { break };
            filter.after = Some(last.seq);
            listed.extend(page.into_iter().map(|entry| entry.seq));
            if round % 20 == 0 && newcomers < 10 {
                newcomers += 1;
                append(vec![any_entry(rng, &principals)]).await;
            }
        }
        // What was written meanwhile comes behind the rest, or not at all.
        let (before, since) = listed.split_at(expected.len().min(listed.len()));
        assert!(before == expected, "seed {seed}: {filter:?}");
        let is_oldest = filter.order == AuditOrder::Oldest;
        assert!(since.is_empty() || is_oldest, "seed {seed}: {filter:?}");
        found_some += usize::from(!expected.is_empty());
    }
    assert!(found_some > 30, "the filters find something: {found_some}");
}
