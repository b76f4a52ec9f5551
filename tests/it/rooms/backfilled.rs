//! The rooms of an existing account, of which no callback told: tracks and compositions are listed day
//! by day, and whoever was in a room is asked for as after a callback.

use std::time::Duration;

use recvault::{
    demo::stand_in::{CompositionFacts, TrackFacts},
    flow::{AccountBackfilled, Backfilling},
    model::{id::RecordingId, media::MediaKind, time::Timestamp},
};
use serde_json::json;

use super::{Meeting, recipe, room};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Database, TestVault},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl TestVault {
    /// Lists the tracks and compositions of all accounts.
    async fn lists_rooms(&self, since: Timestamp, dry_run: bool) -> Vec<AccountBackfilled> {
        let backfills = &self.process.flow.backfills;
        let wanted = Backfilling {
            account: None,
            since,
            until: None,
            dry_run,
            restart: false,
            hold_back: None,
        };
        let plan = backfills.plan(&wanted).await.unwrap();
        let mut all = backfills.run(&plan, &|_| ()).await.unwrap();
        assert!(all.iter().all(|one| one.fault.is_none()), "{all:?}");
        all.retain(|one| {
            matches!(
                one.kind,
                MediaKind::VideoTrack | MediaKind::VideoComposition
            )
        });
        all
    }

    /// Time passes here and at Twilio.
    fn days_pass(&self, days: u32) {
        self.clock.advance(DAY * days);
        self.stand_in.advance(DAY * days);
    }

    fn source(&self, sid: &str) -> RecordingId {
        RecordingId::of_source(self.made.vault, self.account.as_str(), sid)
    }
}

/// Returns how many items were listed and announced, of each kind.
fn counts(done: &[AccountBackfilled], kind: MediaKind) -> (u64, u64) {
    let of_kind = done.iter().filter(|one| one.kind == kind);
    of_kind.fold((0, 0), |(listed, announced), one| {
        (listed + one.listed, announced + one.announced)
    })
}

async fn what_twilio_shows_of_an_accounts_rooms_is_sealed(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let below = vault.opens_subaccount().await;
    let begin = vault.clock.now().before(Duration::from_secs(3600));
    let meeting = Meeting::of(&vault);
    let hers = meeting.track(&vault, &meeting.alice);
    let his = meeting.track(&vault, &meeting.bob);
    let gone = meeting.track(&vault, &meeting.bob);
    vault
        .stand_in
        .change_track(&gone, |facts| facts.status = "deleted".to_owned());
    // The composition is made a day later, and not complete when it is listed first.
    vault.days_pass(1);
    let both = meeting.composition(&vault);
    let media = CompositionFacts::new(&meeting.room).media;
    vault.stand_in.change_composition(&both, |facts| {
        facts.status = "processing".to_owned();
        facts.media = None;
    });
    let theirs = room();
    let carol = vault
        .stand_in
        .add_room_participant(&below, &theirs, "carol");
    let apart = vault
        .stand_in
        .add_track(&below, TrackFacts::new(&theirs, &carol));
    vault.days_pass(20);

    let counted = vault.lists_rooms(begin, true).await;
    assert_eq!(counts(&counted, MediaKind::VideoTrack), (3, 3));
    assert!(counted.iter().any(|one| one.bytes > 0 && one.seconds > 0));
    let done = vault.lists_rooms(begin, false).await;
    assert_eq!(counts(&done, MediaKind::VideoTrack), (3, 3));
    assert_eq!(counts(&done, MediaKind::VideoComposition), (1, 0));
    work(&vault).await;
    let apart = RecordingId::of_source(vault.made.vault, below.as_str(), apart.as_str());
    let (hers, his) = (vault.source(hers.as_str()), vault.source(his.as_str()));
    for (id, person) in [
        (hers, "client:alice"),
        (his, "client:bob"),
        (apart, "client:carol"),
    ] {
        assert_eq!(vault.state(id).await, "sealed");
        assert_eq!(vault.people_in(id).await, [person]);
    }
    assert!(!vault.has_row(vault.source(gone.as_str())).await);

    // Once it is complete, the same days are listed again.
    vault.stand_in.change_composition(&both, |facts| {
        facts.status = "completed".to_owned();
        facts.media = media;
    });
    let wanted = Backfilling {
        account: Some(vault.account.clone()),
        since: begin,
        until: None,
        dry_run: false,
        restart: true,
        hold_back: None,
    };
    let backfills = &vault.process.flow.backfills;
    let plan = backfills.plan(&wanted).await.unwrap();
    let again = backfills.run(&plan, &|_| ()).await.unwrap();
    assert_eq!(counts(&again, MediaKind::VideoTrack), (2, 0));
    assert_eq!(counts(&again, MediaKind::VideoComposition), (1, 1));
    work(&vault).await;
    let both = vault.source(both.as_str());
    assert_eq!(vault.people_in(both).await, ["client:alice", "client:bob"]);

    // What nothing told of falls under a revocation, too.
    vault.revoked(json!({ "subject": "client:alice" })).await;
    assert_eq!(
        [
            vault.state(hers).await,
            vault.state(both).await,
            vault.state(his).await
        ],
        ["shredded", "shredded", "sealed"]
    );
}

async fn a_day_with_several_pages_is_listed_whole(database: Database) {
    let vault = recipe(database, &policy()).by_hand().await;
    let begin = vault.clock.now().before(Duration::from_secs(3600));
    let meeting = Meeting::of(&vault);
    for _ in 0..230 {
        meeting.track(&vault, &meeting.alice);
    }
    vault.days_pass(2);
    let counted = vault.lists_rooms(begin, true).await;
    assert_eq!(counts(&counted, MediaKind::VideoTrack), (230, 230));
}

on_both_databases!(
    what_twilio_shows_of_an_accounts_rooms_is_sealed,
    a_day_with_several_pages_is_listed_whole,
);
