//! The log of a service at level `info` reports the events in words and in order.

use serde_json::json;

use crate::{
    client::eventually,
    world::{World, sound},
};

/// Returns the positions of these lines in the log, each with all of its marks; panics at the first
/// that is not behind the one before.
fn in_order(log: &str, wanted: &[&[&str]]) {
    let mut lines = log.lines();
    for marks in wanted {
        let found = lines.any(|line| marks.iter().all(|mark| line.contains(mark)));
        assert!(found, "no line with {marks:?} in its place:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_told_of_from_seal_to_turn() {
    let world = World::sqlite().await;
    world.forget_immediately();
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    let recording = format!("recording={id}");
    let grants = format!("/v1/recordings/{id}/grants");
    assert_eq!(service.client.grant(id).await.unwrap().0, 201);
    let refused = service
        .client
        .ask(
            reqwest::Method::POST,
            &grants,
            Some(json!({ "purpose": "no-such-purpose" })),
        )
        .await
        .unwrap();
    assert_eq!(refused.0, 403, "{refused:?}");
    let (status, receipt) = service.client.shred(id).await.unwrap();
    assert_eq!(status, 200);
    let receipt = format!("receipt={}", receipt.unwrap());
    assert!(
        eventually(async || service
            .process
            .log()
            .contains("the root key of a former epoch was destroyed"))
        .await,
        "{}",
        service.process.log()
    );
    service.process.stop().await;
    let log = service.process.log();
    in_order(
        &log,
        &[
            &[
                "INFO",
                "a recording was sealed",
                &recording,
                "tier=standard",
                "by=vault",
                "ms=",
            ],
            &[
                "INFO",
                "access was granted",
                &recording,
                "grant=grt_",
                "purpose=quality-review",
                "by=prn_",
                "ms=",
            ],
            &[
                "INFO",
                "access was refused",
                &recording,
                "reasons=purpose-unknown",
                "by=prn_",
                "ms=",
            ],
            &[
                "INFO",
                "a recording was shredded",
                &recording,
                &receipt,
                "by=prn_",
                "ms=",
            ],
            &[
                "INFO",
                "the epoch was turned",
                "epoch=2",
                "covered=1",
                "ms=",
            ],
            &[
                "INFO",
                "the root key of a former epoch was destroyed",
                "kept_epoch=2",
                "ms=",
            ],
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_says_when_and_why() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let (sid, _) = world.record(sound(1, 1));
    world.stand_in.fail(
        &sid,
        recvault::demo::stand_in::MediaFault::ServerError { times: 1000 },
    );
    assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
    let line = service
        .process
        .says("that work was not completed", |log| {
            let mut lines = log.lines();
            let line = lines.find(|line| line.contains("work was not completed"))?;
            Some(line.to_owned())
        })
        .await;
    let again = line
        .split_once("work was not completed, again in ")
        .unwrap()
        .1;
    let (pause, why) = again.split_once(" s: ").unwrap();
    assert!(
        pause.parse::<f64>().is_ok() && why.contains("500"),
        "{line}"
    );
    assert!(
        !line.contains("Again {") && !line.contains("after:"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_not_repeat_as_log_what_it_prints() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await.to_string();
    let shred = world.run(&["shred", &id, "--reason", "operator"]);
    assert_eq!(
        (shred.code, shred.stderr.as_str()),
        (Some(0), ""),
        "{shred:?}"
    );
}
