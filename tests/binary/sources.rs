//! `twilio reconcile` and `twilio backfill` as commands, with and without a running service;
//! accounts that are reloaded on SIGHUP; and the findings of `doctor` about accounts.

use std::{fs, time::Duration};

use recvault::{
    demo::stand_in::{Call, NumberFacts, RecordingFacts, RequestFault, StandInAccount},
    model::{id::RecordingId, sid::AccountSid, time::Clock},
};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    client::eventually,
    database::Kind,
    world::{World, digits, sound},
};

/// The crash points of this file.
pub(crate) const TRIED: &[&str] = &["backfill.day_done"];

const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    /// Adds a recording of this many days ago, without a callback.
    fn recorded_ago(&self, days: u32) -> RecordingId {
        let (sid, id) = self.record(sound(days, 1));
        let created = Some(Clock::System.now().before(DAY * days));
        self.stand_in.add_recording_of(
            &self.account,
            sid.clone(),
            RecordingFacts {
                created,
                ..RecordingFacts::new(&sid, sound(days, 1))
            },
        );
        id
    }

    fn days_ago(days: u32) -> String {
        Clock::System
            .now()
            .before(DAY * days)
            .to_string()
            .split('T')
            .next()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_compares_beside_a_running_service_and_it_fetches() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let service = world.serve().await;
        let (_, id) = world.record(sound(1, 2));
        let counted = world
            .run(&["twilio", "reconcile", "--dry-run", "--json"])
            .json();
        assert_eq!(
            (&counted["dry_run"], &counted["accounts"][0]["announced"]),
            (&true.into(), &1.into()),
            "{counted}"
        );
        assert_eq!(
            service.client.state(id).await.unwrap(),
            None,
            "nothing was done"
        );
        let done = world
            .run(&[
                "twilio",
                "reconcile",
                "--account",
                world.account.as_str(),
                "--json",
            ])
            .json();
        assert_eq!(
            (
                &done["accounts"][0]["announced"],
                &done["accounts"][0]["fault"]
            ),
            (&1.into(), &Value::Null),
            "{done}"
        );
        service.client.until(id, "sealed").await;
        let said = world.run(&["twilio", "reconcile"]).done();
        assert!(said.contains("1 listed. Announced 0"), "{said}");
        let status = world.run(&["status"]).done();
        assert!(
            status.contains("accounts") && status.contains(world.account.as_str()),
            "{status}"
        );
        service.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_compared_is_told_in_the_exit_code() {
    let world = World::sqlite().await;
    world
        .stand_in
        .fail_call(Call::RecordingList, RequestFault::Unauthorised);
    let ended = world.run(&["twilio", "reconcile", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let facts: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(
        facts["accounts"][0]["fault"]
            .as_str()
            .unwrap()
            .contains("401"),
        "{facts}"
    );
    let unknown = format!("AC{}", digits());
    assert!(
        world
            .run(&["twilio", "reconcile", "--account", &unknown])
            .refused()
            .contains("not in `twilio.accounts`")
    );
    for usage in [
        &["twilio", "reconcile", "--account", "AC1"][..],
        &["twilio", "backfill"],
        &["twilio", "backfill", "--since", "yesterday"],
    ] {
        assert_eq!(world.run(usage).code, Some(2), "{usage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_killed_again_and_again_and_lists_no_day_twice() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let ids: Vec<_> = [9, 6, 6, 2]
            .into_iter()
            .map(|days| world.recorded_ago(days))
            .collect();
        let since = World::days_ago(10);
        let command = ["twilio", "backfill", "--since", &since, "--json"];
        let counted = world.run(&[&command[..], &["--dry-run"]].concat()).json();
        let counted = &counted["accounts"][0];
        assert_eq!(
            (
                &counted["announced"],
                &counted["seconds"],
                &counted["bytes"]
            ),
            (&4.into(), &4.into(), &64_000.into()),
            "{counted}"
        );
        let days = world.stand_in.requests(Call::RecordingList);
        // It dies after each of three days, and is resumed three times.
        for _ in 0..3 {
            let ended = world.run_until("backfill.day_done", &command);
            assert_eq!(ended.code, None, "{ended:?}");
        }
        let ended = world.run(&command);
        assert!(
            ended.stderr.contains("days listed: "),
            "plain lines where there is no terminal: {ended:?}"
        );
        let done = ended.json();
        assert_eq!(done["accounts"][0]["fault"], Value::Null, "{done}");
        let listed = world.stand_in.requests(Call::RecordingList) - days;
        // Every day is listed once. Recordings between the first and the last command may add one
        // more, or two around midnight.
        assert!(
            (days..=days + 2).contains(&listed),
            "{listed} requests for {days} days"
        );
        let service = world.serve().await;
        for id in ids {
            service.client.until(id, "sealed").await;
        }
        service.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_read_again_on_sighup_and_nothing_stops() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let (sub, token): (AccountSid, String) = (format!("AC{}", digits()).parse().unwrap(), digits());
    world.stand_in.add_account(StandInAccount::below(
        &world.account,
        sub.clone(),
        token.clone(),
    ));
    let recording = format!("RE{}", digits()).parse().unwrap();
    world
        .stand_in
        .add_recording(&sub, Clone::clone(&recording), sound(7, 1));
    assert_eq!(
        world.announce(&service.client, &recording).await.unwrap(),
        403,
        "the account is not known"
    );

    // All faults are reported, and the former accounts stay.
    let file = world.path("recvault.toml");
    let good = fs::read_to_string(&file).unwrap();
    let entry = format!(
        "\n[[twilio.accounts]]\nsid = \"{sub}\"\nparent = \"{}\"\nauth_token_files = [\"secrets/sub\"]\n",
        world.account
    );
    fs::write(&file, format!("{good}{entry}callback_secret = \"short\"\n")).unwrap();
    service.process.signal(Signal::HUP);
    service
        .process
        .says("what is wrong", |log| {
            log.contains("twilio.accounts[1].callback_secret_file")
                .then_some(())
        })
        .await;
    let log = service.process.log();
    assert!(
        log.contains("twilio.accounts[1].auth_token_files[0]")
            && log.contains("the former accounts stay"),
        "{log}"
    );
    assert!(
        !log.contains("\"short\"") && !log.contains("accounts reloaded"),
        "{log}"
    );
    let (sid, id) = world.record(sound(8, 1));
    assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
    assert_eq!(
        world.announce(&service.client, &recording).await.unwrap(),
        403
    );
    service.client.until(id, "sealed").await;

    // After the correction, the subaccount is there.
    fs::write(world.path("secrets/sub"), &token).unwrap();
    fs::write(&file, format!("{good}{entry}")).unwrap();
    service.process.signal(Signal::HUP);
    service
        .process
        .says("that it has read them", |log| {
            log.contains(&format!("added=\"{sub}\"")).then_some(())
        })
        .await;
    assert_eq!(
        world.announce(&service.client, &recording).await.unwrap(),
        204
    );
    let id = RecordingId::of_source(world.vault, sub.as_str(), recording.as_str());
    service.client.until(id, "sealed").await;

    // A token is replaced in its file.
    let next = digits();
    fs::write(world.path("secrets/sub"), &next).unwrap();
    service.process.signal(Signal::HUP);
    assert!(
        eventually(async || service.process.log().matches("accounts reloaded").count() == 2).await
    );
    assert_eq!(
        world.announce(&service.client, &recording).await.unwrap(),
        403,
        "what the old one signs"
    );
    world.stand_in.promote_token(&sub, next.clone());
    assert_eq!(
        world.announce(&service.client, &recording).await.unwrap(),
        204
    );
    service.process.stop().await;
    let log = service.process.log() + &world.run(&["audit", "list", "--json"]).done();
    assert!(
        log.contains("accounts.reloaded")
            && ![&token, &next].iter().any(|token| log.contains(*token)),
        "{log}"
    );
}

fn verdicts<'a>(findings: &'a Value, what: &str) -> Vec<(&'a str, &'a str)> {
    let findings = findings
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["what"].as_str().unwrap().ends_with(what));
    findings
        .map(|finding| {
            (
                finding["verdict"].as_str().unwrap(),
                finding["why"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_an_account_well_set_up() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    world.configure(
        "public_url = \"http://127.0.0.1:0\"",
        "public_url = \"https://vault.example.com\"",
    );
    let url = "https://vault.example.com/twilio/consent/voice";
    world
        .stand_in
        .add_number(&world.account, NumberFacts::new("+15005550006", url));
    let findings = world.run(&["doctor", "--json"]).json();
    for (what, says) in [
        ("reachable", "active"),
        ("media", "is refused"),
        ("callbacks", "1 of 1"),
        ("numbers", "1 of 1"),
    ] {
        let found = verdicts(&findings, &format!("{} {what}", world.account));
        assert!(
            found.len() == 1 && found[0].0 == "ok" && found[0].1.contains(says),
            "{what}: {found:?}"
        );
    }
    assert!(verdicts(&findings, "subaccounts").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_what_is_weak_in_an_account() {
    let world = World::sqlite().await;
    let (_, id) = world.record(sound(1, 1));
    let (absent, _) = world.record(sound(2, 1));
    world.stand_in.set_status(&absent, "absent");
    world
        .stand_in
        .behave(|behaviour| behaviour.media_is_open = true);
    let sub: AccountSid = format!("AC{}", digits()).parse().unwrap();
    world
        .stand_in
        .add_account(StandInAccount::below(&world.account, sub.clone(), digits()));
    world.run(&["twilio", "reconcile"]).done();
    let ended = world.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
    let says = |what: &str| {
        let found = verdicts(&findings, &format!("{} {what}", world.account));
        assert!(
            found.len() == 1 && found[0].0 == "weak",
            "{what}: {found:?}"
        );
        found[0].1.to_owned()
    };
    assert!(says("media").contains("Enforce HTTP Auth on Media URLs"));
    assert!(
        says("callbacks").contains("no callback came for 1 completed")
            && says("callbacks").contains("#rc=5&rp=all")
    );
    assert!(says("subaccounts").contains(sub.as_str()));
    // When callbacks of completed recordings arrive, it notices that those of absent recordings do
    // not.
    let service = world.serve().await;
    for mark in 10..30 {
        let (sid, _) = world.record(sound(mark, 1));
        assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
    }
    service.client.until(id, "sealed").await;
    service.process.stop().await;
    let findings = world.run(&["doctor", "--json"]).json();
    let found = verdicts(&findings, "callbacks");
    assert!(
        found[0].0 == "weak"
            && found[0]
                .1
                .contains("recordingStatusCallbackEvent=\"in-progress completed absent\""),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_that_twilio_cannot_be_reached_and_checks_the_rest() {
    let world = World::sqlite().await;
    let reachable = |ended: &crate::process::Ended| {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(
            verdicts(&findings, "vault"),
            verdicts(&findings, "vault")
                .into_iter()
                .filter(|(verdict, _)| *verdict == "ok")
                .collect::<Vec<_>>()
        );
        let found = verdicts(&findings, "reachable");
        assert!(found.len() == 1 && found[0].0 == "broken", "{found:?}");
        found[0].1.to_owned()
    };
    world
        .stand_in
        .fail_call(Call::RecordingList, RequestFault::Unauthorised);
    assert!(reachable(&world.run(&["doctor", "--json"])).contains("api_key_sid"));
    // The time-out is the configured one.
    world.configure("read_idle_timeout_ms = 30000", "read_idle_timeout_ms = 500");
    world
        .stand_in
        .fail_call(Call::RecordingList, RequestFault::Silence);
    assert!(reachable(&world.run(&["doctor", "--json"])).contains("read_idle_timeout_ms"));
    let base = world.stand_in.base_url();
    let file = world.path("recvault.toml");
    fs::write(
        &file,
        fs::read_to_string(&file)
            .unwrap()
            .replace(&base, "http://127.0.0.1:1"),
    )
    .unwrap();
    assert!(reachable(&world.run(&["doctor", "--json"])).contains("no connection"));
}
