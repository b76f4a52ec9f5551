//! The executable dies at each named crash point of ingest and shred, and starts again.

use recvault::model::crash;

use crate::{
    book::{self, Entry},
    crash_chats, crash_messages, crash_notice, crash_packs, crash_repeats, crash_rooms, crash_rows,
    crash_sessions, crash_turn,
    database::Kind,
    invariants::{self, Found},
    sources,
    world::World,
};

/// Declares a test for each of these crash points, on both databases, and lists the points.
macro_rules! points {
    ($story:ident: $($event:ident at $point:literal;)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $event() {
                super::$story(super::Kind::Sqlite, $point).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PostgreSQL: run `tests/run`"]
            async fn $event() {
                super::$story(super::Kind::Postgres, $point).await;
            })*
        }

        pub(crate) const TRIED: &[&str] = &[$($point),*];
    };
}

#[test]
fn every_named_place_is_tried() {
    let mut tried = [
        TRIED,
        crash_chats::TRIED,
        crash_messages::TRIED,
        crash_notice::TRIED,
        crash_packs::TRIED,
        crash_repeats::TRIED,
        crash_rooms::TRIED,
        crash_rows::TRIED,
        crash_sessions::TRIED,
        &crash_turn::tried(),
        sources::TRIED,
    ]
    .concat();
    let mut named = crash::POINTS.to_vec();
    tried.sort_unstable();
    tried.dedup();
    named.sort_unstable();
    assert_eq!(tried, named);
}

points! {
    dies_and_comes_back:
    dies_with_a_callback_in_its_hands at "accept.before_commit";
    dies_between_commit_and_answer_of_a_callback at "accept.after_commit";
    dies_before_it_fetches at "fetch.leased";
    dies_with_half_a_recording_stored at "deposit.first_bytes";
    dies_with_ciphertext_and_no_key at "deposit.after_store";
    dies_with_a_key_that_is_not_committed at "deposit.before_commit";
    dies_when_the_recording_is_sealed at "deposit.after_commit";
    dies_with_a_shred_that_is_not_committed at "shred.before_commit";
    dies_between_commit_and_answer_of_a_shred at "shred.after_commit";
    dies_with_the_bytes_removed at "remove.after_delete";
    dies_before_the_receipt_is_closed at "remove.before_done";
    dies_when_the_copies_at_twilio_are_listed at "erase.listed";
    dies_with_twilios_copy_deleted at "erase.deleted";
    dies_before_the_receipt_tells_of_twilios_copies at "erase.before_done";
}

async fn dies_and_comes_back(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    // More than one part of an upload, if the upload is interrupted.
    let seconds = if point == "deposit.first_bytes" {
        600
    } else {
        2
    };
    let early = Entry::several(&world, 3, 1);
    let late = Entry::several(&world, 3, seconds);

    // An earlier run: three recordings, one of them shredded; then the power fails.
    let service = world.serve().await;
    for entry in &early {
        assert_eq!(entry.announce(&world, &service.client).await.unwrap(), 204);
        service.client.until(entry.id, "sealed").await;
        entry.prepare_to_listen(&service.client).await.unwrap();
    }
    early[0].shred(&service.client).await.unwrap();
    book::settle(&early[..1], &world, &service.client).await;
    service.process.kill().await;

    // The run that ends at the crash point.
    let service = world.serve_until(Some(point)).await;
    if ["shred", "remove", "erase"]
        .iter()
        .any(|word| point.starts_with(word))
    {
        let _ = early[1].shred(&service.client).await;
    } else {
        for entry in &late {
            let _ = entry.announce(&world, &service.client).await;
        }
    }
    service.process.dies(point).await;
    expect_what_the_point_leaves(
        &world,
        point,
        invariants::check(&world).await,
        &early[1],
        &late[0],
    );
    if point.starts_with("erase") {
        // The database had recorded the copy before any change to it, and learns the result from
        // Twilio on the next request.
        let sources = format!(
            "SELECT state FROM sources WHERE recording_id = '{}'",
            early[1].id
        );
        assert_eq!(world.database.texts(&sources).await, ["there"], "{point}");
        assert_eq!(
            world.stand_in.kept(&early[1].sid).media,
            point == "erase.listed",
            "{point}"
        );
    }

    // The dead process's leases expire.
    world.database.execute("UPDATE work SET due_at = 0").await;
    let service = world.serve().await;
    let all: Vec<Entry> = early.into_iter().chain(late).collect();
    book::settle(&all, &world, &service.client).await;
    service.process.stop().await;

    let found = invariants::check(&world).await;
    assert_eq!(
        (found.states.len(), found.work),
        (all.len(), 0),
        "everything is done: {found:?}"
    );
    for entry in &all {
        let is_shredded = entry.receipt.get().is_some();
        assert_eq!(
            world.stand_in.kept(&entry.sid).content(),
            !is_shredded,
            "what is shredded is gone at Twilio, and nothing else"
        );
    }
    let litter = (found.orphans as u64, world.unfinished_files() as u64);
    let swept = world.sweep_now().await;
    assert_eq!(
        (swept.orphans, swept.uploads),
        litter,
        "the sweep removes what nobody owns"
    );
    let found = invariants::check(&world).await;
    assert_eq!(
        (found.orphans, world.unfinished_objects()),
        (0, 0),
        "and nothing else: {found:?}"
    );
}

/// Checks the state on disk after a death at a point, besides the general invariants.
fn expect_what_the_point_leaves(
    world: &World,
    point: &str,
    found: Found,
    condemned: &Entry,
    announced: &Entry,
) {
    let state = |entry: &Entry| found.states.get(&entry.id.to_string()).map(String::as_str);
    let litter = (found.orphans, world.unfinished_objects(), found.removed);
    match point {
        "accept.before_commit" => {
            assert_eq!((state(announced), litter), (None, (0, 0, 0)), "{found:?}")
        }
        "accept.after_commit" | "fetch.leased" => assert_eq!(
            (state(announced), litter),
            (Some("announced"), (0, 0, 0)),
            "{found:?}"
        ),
        "deposit.first_bytes" => {
            assert!(
                litter.0 == 0
                    && litter.1 > 0
                    && found.states.values().all(|state| state != "tombstoned"),
                "{found:?}"
            )
        }
        "deposit.after_store" | "deposit.before_commit" => assert!(litter.0 > 0, "{found:?}"),
        "deposit.after_commit" => assert!(
            found
                .states
                .values()
                .filter(|state| *state == "sealed")
                .count()
                > 2,
            "{found:?}"
        ),
        "shred.before_commit" => assert_eq!(
            (state(condemned), litter),
            (Some("sealed"), (0, 0, 0)),
            "{found:?}"
        ),
        "shred.after_commit" => assert_eq!(
            (state(condemned), litter),
            (Some("tombstoned"), (0, 0, 0)),
            "{found:?}"
        ),
        "erase.listed" | "erase.deleted" | "erase.before_done" => {
            assert_eq!(
                (state(condemned), litter.0, litter.1),
                (Some("tombstoned"), 0, 0),
                "{found:?}"
            )
        }
        "remove.after_delete" | "remove.before_done" => assert_eq!(
            (state(condemned), litter),
            (Some("tombstoned"), (0, 0, 1)),
            "{found:?}"
        ),
        _ => panic!("nobody said what {point} leaves"),
    }
}
