//! Lists: whatever is asked for, in whatever order, page by page, while rows come in.

mod entries;
mod grouped;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{World, announcement, at, parsed, recording_id, source_ref};
use crate::{
    db::{
        accept::Announcement,
        audit::AuditOrder,
        grants::GrantState,
        recordings::{self, RecordingFilter, RecordingSort, SubjectFilter},
        revocations::RevocationProgress,
    },
    model::{
        id::{RecordingId, SubjectId},
        media::MediaKind,
        name::Label,
        recording::{Recording, RecordingState},
        sid::{AccountSid, CallSid, ConferenceSid, RoomSid},
        subject::{Conversation, ThreadId},
        text::LabelValue,
        time::Timestamp,
    },
    policy::{Permit, action},
    samples::words_are,
};

every_database!(
    recordings_are_listed_by_any_filters_in_any_order_while_more_come_in,
    labels_are_told_apart_whatever_is_in_them,
);

#[test]
fn the_words_of_lists_are_those_that_are_said() {
    // Every second word is the one before it without its sign, which `words_are` would not believe.
    let sorts = RecordingSort::ALL.iter().map(|sort| sort.as_str());
    assert_eq!(
        sorts.collect::<Vec<_>>().join(" "),
        "-announced_at announced_at -recorded_at recorded_at -sealed_at sealed_at"
    );
    for sort in RecordingSort::ALL {
        assert_eq!(sort.as_str().parse(), Ok(*sort));
        assert!(format!("-{sort}-").parse::<RecordingSort>().is_err());
    }
    words_are::<AuditOrder>("oldest newest");
    words_are::<GrantState>("living ended");
    words_are::<RevocationProgress>("running done");
}

const COUNT: u32 = 60;

fn call(number: u32) -> CallSid {
    parsed(&format!("CA{:032x}", number % 7))
}

fn conference(number: u32) -> ConferenceSid {
    parsed(&format!("CF{:032x}", number % 5))
}

fn room(number: u32) -> RoomSid {
    parsed(&format!("RM{number:032x}"))
}

fn thread(number: u32) -> ThreadId {
    parsed(&format!("thr_{:032x}", number % 5))
}

fn account(number: u32) -> AccountSid {
    source_ref(number, number % 3).account().clone()
}

fn subject(number: u8) -> SubjectId {
    SubjectId::of_hash(&[number; 32])
}

fn told(number: u32) -> Announcement {
    let queue: LabelValue = parsed(["sales", "Sales", "support"][number as usize % 3]);
    let mut labels: BTreeMap<Label, LabelValue> = [(parsed("queue"), queue)].into();
    if number.is_multiple_of(4) {
        labels.insert(parsed("team"), parsed("north"));
    }
    Announcement {
        labels,
        call: (!number.is_multiple_of(6)).then(|| call(number)),
        conference: number.is_multiple_of(4).then(|| conference(number)),
        thread: match number % 7 {
            0 => Some(Conversation::Thread(thread(number))),
            1 => Some(Conversation::Room(room(number % 3))),
            _ => None,
        },
        // Many at the same moment, and some without one.
        started_at: (!number.is_multiple_of(3))
            .then(|| at(-i64::from(number % 8) * 1000).as_millis()),
        tier: parsed(["standard", "restricted"][number as usize % 2]),
        ..announcement(number, "completed")
    }
}

/// Recordings with parties; two in three are sealed, at few times.
async fn stocked(world: &World) {
    for chunk in 0..6 {
        let some = (chunk * 10..chunk * 10 + 10).map(told);
        world.told(some.collect(), at(i64::from(chunk / 2))).await;
    }
    let mut tx = world.tx().await;
    for number in (0..COUNT).filter(|number| number % 3 != 1) {
        let when = at(100 + i64::from(number % 5));
        recordings::mark_sealed(&mut tx, recording_id(number), when)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let party = |conversation: &str, leg: &str, who: u8| {
        let subject = subject(who);
        format!(
            "INSERT INTO parties (conversation, account, leg, subject, named_at) VALUES ('{conversation}', '*', '{leg}', '{subject}', 0)"
        )
    };
    let parties = [
        party(call(1).as_str(), "caller", 1),
        party(call(2).as_str(), "caller", 2),
        party(call(2).as_str(), "callee", 1),
        party(conference(4).as_str(), "caller", 1),
    ];
    let parties: Vec<&str> = parties.iter().map(String::as_str).collect();
    world.sql(&parties).await;
}

async fn everything(world: &World) -> Vec<Recording> {
    let mut all = Vec::new();
    for number in 0..COUNT {
        all.push(world.find(recording_id(number)).await.unwrap());
    }
    all
}

fn may_be<T>(rng: &mut StdRng, make: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    rng.random_bool(0.25).then(|| make(rng))
}

fn any_filter(rng: &mut StdRng) -> RecordingFilter {
    let permit = Permit::of_operator(action::Consent);
    let sort = *RecordingSort::ALL.choose(rng).unwrap();
    let moment = |rng: &mut StdRng| match rng.random_range(0..3) {
        0 => at(rng.random_range(-8000..0)),
        1 => at(rng.random_range(0..3)),
        _ => at(rng.random_range(99..106)),
    };
    let labels = match rng.random_range(0..6) {
        0 => vec![("queue", "sales")],
        1 => vec![("queue", "sales"), ("team", "north")],
        2 => vec![("queue", "sale")],
        _ => vec![],
    };
    RecordingFilter {
        state: may_be(rng, |rng| {
            *[RecordingState::Sealed, RecordingState::Announced]
                .choose(rng)
                .unwrap()
        }),
        tier: may_be(rng, |_| parsed("restricted")),
        account: may_be(rng, |rng| account(rng.random_range(0..4))),
        call: may_be(rng, |rng| call(rng.random_range(0..7))),
        conference: may_be(rng, |rng| conference(rng.random_range(0..5))),
        thread: may_be(rng, |rng| thread(rng.random_range(0..5))),
        room: may_be(rng, |rng| room(rng.random_range(0..3))),
        conversation: may_be(rng, |rng| match rng.random_range(0..3) {
            0 => Conversation::Call(call(rng.random_range(0..7))),
            1 => Conversation::Conference(conference(rng.random_range(0..5))),
            _ => Conversation::Thread(thread(rng.random_range(0..5))),
        }),
        kind: may_be(rng, |rng| {
            let kinds = [
                MediaKind::CallAudio,
                MediaKind::CallAudio,
                MediaKind::Message,
            ];
            *kinds.choose(rng).unwrap()
        }),
        recording_sid: may_be(rng, |rng| {
            let number: u32 = rng.random_range(0..COUNT);
            parsed(&format!("RE{number:032x}"))
        }),
        labels: labels
            .into_iter()
            .map(|(name, value)| (parsed(name), parsed(value)))
            .collect(),
        subject: may_be(rng, |rng| {
            SubjectFilter::by(&permit, subject(rng.random_range(1..4)))
        }),
        since: may_be(rng, moment),
        until: may_be(rng, moment),
        sort,
        accounts: may_be(rng, |rng| account(rng.random_range(0..3)))
            .into_iter()
            .collect(),
        after: None,
    }
}

/// The time by which a list in this order goes, said once more and otherwise.
fn sorted_by(recording: &Recording, sort: RecordingSort) -> Option<Timestamp> {
    match sort.as_str().trim_start_matches('-') {
        "announced_at" => Some(recording.announced_at),
        "recorded_at" => Some(recording.collected_at),
        _ => recording.sealed_at,
    }
}

fn fits(filter: &RecordingFilter, recording: &Recording) -> bool {
    fn none_or<T: PartialEq>(wanted: &Option<T>, has: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| Some(wanted) == has)
    }
    let takes_part = |who: SubjectFilter| {
        let permit = Permit::of_operator(action::Consent);
        let is = |number| who == SubjectFilter::by(&permit, subject(number));
        let calls = [call(1), call(2)];
        let in_call = recording.call.as_ref();
        let is_in = |call: &CallSid| in_call == Some(call);
        is(1) && (calls.iter().any(is_in) || recording.conference == Some(conference(4)))
            || is(2) && is_in(&call(2))
    };
    let labels = &recording.labels;
    let Some(at) = sorted_by(recording, filter.sort) else {
        return false;
    };
    none_or(&filter.state, Some(&recording.state))
        && none_or(&filter.tier, Some(&recording.tier))
        && none_or(&filter.account, Some(recording.account()))
        && none_or(&filter.call, recording.call.as_ref())
        && none_or(&filter.conference, recording.conference.as_ref())
        && none_or(&filter.kind, Some(&recording.kind()))
        && filter.conversation.as_ref().is_none_or(|wanted| {
            let call = recording.call.clone().map(Conversation::Call);
            let conference = recording.conference.clone().map(Conversation::Conference);
            [call, conference, recording.thread.clone()].contains(&Some(wanted.clone()))
        })
        && none_or(
            &filter.thread.clone().map(Conversation::Thread),
            recording.thread.as_ref(),
        )
        && none_or(
            &filter.room.clone().map(Conversation::Room),
            recording.thread.as_ref(),
        )
        && filter
            .recording_sid
            .as_ref()
            .is_none_or(|sid| recording.source_ref.sid() == sid.as_str())
        && filter
            .labels
            .iter()
            .all(|(name, value)| labels.get(name).map(String::as_str) == Some(value.as_str()))
        && filter.subject.is_none_or(takes_part)
        && filter.since.is_none_or(|since| at >= since)
        && filter.until.is_none_or(|until| at < until)
        && (filter.accounts.is_empty() || filter.accounts.contains(recording.account()))
}

async fn recordings_are_listed_by_any_filters_in_any_order_while_more_come_in(world: &World) {
    stocked(world).await;
    let all = everything(world).await;
    let seed = rand::rng().next_u64();
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut found_some = 0;
    let mut newcomers = COUNT;
    for round in 0..150 {
        let mut filter = any_filter(rng);
        let mut expected: Vec<&Recording> = all
            .iter()
            .filter(|recording| fits(&filter, recording))
            .collect();
        expected
            .sort_by_key(|recording| (sorted_by(recording, filter.sort), recording.id.to_string()));
        if filter.sort.as_str().starts_with('-') {
            expected.reverse();
        }
        let limit = rng.random_range(1..9);
        let mut listed = Vec::new();
        loop {
            let mut tx = world.db.read().await.unwrap();
            let page = recordings::list(&mut tx, &filter, limit).await.unwrap();
            drop(tx);
            let Some(last) = page.last() else { break };
            filter.after = Some(filter.sort.place(last));
            listed.extend(page);
            // Some arrive meanwhile, at times before, at and behind the place.
            if round % 10 == 0 && newcomers < COUNT + 30 {
                world
                    .told(vec![told(newcomers)], at(rng.random_range(-1..4)))
                    .await;
                newcomers += 1;
            }
        }
        let ids: Vec<RecordingId> = listed.iter().map(|recording| recording.id).collect();
        let each: BTreeSet<RecordingId> = ids.iter().copied().collect();
        assert_eq!(each.len(), ids.len(), "none twice; seed {seed}: {filter:?}");
        let of_before: BTreeSet<RecordingId> = all.iter().map(|recording| recording.id).collect();
        let old: Vec<RecordingId> = ids
            .into_iter()
            .filter(|id| of_before.contains(id))
            .collect();
        let expected: Vec<RecordingId> = expected.iter().map(|recording| recording.id).collect();
        assert_eq!(old, expected, "seed {seed}: {filter:?}");
        found_some += usize::from(!expected.is_empty());
    }
    assert!(found_some > 10, "the filters find something: {found_some}");
    assert!(newcomers > COUNT, "some came in meanwhile");
}

async fn labels_are_told_apart_whatever_is_in_them(world: &World) {
    let texts = [
        "sales",
        "Sales",
        "sales\"",
        "\"queue\":\"sales\"",
        "sales\\",
        "sales\\\"",
        "%",
        "_____",
        "ümlaut",
        "sales\",\"team\":\"north",
        "$1' OR '1'='1",
    ];
    let with = |number: usize, text: &str| Announcement {
        labels: [(parsed("queue"), parsed(text))].into(),
        ..announcement(u32::try_from(number).unwrap(), "completed")
    };
    let all = texts.iter().enumerate().map(|(at, text)| with(at, text));
    world.told(all.collect(), at(0)).await;
    let listed = async |name: &str, text: &str| {
        let filter = RecordingFilter {
            labels: [(parsed(name), parsed(text))].into(),
            ..RecordingFilter::default()
        };
        let mut tx = world.db.read().await.unwrap();
        let page = recordings::list(&mut tx, &filter, 99).await.unwrap();
        page.into_iter()
            .map(|recording| recording.labels[&parsed::<Label>("queue")].clone())
            .collect::<Vec<_>>()
    };
    for text in texts {
        assert_eq!(listed("queue", text).await, [text]);
        assert_eq!(listed("team", text).await, [""; 0]);
        assert_eq!(listed("ueue", text).await, [""; 0]);
    }
    assert_eq!(listed("queue", "sale").await, [""; 0]);
}
