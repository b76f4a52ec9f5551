//! Participants: looked up at Twilio before sealing, or named by a callback or by the application,
//! and shown with permission only.

mod keeping;

use recvault::{
    config::SHIPPED_POLICY,
    demo::stand_in::{
        Call, CallFacts, ConferenceFacts, ParticipantFacts, RecordingFacts, RequestFault,
    },
    model::{
        sid::{CallSid, ConferenceSid},
        time::Timestamp,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    viewing::policy,
    world::{Answer, Database, Recipe, Recorded, TestVault, that_keeps_everything},
};

const ANNA: &str = "+49 30 23125-011";
const ANNA_E164: &str = "+493023125011";
const LINE: &str = "+49 30 23125-099";
const LINE_E164: &str = "+493023125099";

pub(crate) fn call_of(recorded: &Recorded) -> CallSid {
    format!("CA{}", &recorded.sid.as_str()[2..])
        .parse()
        .unwrap()
}

pub(crate) fn sid<T: std::str::FromStr>(prefix: &str) -> T {
    format!("{prefix}{}", crate::world::digits())
        .parse()
        .ok()
        .unwrap()
}

impl TestVault {
    /// Adds a recording of a call that `from` made to [`LINE`] and in which `to` was dialled, with
    /// the call at Twilio.
    pub(crate) fn spoke(&self, from: &str, to: &str) -> Recorded {
        let recorded = self.record();
        self.stand_in.add_call(
            &self.account,
            CallFacts::new(call_of(&recorded), from, LINE),
        );
        self.stand_in.add_call(
            &self.account,
            CallFacts::dialled(call_of(&recorded), sid("CA"), from, to),
        );
        recorded
    }

    /// Posts the callback of a complete recording, and does all due work.
    pub(crate) async fn told(&self, recorded: &Recorded) {
        assert_eq!(self.tell(recorded, "completed").await.status, 204);
        self.process.flow.worker.work_off().await.unwrap();
    }

    /// Returns the parties of the recording's call, without numbers, as a principal with the action
    /// `consent` sees them.
    async fn named(&self, recorded: &Recorded) -> Value {
        let answer = self
            .asks("privacy-officer")
            .get(&format!("/v1/calls/{}/parties", call_of(recorded)))
            .await;
        answer.json()["parties"].clone()
    }

    /// Requests a grant for a purpose, and returns the answer at one of its addresses.
    pub(crate) async fn under_a_grant(
        &self,
        recorded: &Recorded,
        purpose: &str,
    ) -> (Value, Answer) {
        let grant = self.grant("reviewer", recorded.id, purpose).await;
        assert_eq!(grant.status, 201, "{grant:?}");
        let path = self.process.path_of(
            grant.json()["audio_url"]
                .as_str()
                .or(grant.json()["transcript_url"].as_str())
                .unwrap(),
        );
        let path = path.rsplit_once('/').unwrap().0.to_owned();
        (
            grant.json(),
            self.anybody().get(&format!("{path}/parties.json")).await,
        )
    }

    /// Returns the participants, as a reviewer sees them.
    pub(crate) async fn shown(&self, recorded: &Recorded) -> Vec<Value> {
        let (_, answer) = self.under_a_grant(recorded, "quality-review").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["parties"].as_array().unwrap().clone()
    }
}

pub(crate) fn party(
    leg: &str,
    channel: Option<u8>,
    address: Option<&str>,
    name: Option<&str>,
) -> Value {
    json!({ "leg": leg, "channel": channel, "address": address, "name": name })
}

async fn two_who_spoke_are_known_when_their_recording_is_sealed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    let call = CallFacts {
        caller_name: Some("Anna A.".into()),
        ..CallFacts::new(call_of(&recorded), ANNA, LINE)
    };
    vault.stand_in.add_call(&vault.account, call);
    let rang = CallFacts {
        status: "no-answer".into(),
        duration: 0,
        ..CallFacts::dialled(call_of(&recorded), sid("CA"), ANNA, "client:away")
    };
    for child in [
        rang,
        CallFacts::dialled(call_of(&recorded), sid("CA"), ANNA, "client:Agent_7"),
    ] {
        vault.stand_in.add_call(&vault.account, child);
    }
    vault.told(&recorded).await;
    assert_eq!(vault.state(recorded.id).await, "sealed");
    let [caller, callee] = [
        json!({ "leg": "caller", "known": true, "channel": 1 }),
        json!({ "leg": "callee", "known": true, "channel": 2 }),
    ];
    assert_eq!(vault.named(&recorded).await, json!([callee, caller]));
    let shown = [
        party("callee", Some(2), Some("client:agent_7"), None),
        party("caller", Some(1), Some(ANNA_E164), Some("Anna A.")),
    ];
    assert_eq!(vault.shown(&recorded).await, shown);
    let entries = vault.entries().await;
    let last = entries.last().unwrap();
    assert_eq!(
        (&last["event"], &last["details"]["artefact"]),
        (&json!("opening.started"), &json!("parties")),
        "{last}"
    );
    let named = entries
        .iter()
        .find(|entry| entry["event"] == "parties.named")
        .unwrap();
    assert_eq!(
        (&named["actor"], &named["details"]["known"]),
        (&json!("vault"), &json!(2))
    );
    assert!(
        !entries
            .iter()
            .any(|entry| entry.to_string().contains("23125"))
    );
    // No second look-up.
    let asked = vault.stand_in.requests(Call::CallFetch);
    vault.told(&recorded).await;
    assert_eq!(vault.stand_in.requests(Call::CallFetch), asked);
}

async fn who_withholds_a_number_or_has_none_has_a_place_all_the_same(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let withheld = vault.spoke("anonymous", "sip:Desk@Example.com;transport=tls");
    vault.told(&withheld).await;
    let shown = [
        party("callee", Some(2), Some("sip:desk@example.com"), None),
        party("caller", Some(1), None, None),
    ];
    assert_eq!(vault.shown(&withheld).await, shown);
    // A trunk has no callback and no legs.
    let trunk = vault.record();
    vault.stand_in.add_recording_of(
        &vault.account,
        trunk.sid.clone(),
        RecordingFacts::of_trunk(&trunk.sid, trunk.wav.clone()),
    );
    let call = CallFacts {
        direction: "trunking-originating".into(),
        ..CallFacts::new(call_of(&trunk), "sip:+4930@pbx.example.com", ANNA)
    };
    vault.stand_in.add_call(&vault.account, call);
    vault.told(&trunk).await;
    let shown = [
        party("callee", None, Some(ANNA_E164), None),
        party("caller", None, Some("sip:+4930@pbx.example.com"), None),
    ];
    assert_eq!(vault.shown(&trunk).await, shown);
}

async fn everybody_in_a_conference_is_known_while_it_lasts(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let began = Timestamp::parse_rfc2822("Tue, 28 May 2019 02:18:02 +0000").unwrap();
    for (status, ended) in [("in-progress", false), ("completed", true)] {
        let recorded = vault.record();
        let conference = sid::<ConferenceSid>("CF");
        let facts =
            RecordingFacts::of_conference(&recorded.sid, conference.clone(), recorded.wav.clone());
        vault
            .stand_in
            .add_recording_of(&vault.account, recorded.sid.clone(), facts);
        vault.stand_in.add_conference(
            &vault.account,
            ConferenceFacts {
                status: status.into(),
                ..ConferenceFacts::new(conference.clone(), "desk")
            },
        );
        for (second, label, from) in [
            (9, Some("Agent"), "client:agent"),
            (1, Some("Anna A."), ANNA),
            (20, None, "anonymous"),
        ] {
            let call: CallSid = sid("CA");
            let start_time = Some(began.after(std::time::Duration::from_secs(second)));
            vault.stand_in.add_call(
                &vault.account,
                CallFacts {
                    start_time,
                    ..CallFacts::new(call.clone(), from, LINE)
                },
            );
            let label = label.map(str::to_owned);
            vault.stand_in.add_participant(
                &conference,
                ParticipantFacts {
                    label,
                    ..ParticipantFacts::new(call)
                },
            );
        }
        vault.told(&recorded).await;
        if ended {
            let (grant, answer) = vault.under_a_grant(&recorded, "hear").await;
            assert_eq!((&grant["parties_url"], answer.status), (&Value::Null, 404));
            continue;
        }
        let (_, answer) = vault.under_a_grant(&recorded, "hear").await;
        let shown = [
            party("agent", None, Some("client:agent"), None),
            party("participant-1", Some(1), Some(ANNA_E164), Some("Anna A.")),
            party("participant-3", None, None, None),
        ];
        assert_eq!(answer.json()["parties"], json!(shown), "{answer:?}");
    }
}

async fn what_twilio_does_not_know_is_sealed_without(database: Database) {
    let vault = Recipe {
        twilio: "read_idle_timeout_ms = 300",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    // Twilio has no such call, refuses, or answers something else: no retry.
    for wrong in [
        None,
        Some(RequestFault::Forbidden),
        Some(RequestFault::WrongShape),
        Some(RequestFault::NotJson),
    ] {
        let recorded = vault.record();
        wrong
            .into_iter()
            .for_each(|wrong| vault.stand_in.fail_call(Call::CallFetch, wrong));
        vault.told(&recorded).await;
        let (grant, answer) = vault.under_a_grant(&recorded, "quality-review").await;
        assert_eq!((&grant["parties_url"], answer.status), (&Value::Null, 404));
    }
    // A transient failure: three attempts, not at once.
    for wrong in [
        RequestFault::ServerError,
        RequestFault::Silence,
        RequestFault::CutBody,
    ] {
        let recorded = vault.spoke(ANNA, "client:agent");
        (0..3).for_each(|_| vault.stand_in.fail_call(Call::CallFetch, wrong.clone()));
        let fetched = vault.stand_in.media_requests();
        vault.told(&recorded).await;
        assert_eq!(
            (
                vault.state(recorded.id).await.as_str(),
                vault.stand_in.media_requests()
            ),
            ("announced", fetched)
        );
        vault.later().await;
        assert_eq!(vault.state(recorded.id).await, "announced");
        vault.later().await;
        assert_eq!(vault.state(recorded.id).await, "sealed");
        assert_eq!(
            vault
                .under_a_grant(&recorded, "quality-review")
                .await
                .1
                .status,
            404
        );
    }
    // Twilio throttles, and answers later.
    let recorded = vault.spoke(ANNA, "client:agent");
    vault.stand_in.fail_call(
        Call::CallList,
        RequestFault::TooMany {
            retry_after: Some(77),
        },
    );
    vault.told(&recorded).await;
    assert_eq!(vault.due_in_ms(recorded.id).await, Some(77_000));
    vault.later().await;
    assert_eq!(vault.shown(&recorded).await.len(), 2);
}

async fn who_has_revoked_is_recognised_in_a_call_that_arrives_late(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.revoked(json!({ "subject": ANNA })).await;
    let theirs = vault.spoke(ANNA, "client:agent");
    let other = vault.spoke("+49 30 23125-012", "client:agent");
    vault.told(&theirs).await;
    vault.process.flow.recovery.journal().await.unwrap();
    assert_eq!(
        (
            vault.state(theirs.id).await.as_str(),
            vault.stand_in.media_requests()
        ),
        ("shredded", 0),
        "nothing of it was fetched"
    );
    vault.told(&other).await;
    assert_eq!(vault.state(other.id).await, "sealed");
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM details").await,
        Some(1)
    );
}

async fn rules_for_numbers_see_who_called_and_which_line(database: Database) {
    let rule = |number: &str| {
        format!("[[classification]]\nnumber = \"{number}\"\ntier = \"sensitive\"\n\n")
    };
    for number in [ANNA_E164, LINE_E164] {
        let policy = that_keeps_everything(SHIPPED_POLICY).replacen(
            "[[classification]]",
            &format!("{}[[classification]]", rule(number)),
            1,
        );
        let vault = Recipe {
            policy,
            ..Recipe::on(database)
        }
        .by_hand()
        .await;
        let recorded = vault.spoke(ANNA, "client:agent");
        vault.told(&recorded).await;
        assert_eq!(
            vault.details(recorded.id).await["tier"],
            "sensitive",
            "{number}"
        );
        assert_eq!(vault.count("recording.reclassified").await, 1);
        assert_eq!(
            vault.named(&recorded).await.as_array().unwrap().len(),
            2,
            "a line of one's own is nobody"
        );
    }
}

async fn only_whole_views_show_who_took_part(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.spoke(ANNA, "client:agent");
    vault.told(&recorded).await;
    crate::viewing::filed(&vault, recorded.id, &["Hello."]).await;
    for (purpose, shows) in [
        ("hear", true),
        ("see", true),
        ("see-less", false),
        ("hear-part", false),
    ] {
        let (grant, answer) = vault.under_a_grant(&recorded, purpose).await;
        assert_eq!(
            (grant["parties_url"].is_string(), answer.status),
            (shows, if shows { 200 } else { 404 }),
            "{purpose}: {answer:?}"
        );
    }
    let openings = vault.count("opening.started").await;
    let grant = vault.under_a_grant(&recorded, "hear").await.0;
    let path = vault
        .process
        .path_of(grant["parties_url"].as_str().unwrap());
    assert_eq!(vault.count("opening.started").await, openings + 1);
    let head = vault.anybody().with(Method::HEAD, &path, &[]).await;
    assert_eq!(
        (
            head.status,
            head.body.len(),
            vault.count("opening.started").await
        ),
        (200, 0, openings + 1)
    );
    assert_eq!(
        vault
            .anybody()
            .get(&path.replace("/media/", "/media/x"))
            .await
            .status,
        404
    );
    vault.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(
        vault.anybody().get(&path).await.reasons(),
        ["grant-expired"]
    );
}

async fn a_callback_tells_who_called(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    params.extend(
        [("From", ANNA), ("To", LINE), ("Direction", "inbound")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    // A number in a URL is logged everywhere, and is ignored there.
    let path = "/twilio/recordings?callee=client:agent&caller=%2B493023125077";
    assert_eq!(
        vault
            .post_callback(&vault.account, path, &params)
            .await
            .status,
        204
    );
    let waits = "SELECT COUNT(*) FROM parties WHERE length(sealed) > 0";
    assert_eq!(
        vault.ground().integer(waits).await,
        Some(2),
        "before it is fetched"
    );
    vault.process.flow.worker.work_off().await.unwrap();
    let shown = [
        party("callee", None, Some("client:agent"), None),
        party("caller", Some(1), Some(ANNA_E164), None),
    ];
    assert_eq!(vault.shown(&recorded).await, shown);
    assert_eq!(vault.ground().integer(waits).await, Some(0));
}

on_both_databases!(
    two_who_spoke_are_known_when_their_recording_is_sealed,
    who_withholds_a_number_or_has_none_has_a_place_all_the_same,
    everybody_in_a_conference_is_known_while_it_lasts,
    what_twilio_does_not_know_is_sealed_without,
    who_has_revoked_is_recognised_in_a_call_that_arrives_late,
    rules_for_numbers_see_who_called_and_which_line,
    only_whole_views_show_who_took_part,
    a_callback_tells_who_called,
);
