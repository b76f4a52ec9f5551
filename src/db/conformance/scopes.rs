//! What one account tells of a conversation counts for its own recordings only.

use std::collections::BTreeSet;

use super::{World, announcement, at, parsed, recording_id, vouched};
use crate::{
    db::{
        accept::{self, Announcement, Then},
        chats::{self, ChatRow},
        consents::{self, ConsentRow},
        details, exports,
        parties::{self, Naming},
        recordings,
        revocations::{self, Revocation},
        session_calls::{self, SessionCall},
        waiting::{self, PendingPlace},
    },
    model::{
        actor::Initiator,
        consent::{Answer, Method, Statement, Whom},
        id::{RecordingId, RevocationId, SubjectId},
        revocation::Target,
        sid::{AccountSid, CallSid, ChatSid},
        subject::{Conversation, Party, PartyScope, Presence},
    },
};

every_database!(
    who_is_named_by_one_account_is_nobody_in_the_recordings_of_another,
    who_is_named_for_every_account_is_named_in_each,
    what_waits_and_what_is_sealed_of_people_is_the_accounts_own,
    a_statement_counts_for_the_accounts_of_who_told_it,
    a_chat_and_a_session_of_one_id_are_two_in_two_accounts,
    a_place_is_reached_in_what_it_wrote_and_received,
    what_is_dated_back_behind_a_revocation_is_reached,
);

fn account(number: u32) -> AccountSid {
    parsed(&format!("AC{number:032x}"))
}

fn person(number: u8) -> SubjectId {
    SubjectId::of_hash(&[number; 32])
}

fn chat() -> Conversation {
    parsed(&format!("CH{:032x}", 7))
}

fn party(leg: &str, who: u8) -> Party {
    Party {
        leg: parsed(leg),
        subject: Some(person(who)),
        channel: None,
        presence: Presence::ALWAYS,
    }
}

/// A sealed message of the chat in each of two accounts, by the same leg.
async fn two_accounts(world: &World) -> [RecordingId; 2] {
    let told = [0, 1].map(|number| Announcement {
        thread: Some(chat()),
        author: Some(parsed("mb")),
        source_ref: super::source_ref(number, number),
        ..announcement(number, "completed")
    });
    world.told(told.to_vec(), at(0)).await;
    let ids = [0, 1].map(recording_id);
    let mut tx = world.tx().await;
    for id in &ids {
        recordings::mark_sealed(&mut tx, *id, at(1)).await.unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

async fn named(world: &World, scope: &PartyScope, parties: &[Party]) -> Naming {
    let mut tx = world.tx().await;
    let naming = parties::name(&mut tx, &chat(), scope, parties, &vouched(), at(2)).await;
    tx.commit().await.unwrap();
    naming.unwrap()
}

fn revocation(target: Target) -> Revocation {
    Revocation {
        id: RevocationId::random(&mut rand::rng()),
        target,
        purposes: [].into(),
        accounts: [].into(),
        reason: parsed("subject-request"),
        actor: Initiator::Operator.actor(),
        revoked_at: at(5),
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
    }
}

async fn reached(world: &World, who: u8) -> BTreeSet<RecordingId> {
    let revocation = revocation(Target::Subject(person(who)));
    let mut tx = world.tx().await;
    let found = revocations::reached(&mut tx, &revocation, None, 9).await;
    let exported = exports::recordings(&mut tx, person(who), &[].into(), None, 9).await;
    let found: BTreeSet<RecordingId> = found.unwrap().into_iter().collect();
    assert_eq!(found, exported.unwrap().into_iter().collect());
    found
}

async fn who_is_named_by_one_account_is_nobody_in_the_recordings_of_another(world: &World) {
    let ids = two_accounts(world).await;
    let scopes = [0, 1].map(|number| PartyScope::from(&account(number)));
    // The same place, with another person in each; neither takes it from the other.
    for (scope, who) in scopes.iter().zip([1, 2]) {
        let naming = named(world, scope, &[party("mb", who)]).await;
        assert_eq!(naming, Naming::Done(1));
        assert_eq!(
            named(world, scope, &[party("mb", who)]).await,
            Naming::Done(0)
        );
    }
    let mut tx = world.tx().await;
    for (number, scope) in scopes.iter().enumerate() {
        let who = u8::try_from(number).unwrap() + 1;
        let known = parties::of(&mut tx, scope, &[chat()]).await.unwrap();
        assert_eq!(known[&chat()], [party("mb", who)]);
        let account = account(u32::try_from(number).unwrap());
        let there = recordings::subjects_in(&mut tx, &account, &chat()).await;
        assert_eq!(there.unwrap(), [person(who)].into());
        let recording = recordings::find(&mut tx, ids[number])
            .await
            .unwrap()
            .unwrap();
        let gathered = consents::gather(&mut tx, std::slice::from_ref(&recording)).await;
        assert_eq!(gathered.unwrap()[&ids[number]].parties, [party("mb", who)]);
    }
    drop(tx);
    assert_eq!(reached(world, 1).await, [ids[0]].into());
    assert_eq!(reached(world, 2).await, [ids[1]].into());
    // What they wrote is their own, and what they never wrote is not received either.
    for (who, id) in [(1, ids[0]), (2, ids[1])] {
        let revocation = revocation(Target::Subject(person(who)));
        let mut tx = world.tx().await;
        let received = revocations::received(&mut tx, &revocation, &[id]).await;
        assert_eq!(received.unwrap(), [].into());
        revocations::insert(&mut tx, &revocation, at(9))
            .await
            .unwrap();
        let mut covered = Vec::new();
        for id in &ids {
            let recording = recordings::find(&mut tx, *id).await.unwrap().unwrap();
            let covering = revocations::covering(&mut tx, &recording).await.unwrap();
            covered.extend((!covering.is_empty()).then_some(*id));
        }
        assert_eq!(covered, [id]);
    }
}

async fn who_is_named_for_every_account_is_named_in_each(world: &World) {
    let ids = two_accounts(world).await;
    let every = PartyScope::Every;
    assert_eq!(
        named(world, &every, &[party("mb", 1)]).await,
        Naming::Done(1)
    );
    assert_eq!(reached(world, 1).await, ids.into());
    // Nobody else takes the place in one of them.
    let own = PartyScope::from(&account(0));
    let taken = Naming::Taken(vec![parsed("mb")]);
    assert_eq!(named(world, &own, &[party("mb", 2)]).await, taken);
    // Whoever is known in one is there instead of somebody unknown.
    let unknown = Party {
        subject: None,
        ..party("other", 9)
    };
    named(world, &every, std::slice::from_ref(&unknown)).await;
    named(world, &own, &[party("other", 2)]).await;
    let mut tx = world.tx().await;
    let others = PartyScope::from(&account(1));
    for (scope, there) in [(&own, party("other", 2)), (&others, unknown)] {
        let known = parties::of(&mut tx, scope, &[chat()]).await.unwrap();
        assert_eq!(known[&chat()], [party("mb", 1), there]);
    }
}

async fn what_waits_and_what_is_sealed_of_people_is_the_accounts_own(world: &World) {
    let ids = two_accounts(world).await;
    let scopes = [0, 1].map(|number| PartyScope::from(&account(number)));
    for scope in &scopes {
        named(world, scope, &[party("mb", 1)]).await;
    }
    let mut tx = world.tx().await;
    for (scope, id) in scopes.iter().zip(ids) {
        let own = details::sealed_of(&mut tx, scope, &chat()).await.unwrap();
        assert_eq!(own, [id]);
    }
    let place = |scope: &PartyScope| PendingPlace {
        conversation: chat(),
        scope: scope.clone(),
        leg: parsed("mb"),
    };
    for scope in &scopes {
        waiting::put(&mut tx, &place(scope), &[7]).await.unwrap();
    }
    let [one, other] = &scopes;
    let found = waiting::find(&mut tx, one, &[chat()]).await.unwrap();
    assert_eq!(found, [(place(one), vec![7])].into());
    waiting::clear(&mut tx, one, &[chat()]).await.unwrap();
    waiting::clear_of(&mut tx, &ids[..1]).await.unwrap();
    let left = waiting::chunk(&mut tx, None, 9).await.unwrap();
    assert_eq!(left, [(place(other), vec![7])]);
}

async fn a_statement_counts_for_the_accounts_of_who_told_it(world: &World) {
    let ids = two_accounts(world).await;
    let statement = Statement {
        id: parsed(&format!("cns_{:032x}", 1)),
        whom: Whom::Leg(chat(), Some(parsed("mb"))),
        purposes: BTreeSet::new(),
        answer: Answer::Given,
        method: Method::Keypad,
        disclosure: None,
        policy_version: None,
        at: at(1),
        recorded_at: at(1),
    };
    let row = ConsentRow {
        statement,
        accounts: [account(1)].into(),
        evidence: Vec::new(),
        recorded_by: Initiator::Vault.actor(),
        vouched: vouched(),
    };
    let mut tx = world.tx().await;
    consents::insert_new(&mut tx, std::slice::from_ref(&row))
        .await
        .unwrap();
    let all = recordings::find_all(&mut tx, &ids).await.unwrap();
    let gathered = consents::gather(&mut tx, &all).await.unwrap();
    assert_eq!(gathered[&ids[0]].statements, []);
    assert_eq!(gathered[&ids[1]].statements, [row.statement]);
}

async fn a_chat_and_a_session_of_one_id_are_two_in_two_accounts(world: &World) {
    let sid: ChatSid = parsed(&format!("CH{:032x}", 7));
    let mut tx = world.tx().await;
    for number in [0, 1] {
        let row = ChatRow {
            told_index: Some(u64::from(number)),
            removed_at: (number == 1).then(|| at(4)),
            ..ChatRow::of(&account(number), &sid)
        };
        assert!(chats::note(&mut tx, &row).await.unwrap());
    }
    let own = chats::find(&mut tx, &account(0), &sid)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((own.told_index, own.removed_at), (Some(0), None));
    let open = chats::open_chats(&mut tx, &account(1)).await.unwrap();
    assert_eq!(open, [], "the other one is removed");

    let call: CallSid = parsed(&format!("CA{:032x}", 7));
    let row = |number: u32| SessionCall {
        call: call.clone(),
        account: account(number),
        session: parsed(&format!("KC{number:032x}")),
        caller: None,
        callee: None,
        told_at: at(1),
    };
    for number in [0, 1] {
        let rows = [row(number)];
        let new = session_calls::enter(&mut tx, &rows, at(1)).await.unwrap();
        assert_eq!(new, 1);
    }
    for number in [0, 1] {
        let found = session_calls::find(&mut tx, &account(number), &call).await;
        assert_eq!(found.unwrap(), Some(row(number)));
    }
    tx.commit().await.unwrap();
    let told = [0, 1].map(|number| Announcement {
        call: Some(call.clone()),
        source_ref: super::source_ref(number, number),
        ..announcement(number, "completed")
    });
    world.told(told.to_vec(), at(0)).await;
    let mut tx = world.tx().await;
    let calls = std::slice::from_ref(&call);
    let session = row(0).session;
    let grouped = session_calls::group(&mut tx, &account(0), calls, &session, true).await;
    assert_eq!(grouped.unwrap(), [recording_id(0)]);
}

/// Three messages of a chat: one that the place wrote, one that it received, one from before it came.
async fn a_place_is_reached_in_what_it_wrote_and_received(world: &World) {
    let told = [(0, "mb", 3), (1, "other", 3), (2, "other", 1)].map(|(number, author, began)| {
        Announcement {
            thread: Some(chat()),
            author: Some(parsed(author)),
            started_at: Some(at(began).as_millis()),
            ..announcement(number, "completed")
        }
    });
    world.told(told.to_vec(), at(3)).await;
    let ids = [0, 1, 2].map(recording_id);
    let there = Party {
        presence: Presence {
            joined_at: Some(at(2)),
            left_at: None,
        },
        ..party("mb", 1)
    };
    named(world, &PartyScope::Every, &[there, party("other", 2)]).await;
    let place = revocation(Target::Place(chat(), parsed("mb")));
    let mut tx = world.tx().await;
    let found = revocations::reached(&mut tx, &place, None, 9)
        .await
        .unwrap();
    let found: BTreeSet<RecordingId> = found.into_iter().collect();
    assert_eq!(found, [ids[0], ids[1]].into());
    let received = revocations::received(&mut tx, &place, &ids[..2]).await;
    assert_eq!(received.unwrap(), [ids[1]].into());
    revocations::insert(&mut tx, &place, at(9)).await.unwrap();
    for (id, is_covered) in ids.into_iter().zip([true, true, false]) {
        let recording = recordings::find(&mut tx, id).await.unwrap().unwrap();
        let covering = revocations::covering(&mut tx, &recording).await.unwrap();
        assert_eq!(!covering.is_empty(), is_covered, "{id}");
    }
    let again = revocations::reach_again(&mut tx, &chat(), at(9)).await;
    assert_eq!(again.unwrap(), [place.id]);
}

async fn what_is_dated_back_behind_a_revocation_is_reached(world: &World) {
    let told = |began: i64| Announcement {
        thread: Some(chat()),
        author: Some(parsed("mb")),
        started_at: Some(at(began).as_millis()),
        ..announcement(0, "completed")
    };
    world.told(vec![told(8)], at(8)).await;
    named(world, &PartyScope::Every, &[party("mb", 1)]).await;
    let revocation = revocation(Target::Subject(person(1)));
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, recording_id(0), at(8))
        .await
        .unwrap();
    revocations::insert(&mut tx, &revocation, at(9))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world
        .sql(&["UPDATE revocations SET state = 'done'", "DELETE FROM work"])
        .await;
    let is_done = async || {
        let mut tx = world.tx().await;
        let found = revocations::find(&mut tx, revocation.id).await;
        found.unwrap().unwrap().is_done
    };
    let tell = async |began: i64| {
        let told = told(began);
        let announced = world.db.unit("told", async |mut unit| {
            unit.without_entry("a test");
            accept::share_names(&mut unit, &[&told]).await?;
            accept::announce(&mut unit, &[&told], Then::Seal, at(9)).await
        });
        announced.await.unwrap();
    };
    tell(7).await;
    assert!(is_done().await, "it is still after the revocation");
    tell(4).await;
    assert!(!is_done().await);
    assert_eq!(reached(world, 1).await, [recording_id(0)].into());
}
