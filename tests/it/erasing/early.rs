//! Copies that Twilio does not delete yet, because they are not complete there: a state of its own,
//! with growing pauses, a date and an alarm.

use std::time::Duration;

use recvault::{
    demo::stand_in::{Call, MessageFacts, RequestFault},
    evidence::{Removal, receipt::ReceiptState},
    model::{
        residue::ResidueKind,
        source::{CopyKind, DELETABLE_WITHIN},
    },
};

use super::{Database, receipt, source, stuck, work_off};
use crate::{epochs::keys, threads::keeping, transcribing::work, viewing::policy, world::Recipe};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn a_recording_that_twilio_does_not_delete_yet_waits_up_to_15_days(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    let refuse = || {
        let too_early = RequestFault::Refused {
            status: 409,
            code: 20009,
        };
        vault.stand_in.fail_call(Call::RecordingDelete, too_early);
    };
    let asked = || vault.stand_in.requests(Call::RecordingDelete);
    refuse();
    work_off(&vault).await;
    let until = vault.clock.now().after(DELETABLE_WITHIN);

    // No fault: it has a state, and a date in the receipt and in the status.
    let said = receipt(&vault, &shredded).await;
    assert_eq!(
        (said.state(), said.source()),
        (
            ReceiptState::Unrecoverable,
            Some(Removal::NotDeletableYet { until })
        )
    );
    let shown = source(&vault, &recorded).await;
    assert_eq!(shown["state"], "not-deletable-yet", "{shown}");
    assert_eq!(shown["copies"][0]["state"], "not-deletable-yet");
    assert_eq!(shown["copies"][0]["deletable_until"], until.to_string());
    let early = async || {
        let status = vault.process.flow.monitoring.status().await.unwrap();
        let early = status.source.not_deletable_yet.into_iter();
        early
            .map(|copy| (copy.recording, copy.kind, copy.until))
            .collect::<Vec<_>>()
    };
    let expected = [(recorded.id, CopyKind::Recording, Some(until))];
    assert_eq!(early().await, expected);

    let mut queued = asked();
    // The pauses grow to hours, and it is never given up; an alarm follows after 15 days only.
    for day in 1..=15 {
        let before = asked();
        for _ in 0..24 {
            if asked() == queued {
                refuse();
                queued += 1;
            }
            vault.clock.advance(DAY / 24);
            work_off(&vault).await;
        }
        let attempts = asked() - before;
        assert!((3..=24).contains(&attempts), "day {day}: {attempts}");
        assert!(day == 1 || attempts <= 9, "day {day}: {attempts}");
        let fault = stuck(&vault).await;
        assert!(day == 15 || fault.is_empty(), "day {day}: {fault:?}");
    }
    if asked() == queued {
        refuse();
        queued += 1;
    }
    vault.clock.advance(DAY / 4);
    work_off(&vault).await;
    let [fault] = stuck(&vault).await.try_into().unwrap();
    assert!(fault.contains("error 20009"), "{fault}");
    assert_eq!(vault.dead().await, None);
    let said = receipt(&vault, &shredded).await;
    assert_eq!(said.source(), Some(Removal::NotDeletableYet { until }));

    // It goes in the end, and nothing of the wait is left.
    for _ in 0..=queued - asked() {
        vault.clock.advance(DAY);
        work_off(&vault).await;
    }
    let closed = receipt(&vault, &shredded).await;
    assert_eq!(closed.state(), ReceiptState::Closed);
    assert_eq!((early().await, stuck(&vault).await), (vec![], vec![]));
    assert_eq!(source(&vault, &recorded).await["state"], "deleted");
}

async fn what_stays_at_twilio_after_a_message_is_in_the_receipt(database: Database) {
    let vault = Recipe {
        policy: keeping(&policy()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let facts = MessageFacts {
        status: "sent".to_owned(),
        ..MessageFacts::outbound("+493090182009", "+493090182001", "at six")
    };
    let sid = vault.stand_in.add_message(&vault.account, facts);
    let params = vault.stand_in.message_status_params(&sid, "sent");
    let told = vault
        .post_callback(&vault.account, "/twilio/messages/status", &params)
        .await;
    assert!(told.status < 300);
    work(&vault).await;
    let id = vault.messages().await[0]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let shredded = vault.shred(id).await;
    work_off(&vault).await;

    let early = receipt(&vault, &shredded).await;
    let since = vault.clock.now();
    let until = since.after(DELETABLE_WITHIN);
    assert_eq!(early.source(), Some(Removal::NotDeletableYet { until }));
    assert_eq!(early.residue(), []);
    assert_eq!(
        vault.stand_in.requests(Call::MessageUpdate),
        1,
        "where the deletion is refused, the text is to go first"
    );

    vault.stand_in.set_message_status(&sid, "delivered");
    vault.later().await;
    let closed = receipt(&vault, &shredded).await;
    let Some(Removal::Removed(at)) = closed.source() else {
        panic!("{closed:?}")
    };
    let left = |what, days: Option<u32>| {
        (
            CopyKind::Message,
            what,
            days.map(|days| at.after(DAY * days)),
        )
    };
    let said: Vec<_> = closed
        .residue()
        .iter()
        .map(|left| (left.copy, left.what, left.until))
        .collect();
    assert_eq!(
        said,
        [
            left(ResidueKind::Logs, Some(14)),
            left(ResidueKind::Backups, Some(30)),
            left(ResidueKind::BulkExports, Some(7)),
            left(ResidueKind::Archive, None),
        ]
    );
    let shown = vault.details(id).await["at_source"]["residue"].clone();
    assert_eq!(shown, serde_json::to_value(closed.residue()).unwrap());
}

async fn the_text_goes_first_where_the_deletion_is_refused(database: Database) {
    let vault = Recipe {
        policy: keeping(&policy()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    assert_eq!(vault.texts("+493090182001", "at six").await.status, 200);
    let [message] = vault.messages().await.try_into().unwrap();
    let sid = vault.stand_in.add_message(
        &vault.account,
        MessageFacts::inbound("+493090182001", "+493090182009", "at seven"),
    );
    let params = vault.stand_in.incoming_message_params(&sid);
    vault
        .post_callback(&vault.account, "/twilio/messages", &params)
        .await;
    let all = vault.messages().await;
    let other = all
        .iter()
        .find(|other| other["id"] != message["id"])
        .unwrap();
    let id = other["id"].as_str().unwrap().parse().unwrap();
    vault.clock.advance(DAY);
    vault.shred(id).await;
    for _ in 0..3 {
        let refused = RequestFault::Refused {
            status: 400,
            code: 20001,
        };
        vault.stand_in.fail_call(Call::MessageDelete, refused);
        vault.later().await;
    }
    let copies = vault.details(id).await["at_source"]["copies"].clone();
    assert_eq!(copies[0]["state"], "there", "{copies}");
    assert!(copies[0]["redacted_at"].is_string(), "{copies}");
    assert_eq!(vault.stand_in.requests(Call::MessageUpdate), 1, "once");
    assert_eq!(stuck(&vault).await.len(), 1);
    vault.later().await;
    assert!(!vault.stand_in.remaining_message(&sid).entry);
}

on_both_databases!(
    a_recording_that_twilio_does_not_delete_yet_waits_up_to_15_days,
    what_stays_at_twilio_after_a_message_is_in_the_receipt,
    the_text_goes_first_where_the_deletion_is_refused,
);
