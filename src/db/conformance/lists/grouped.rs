//! Conversations, listed.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{COUNT, account, everything, may_be, stocked, subject, told};
use crate::{
    db::{
        conformance::{World, at},
        conversations::{self, ConversationFilter, ConversationSort, ListedConversation},
        recordings::SubjectFilter,
    },
    model::{
        id::RecordingId,
        recording::Recording,
        sid::AccountSid,
        subject::{Conversation, ConversationKind},
        time::Timestamp,
    },
    policy::{Permit, action},
};

every_database!(
    conversations_are_listed_by_any_filters_in_any_order,
    conversations_that_begin_meanwhile_move_no_other,
);

#[test]
fn the_words_of_the_order_are_those_that_are_said() {
    let sorts = ConversationSort::ALL.iter().map(|sort| sort.as_str());
    assert_eq!(
        sorts.collect::<Vec<_>>().join(" "),
        "-latest_at latest_at -began_at began_at"
    );
    for sort in ConversationSort::ALL {
        assert_eq!(sort.as_str().parse(), Ok(*sort));
    }
}

/// What belongs together, told once more and otherwise: the first and the latest of each.
fn groups(all: &[Recording]) -> Vec<(Conversation, AccountSid, Vec<&Recording>)> {
    let mut groups: BTreeMap<(Conversation, AccountSid), Vec<&Recording>> = BTreeMap::new();
    for recording in all {
        let call = recording.call.clone().map(Conversation::Call);
        let conference = recording.conference.clone().map(Conversation::Conference);
        let Some(widest) = recording.thread.clone().or(conference).or(call) else {
            continue;
        };
        let key = (widest, recording.account().clone());
        groups.entry(key).or_default().push(recording);
    }
    let groups = groups.into_iter().map(|((id, account), mut of)| {
        of.sort_by_key(|recording| (recording.collected_at, recording.id.to_string()));
        (id, account, of)
    });
    groups.collect()
}

fn any_filter(rng: &mut StdRng) -> ConversationFilter {
    let permit = Permit::of_operator(action::Consent);
    ConversationFilter {
        account: may_be(rng, |rng| account(rng.random_range(0..4))),
        kind: may_be(rng, |rng| *ConversationKind::ALL.choose(rng).unwrap()),
        subject: may_be(rng, |rng| {
            SubjectFilter::by(&permit, subject(rng.random_range(1..4)))
        }),
        since: may_be(rng, |rng| at(rng.random_range(-8000..3))),
        until: may_be(rng, |rng| at(rng.random_range(-8000..3))),
        sort: *ConversationSort::ALL.choose(rng).unwrap(),
        accounts: may_be(rng, |rng| account(rng.random_range(0..3)))
            .into_iter()
            .collect(),
        after: None,
    }
}

async fn pages(
    world: &World,
    mut filter: ConversationFilter,
    limit: i64,
) -> Vec<ListedConversation> {
    let mut all = Vec::new();
    loop {
        let mut tx = world.db.read().await.unwrap();
        let page = conversations::list(&mut tx, &filter, limit).await.unwrap();
        let Some(last) = page.last() else {
            return all;
        };
        filter.after = Some(last.place);
        all.extend(page);
    }
}

async fn conversations_are_listed_by_any_filters_in_any_order(world: &World) {
    stocked(world).await;
    let all = everything(world).await;
    let groups = groups(&all);
    let seed = rand::rng().next_u64();
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut found_some = 0;
    for _ in 0..150 {
        let filter = any_filter(rng);
        let is_latest = filter.sort.as_str().ends_with("latest_at");
        let place = |of: &[&Recording]| {
            let end = if is_latest { of[of.len() - 1] } else { of[0] };
            (end.collected_at, end.id)
        };
        let recordings_of = async |who: SubjectFilter| {
            let filter = crate::db::recordings::RecordingFilter {
                subject: Some(who),
                ..Default::default()
            };
            let mut tx = world.db.read().await.unwrap();
            let found = crate::db::recordings::list(&mut tx, &filter, 999).await;
            let ids = found.unwrap().into_iter().map(|recording| recording.id);
            ids.collect::<BTreeSet<RecordingId>>()
        };
        let theirs = match filter.subject {
            Some(who) => Some(recordings_of(who).await),
            None => None,
        };
        let fits = |(id, account, of): &&(Conversation, AccountSid, Vec<&Recording>)| {
            let (at, end) = place(of);
            filter.account.as_ref().is_none_or(|only| only == account)
                && filter.kind.is_none_or(|kind| id.kind() == kind)
                && theirs.as_ref().is_none_or(|theirs| theirs.contains(&end))
                && filter.since.is_none_or(|since| at >= since)
                && filter.until.is_none_or(|until| at < until)
                && (filter.accounts.is_empty() || filter.accounts.contains(account))
        };
        let mut expected: Vec<_> = groups.iter().filter(fits).collect();
        expected.sort_by_key(|(_, _, of)| {
            let (at, id) = place(of);
            (at, id.to_string())
        });
        if filter.sort.as_str().starts_with('-') {
            expected.reverse();
        }
        let expected: Vec<(&Conversation, Timestamp, Timestamp)> = expected
            .iter()
            .map(|(id, _, of)| (id, of[0].collected_at, of[of.len() - 1].collected_at))
            .collect();
        let listed = pages(world, filter.clone(), rng.random_range(1..9)).await;
        let listed: Vec<(&Conversation, Timestamp, Timestamp)> = listed
            .iter()
            .map(|one| (&one.id, one.began_at, one.latest_at))
            .collect();
        assert_eq!(listed, expected, "seed {seed}: {filter:?}");
        found_some += usize::from(!expected.is_empty());
    }
    assert!(found_some > 20, "the filters find something: {found_some}");
}

async fn conversations_that_begin_meanwhile_move_no_other(world: &World) {
    stocked(world).await;
    let filter = ConversationFilter {
        sort: ConversationSort::OldestBegun,
        ..ConversationFilter::default()
    };
    let before = pages(world, filter.clone(), 99).await;
    let mut paged = filter;
    let mut found = Vec::new();
    for newcomer in COUNT.. {
        let mut tx = world.db.read().await.unwrap();
        let page = conversations::list(&mut tx, &paged, 2).await.unwrap();
        drop(tx);
        let Some(last) = page.last() else { break };
        paged.after = Some(last.place);
        found.extend(page.into_iter().map(|one| one.place));
        let late = crate::db::accept::Announcement {
            started_at: Some(at(50).as_millis()),
            ..told(newcomer)
        };
        world.told(vec![late], at(60)).await;
    }
    let before: Vec<_> = before.into_iter().map(|one| one.place).collect();
    assert_eq!(found[..before.len()], before, "none is missed or moved");
    let each: BTreeSet<_> = found.iter().collect();
    assert_eq!(each.len(), found.len(), "none twice");
}
