//! `status`, `shred`, `receipt verify`, `audit list`, `retry` and `sweep`, beside a running
//! service.

use std::fs;

use serde_json::Value;

use crate::{
    client::eventually,
    invariants,
    process::run_in,
    world::{World, sound},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_shred_would_do_and_does_nothing() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let wav = sound(1, 1);
    let id = world.sealed(&service.client, wav.clone()).await;
    let before = world.run(&["audit", "list"]).done();
    let args = [
        "shred",
        &id.to_string(),
        "--reason",
        "subject-request",
        "--dry-run",
    ];
    let facts = world.run(&[&args[..], &["--json"]].concat()).json();
    let sealed = world.objects().into_values().next().unwrap();
    assert_eq!(
        (
            &facts["would_shred"],
            &facts["state"],
            &facts["sealed_bytes"]
        ),
        (&true.into(), &"sealed".into(), &sealed.into())
    );
    assert!(world.run(&args).done().contains("Nothing was done"));
    assert_eq!(world.run(&["audit", "list"]).done(), before);
    assert_eq!(service.client.hear(id).await, wav);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shred_leaves_a_receipt_that_anybody_can_check_offline() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    let (_, path) = service.client.grant(id).await.unwrap();
    let facts = world
        .run(&[
            "shred",
            &id.to_string(),
            "--reason",
            "subject-request",
            "--json",
        ])
        .json();
    let receipt = facts["receipt_id"].as_str().unwrap();
    assert_eq!(
        service.client.get(&path.unwrap()).await.unwrap().0,
        410,
        "a shred by the operator counts at the service"
    );
    assert!(
        eventually(async || world.objects().is_empty()).await,
        "the service removes the bytes"
    );
    // A repeat returns the same receipt, which is closed by now. A dry run shows it too.
    let again = world
        .run(&[
            "shred",
            &id.to_string(),
            "--reason",
            "another-reason",
            "--json",
        ])
        .json();
    assert_eq!(again["receipt_id"], facts["receipt_id"]);
    let said = world
        .run(&["shred", &id.to_string(), "--reason", "subject-request"])
        .done();
    assert!(
        said.contains(receipt) && said.lines().last() == again["receipt"].as_str(),
        "people get the receipt on a line of its own: {said}"
    );
    let dry = world
        .run(&["shred", &id.to_string(), "--reason", "x", "--dry-run"])
        .done();
    assert!(
        dry.contains("shredded already") && dry.contains(receipt),
        "{dry}"
    );

    // With the vault, and without any vault.
    let afar = tempfile::tempdir().unwrap();
    let (_, keys) = service.client.get("/.well-known/jwks.json").await.unwrap();
    fs::write(afar.path().join("jwks.json"), keys).unwrap();
    for jws in [
        facts["receipt"].as_str().unwrap(),
        again["receipt"].as_str().unwrap(),
    ] {
        fs::write(world.path("receipt"), jws).unwrap();
        fs::write(afar.path().join("receipt"), format!("{jws}\n")).unwrap();
        let here = ["receipt", "verify", "receipt", "--json"];
        let there = [
            "receipt",
            "verify",
            "receipt",
            "--keys",
            "jwks.json",
            "--json",
        ];
        for facts in [
            world.run(&here).json(),
            run_in(afar.path(), &there, &[]).json(),
        ] {
            assert_eq!(
                (&facts["verified"], &facts["receipt_id"]),
                (&true.into(), &receipt.into()),
                "{facts}"
            );
            assert_eq!(
                (&facts["recording_id"], &facts["reason"]),
                (&id.to_string().into(), &"subject-request".into()),
                "{facts}"
            );
        }
        let said = run_in(
            afar.path(),
            &["receipt", "verify", "receipt", "--keys", "jwks.json"],
            &[],
        )
        .done();
        assert!(
            said.contains("The receipt is valid") && said.contains(&id.to_string()),
            "{said}"
        );
    }
    let why = run_in(afar.path(), &["receipt", "verify", "receipt"], &[]).refused();
    assert!(
        why.contains("recvault.toml") && why.contains("--keys FILE"),
        "without keys it needs a vault: {why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_with_one_altered_character_does_not_hold() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    let facts = world
        .run(&[
            "shred",
            &id.to_string(),
            "--reason",
            "subject-request",
            "--json",
        ])
        .json();
    let (_, keys) = service.client.get("/.well-known/jwks.json").await.unwrap();
    fs::write(world.path("jwks.json"), keys).unwrap();
    let jws = facts["receipt"].as_str().unwrap();
    let verify = |jws: &str| {
        fs::write(world.path("receipt"), jws).unwrap();
        world.run(&["receipt", "verify", "receipt", "--keys", "jwks.json"])
    };
    verify(jws).done();
    // Each part, at its first, a middle and its last character; the last character of a part may
    // have spare bits, which must be 0.
    let dots: Vec<usize> = jws.match_indices('.').map(|(at, _)| at).collect();
    let places = [
        0,
        dots[0] / 2,
        dots[0] - 1,
        dots[0],
        dots[0] + 1,
        dots[1] - 1,
        dots[1],
        dots[1] + 1,
        dots[1] + 40,
        jws.len() - 1,
    ];
    for at in places {
        let other = if jws[at..].starts_with('A') { "B" } else { "A" };
        let altered = format!("{}{other}{}", &jws[..at], &jws[at + 1..]);
        let why = verify(&altered).refused();
        assert!(why.contains("`receipt`"), "the file is named: {why}");
    }
    for cut in [0, 1, jws.len() - 1] {
        verify(&jws[..cut]).refused();
    }
    let other = World::sqlite().await;
    let service = other.serve().await;
    let (_, keys) = service.client.get("/.well-known/jwks.json").await.unwrap();
    fs::write(world.path("jwks.json"), keys).unwrap();
    verify(jws).refused();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shred_of_nothing_is_refused() {
    let world = World::sqlite().await;
    let nobody = "rec_00000000000000000000000000000000";
    for dry_run in [&[][..], &["--dry-run"]] {
        let why = world
            .run(
                &[
                    &["shred", nobody, "--reason", "subject-request"][..],
                    dry_run,
                ]
                .concat(),
            )
            .refused();
        assert!(
            why.contains(&format!("recording `{nobody}` does not exist")),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_told_line_by_line() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    service.client.hear(id).await;
    world
        .run(&["shred", &id.to_string(), "--reason", "subject-request"])
        .done();

    let listed = world.run(&["audit", "list", "--json"]).done();
    let entries: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<i64> = entries
        .iter()
        .map(|entry| entry["seq"].as_i64().unwrap())
        .collect();
    assert!(
        numbers
            .iter()
            .copied()
            .eq(1..=i64::try_from(numbers.len()).unwrap()),
        "{numbers:?}"
    );
    let of_it: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["recording"] == id.to_string())
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    assert!(
        of_it.starts_with(&[
            "recording.sealed",
            "decision.allowed",
            "opening.started",
            "shred.tombstoned"
        ]),
        "{of_it:?}"
    );

    let text = world.run(&["audit", "list"]).done();
    assert!(
        text.lines().count() >= entries.len() && text.starts_with("1 "),
        "{text}"
    );
    let after = |args: &[&str]| world.run(&[&["audit", "list"][..], args].concat()).done();
    assert!(
        after(&["--after", "2", "--limit", "2"])
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .eq(["3", "4"])
    );
    assert_eq!(after(&["--limit", "0"]), "");
    assert_eq!(after(&["--after", "1000000"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_work_is_shown_and_comes_back_to_life() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let (sid, id) = world.record(sound(1, 1));
    world
        .stand_in
        .fail(&sid, recvault::demo::stand_in::MediaFault::NotRiff);
    assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
    let dead = eventually(async || {
        world.run(&["status", "--json"]).json()["dead"]
            .as_array()
            .unwrap()
            .len()
            == 1
    });
    assert!(
        dead.await,
        "the work is not given up:\n{}",
        service.process.log()
    );
    let status = world.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["dead"][0]["subject"], &status["dead"][0]["kind"]),
        (&id.to_string().into(), &"fetch".into()),
        "{status}"
    );
    assert_eq!(
        status["recordings"],
        serde_json::json!([["announced", 1]]),
        "{status}"
    );
    let text = world.run(&["status"]).done();
    assert!(
        text.contains(&format!("dead: fetch of {id}")) && text.contains("announced  1"),
        "{text}"
    );

    let other = "rec_00000000000000000000000000000000";
    assert_eq!(
        world.run(&["retry", other, "--json"]).json(),
        serde_json::json!({ "revived": 0 })
    );
    assert_eq!(
        world.run(&["retry", "--json"]).json(),
        serde_json::json!({ "revived": 1 })
    );
    // The service notices by itself.
    service.client.until(id, "sealed").await;
    assert!(
        world
            .run(&["audit", "list"])
            .done()
            .contains("work.retried")
    );
    assert_eq!(
        world.run(&["retry", &id.to_string()]).done(),
        "0 work items are due again.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_removes_old_litter_and_nothing_else() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    // The service's own sweep has run already.
    service
        .process
        .says("that it has swept", |log| {
            log.contains("swept orphans=0").then_some(())
        })
        .await;
    // The leftovers of a killed process: an object without an owner, a recent one, and an
    // unfinished one.
    fs::create_dir_all(world.path("objects/objects/00")).unwrap();
    let litter = |name: &str, age: Option<std::time::SystemTime>| {
        let path = world.path("objects/objects/00").join(name);
        let file = fs::File::create(&path).unwrap();
        age.into_iter()
            .for_each(|age| file.set_modified(age).unwrap());
        path
    };
    let orphan = litter(&format!("00{}.floe", "1".repeat(30)), Some(old));
    let young = litter(&format!("00{}.floe", "2".repeat(30)), None);
    let half = litter(&format!("00{}.floe#1", "3".repeat(30)), Some(old));
    let foreign = litter("notes.txt", Some(old));
    let owned = fs::read_dir(world.path("objects/objects"))
        .unwrap()
        .find(|shard| !shard.as_ref().unwrap().path().ends_with("00"));
    for object in owned
        .into_iter()
        .flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap())
    {
        fs::File::open(object.unwrap().path())
            .unwrap()
            .set_modified(old)
            .unwrap();
    }

    let swept = world
        .run(&["sweep", "--older-than-h", "1", "--json"])
        .json();
    assert_eq!(
        (&swept["orphans"], &swept["uploads"]),
        (&1.into(), &1.into()),
        "{swept}"
    );
    assert_eq!(
        [&orphan, &young, &half, &foreign].map(|path| path.exists()),
        [false, true, false, true]
    );
    assert!(
        world
            .run(&["sweep"])
            .done()
            .starts_with("Removed 0 orphaned objects, 0 unfinished uploads")
    );
    service.client.hear(id).await;
    fs::remove_file(young).unwrap();
    fs::remove_file(foreign).unwrap();
    service.process.stop().await;
    assert_eq!(invariants::check(&world).await.orphans, 0);
}
