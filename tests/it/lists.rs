//! Lists over HTTP: recordings, the recordings of a person, the log, grants and revocations; none
//! discloses objects without permission.

mod repeating;

use bytes::Bytes;
use recvault::demo::conversation;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    authority::somebody,
    world::{Answer, Caller, Database, Recipe, Recorded, TestVault},
};

const ANNA: &str = "+493090182000";
const BERND: &str = "+493090182001";

fn call(recorded: &Recorded) -> String {
    recorded.sid.as_str().replacen("RE", "CA", 1)
}

/// Returns a sealed recording of an account, whose call has this caller.
async fn recorded(vault: &TestVault, account: Option<&str>, number: &str) -> Recorded {
    let account = account.map_or_else(|| vault.account.clone(), |sid| sid.parse().unwrap());
    let recorded = vault.record_for(&account, Bytes::from_static(conversation::WAV));
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let parties = json!({ "parties": [{ "leg": "caller", "number": number }] });
    let named = somebody(vault, "privacy-officer", &[])
        .await
        .post(&format!("/v1/calls/{}/parties", call(&recorded)), parties)
        .await;
    assert_eq!(named.status, 200, "{named:?}");
    vault.clock.advance(std::time::Duration::from_millis(10));
    recorded
}

/// Returns the ids of every item of a list, page by page, `limit` at a time.
async fn ids(who: &Caller, path: &str, limit: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let answer = who.get(&format!("{path}{sign}limit={limit}{cursor}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let page = answer.json();
        found.extend(all_ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn all_ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

fn names(recorded: &[&Recorded]) -> Vec<String> {
    recorded.iter().map(|one| one.id.to_string()).collect()
}

async fn recordings_are_asked_for_by_what_is_known_of_them(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [a, b] = [
        recorded(&vault, None, ANNA).await,
        recorded(&vault, None, BERND).await,
    ];
    let other = vault.other_account.to_string();
    let c = recorded(&vault, Some(&other), ANNA).await;
    let agent = vault.asks("agent");
    for (query, expected) in [
        (String::new(), vec![&c, &b, &a]),
        ("?sort=announced_at".into(), vec![&a, &b, &c]),
        ("?sort=sealed_at".into(), vec![&a, &b, &c]),
        ("?sort=-sealed_at&state=sealed".into(), vec![&c, &b, &a]),
        (format!("?account={other}"), vec![&c]),
        (format!("?call={}", call(&b)), vec![&b]),
        (format!("?recording_sid={}", a.sid), vec![&a]),
        (format!("?conference=CF{}", "0".repeat(32)), vec![]),
        ("?label=queue:support".into(), vec![]),
        (format!("?account={}&call={}", other, call(&b)), vec![]),
    ] {
        for limit in [1, 2, 9] {
            let path = format!("/v1/recordings{query}");
            assert_eq!(ids(&agent, &path, limit).await, names(&expected), "{path}");
        }
    }
    // The same filters in a body.
    let searched = agent
        .post(
            "/v1/recordings/search",
            json!({ "account": other, "sort": "sealed_at" }),
        )
        .await;
    assert_eq!(all_ids(&searched.json()), names(&[&c]));

    // A cursor is for the list, the order and the filters for which it was issued.
    let page = agent.get("/v1/recordings?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    for query in [
        "limit=1&sort=announced_at",
        "limit=1&state=sealed",
        "limit=1&label=queue:support",
    ] {
        let refused = agent
            .get(&format!("/v1/recordings?{query}&cursor={cursor}"))
            .await
            .problem(400, "bad-request");
        let detail = refused["detail"].as_str().unwrap();
        assert!(
            detail.contains("belongs to another list, order or filter"),
            "{detail}"
        );
    }
    let path = format!("/v1/grants?cursor={cursor}");
    agent.get(&path).await.problem(400, "bad-request");
    let same = agent
        .get(&format!("/v1/recordings?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(
        all_ids(&same.json()),
        names(&[&b, &a]),
        "another limit is no other list"
    );

    for bad in [
        "sort=duration",
        "label=queue",
        "label=Queue:x",
        "label=queue:",
        "label=queue:%20",
        "label=queue:a&label=queue:b",
        "state=sealed&state=absent",
        "call=RE0",
    ] {
        let path = format!("/v1/recordings?{bad}");
        agent.get(&path).await.problem(400, "bad-request");
    }
}

async fn a_person_is_searched_by_who_may_read_what_people_said(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let a = recorded(&vault, None, ANNA).await;
    let b = recorded(&vault, None, BERND).await;
    let other = vault.other_account.clone();
    let c = recorded(&vault, Some(other.as_str()), ANNA).await;
    let search = async |who: &Caller, body: Value| who.post("/v1/recordings/search", body).await;
    let by = |number: &str| json!({ "subject": number });

    let officer = vault.asks("privacy-officer");
    assert_eq!(
        all_ids(&search(&officer, by(ANNA)).await.json()),
        names(&[&c, &a])
    );
    assert_eq!(
        all_ids(&search(&officer, by("+49 30 90182001")).await.json()),
        names(&[&b])
    );
    assert_eq!(
        all_ids(&search(&officer, by("+493090182099")).await.json()),
        [""; 0]
    );
    let first = search(&officer, json!({ "subject": ANNA, "limit": 1 }))
        .await
        .json();
    let rest = json!({ "subject": ANNA, "limit": 1, "cursor": first["next_cursor"] });
    assert_eq!(all_ids(&search(&officer, rest).await.json()), names(&[&a]));
    let foreign = json!({ "subject": BERND, "cursor": first["next_cursor"] });
    search(&officer, foreign).await.problem(400, "bad-request");

    // A principal without permission gets the same answer for every number, and before it is
    // parsed.
    let agent = vault.asks("agent");
    let refusals: Vec<Answer> = [
        search(&agent, by(ANNA)).await,
        search(&agent, by("+493090182099")).await,
        search(&agent, by("no number")).await,
        search(&agent, json!({ "subject": 493090182000_u64 })).await,
    ]
    .into();
    for refused in &refusals {
        assert_eq!(refused.reasons(), ["role-not-allowed"]);
        assert_eq!(refused.text(), refusals[0].text());
    }
    assert_eq!(
        search(&agent, json!({})).await.status,
        200,
        "without a person they may"
    );

    // A principal limited to one account finds a person there, and nothing of others.
    let limited = somebody(&vault, "privacy-officer", std::slice::from_ref(&other)).await;
    assert_eq!(
        all_ids(&search(&limited, by(ANNA)).await.json()),
        names(&[&c])
    );
    assert_eq!(all_ids(&search(&limited, by(BERND)).await.json()), [""; 0]);
    let in_other = json!({ "subject": ANNA, "account": vault.account });
    let theirs = json!({ "subject": ANNA, "account": format!("AC{}", "0".repeat(32)) });
    let empty = search(&limited, in_other).await.text();
    assert_eq!(
        empty,
        search(&limited, theirs).await.text(),
        "there or not, it looks alike"
    );
    assert_eq!(
        empty,
        json!({ "items": [], "next_cursor": null }).to_string()
    );

    // A number in a query string is refused, and no fault repeats one.
    for query in [
        format!("subject={}", ANNA.replace('+', "%2B")),
        format!("{}=1", ANNA.replace('+', "%2B")),
        format!("state={}", ANNA.replace('+', "%2B")),
    ] {
        for path in [
            "/v1/recordings",
            "/v1/audit",
            "/v1/grants",
            "/v1/revocations",
        ] {
            let refused = officer.get(&format!("{path}?{query}")).await;
            refused.problem(400, "bad-request");
            assert!(!refused.text().contains(&ANNA[1..]), "{path}: {refused:?}");
        }
    }
    for bad in [
        by("no number"),
        json!({ "subject": 493090182000_u64 }),
        json!({ ANNA: 1 }),
    ] {
        let refused = search(&officer, bad).await;
        refused.problem(400, "bad-request");
        assert!(!refused.text().contains(&ANNA[1..]), "{refused:?}");
    }
}

async fn the_log_is_asked_from_either_end(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let a = recorded(&vault, None, ANNA).await;
    let other = vault.other_account.clone();
    let c = recorded(&vault, Some(other.as_str()), BERND).await;
    vault.plays(&a).await;
    vault.grant("agent", c.id, "quality-review").await.reasons();
    let all = vault.entries().await;
    let auditor = vault.asks("auditor");
    let seqs = async |who: &Caller, query: &str| {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = who
                .get(&format!("/v1/audit?limit=3{query}{cursor}"))
                .await
                .json();
            let items = page["items"].as_array().unwrap();
            found.extend(items.iter().map(|entry| entry["seq"].as_i64().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    let that = |fits: &dyn Fn(&Value) -> bool| {
        let entries = all.iter().filter(|entry| fits(entry));
        entries
            .map(|entry| entry["seq"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    let reviewer = vault.minted("reviewer").principal.id.to_string();
    let about_a = that(&|entry| entry["recording"] == json!(a.id));
    let sealed = that(&|entry| entry["event"] == "recording.sealed");
    let by_reviewer = that(&|entry| entry["actor"] == json!(reviewer));
    let of_reviewer = that(&|entry| {
        entry["actor"] == json!(reviewer) || entry["details"]["principal"] == json!(reviewer)
    });
    assert!(about_a.len() > 2 && of_reviewer.len() == by_reviewer.len() + 1);
    assert_eq!(
        seqs(&auditor, &format!("&recording={}", a.id)).await,
        about_a
    );
    assert_eq!(seqs(&auditor, "&event=recording.sealed").await, sealed);
    assert_eq!(
        seqs(&auditor, &format!("&actor={reviewer}")).await,
        by_reviewer
    );
    assert_eq!(
        seqs(&auditor, &format!("&principal={reviewer}")).await,
        of_reviewer
    );
    let both = that(&|entry| {
        matches!(
            entry["event"].as_str(),
            Some("recording.sealed" | "opening.started")
        )
    });
    assert_eq!(
        seqs(&auditor, "&event=recording.sealed&event=opening.started").await,
        both
    );
    let mut newest = that(&|_| true);
    newest.reverse();
    assert_eq!(seqs(&auditor, "&order=newest").await, newest);
    let since = all[all.len() - 2]["at"].as_str().unwrap();
    let late = that(&|entry| entry["at"].as_str() >= Some(since));
    assert_eq!(seqs(&auditor, &format!("&since={since}")).await, late);
    let early = that(&|entry| entry["at"].as_str() < Some(since));
    assert_eq!(seqs(&auditor, &format!("&until={since}")).await, early);

    // A principal limited to one account requests a recording of another: the answer is that of an
    // unknown one.
    let limited = somebody(&vault, "auditor", std::slice::from_ref(&other)).await;
    assert_eq!(
        seqs(&limited, &format!("&recording={}", a.id)).await,
        [0_i64; 0]
    );
    let theirs = that(&|entry| entry["recording"] == json!(c.id));
    assert_eq!(
        seqs(&limited, &format!("&recording={}&order=oldest", c.id)).await,
        theirs
    );
    let mut backwards = theirs;
    backwards.reverse();
    assert_eq!(
        seqs(&limited, &format!("&recording={}&order=newest", c.id)).await,
        backwards
    );

    let page = auditor.get("/v1/audit?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    for bad in [
        "order=newest&after=1".to_owned(),
        "after=-1".into(),
        "actor=operator".into(),
        "event=recording.eaten".into(),
        format!("order=newest&cursor={cursor}"),
        format!("after=1&cursor={cursor}"),
        "cursor=1".into(),
    ] {
        let path = format!("/v1/audit?{bad}");
        auditor.get(&path).await.problem(400, "bad-request");
    }
}

async fn grants_are_listed_to_their_holder_and_to_who_may_end_or_audit_them(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let a = recorded(&vault, None, ANNA).await;
    let other = vault.other_account.clone();
    let c = recorded(&vault, Some(other.as_str()), BERND).await;
    let mut given = Vec::new();
    for (who, id) in [("reviewer", a.id), ("reviewer", c.id), ("stranger", c.id)] {
        let answer = vault.grant(who, id, "quality-review").await;
        assert_eq!(answer.status, 201, "{answer:?}");
        given.push(answer.json()["id"].as_str().unwrap().to_owned());
        vault.clock.advance(std::time::Duration::from_millis(5));
    }
    let reviewer = vault.asks("reviewer");
    let ended = reviewer.request(Method::DELETE, &format!("/v1/grants/{}", given[0]));
    assert_eq!(ended.send().await.unwrap().status(), 204);
    let of = |numbers: &[usize]| -> Vec<String> {
        numbers
            .iter()
            .map(|number| given[*number].clone())
            .collect()
    };
    let stranger = vault.minted("stranger").principal.id;
    for limit in [1, 5] {
        assert_eq!(ids(&reviewer, "/v1/grants", limit).await, of(&[1, 0]));
        assert_eq!(
            ids(&reviewer, "/v1/grants?state=living", limit).await,
            of(&[1])
        );
        assert_eq!(
            ids(&reviewer, "/v1/grants?state=ended", limit).await,
            of(&[0])
        );
        for who in ["auditor", "privacy-officer"] {
            let who = vault.asks(who);
            assert_eq!(ids(&who, "/v1/grants", limit).await, of(&[]));
            assert_eq!(
                ids(&who, "/v1/grants?principal=all", limit).await,
                of(&[2, 1, 0])
            );
            let theirs = format!("/v1/grants?principal={stranger}");
            assert_eq!(ids(&who, &theirs, limit).await, of(&[2]));
            let for_a = format!("/v1/grants?principal=all&recording={}", a.id);
            assert_eq!(ids(&who, &for_a, limit).await, of(&[0]));
            let purpose = "/v1/grants?principal=all&purpose=training";
            assert_eq!(ids(&who, purpose, limit).await, of(&[]));
        }
        // The stranger may end grants, in the other account.
        let all = ids(&vault.asks("stranger"), "/v1/grants?principal=all", limit).await;
        assert_eq!(all, of(&[2, 1]));
    }
    let item = &reviewer.get("/v1/grants").await.json()["items"][0];
    assert_eq!(
        (&item["recording_id"], &item["state"], &item["principal"]),
        (
            &json!(c.id),
            &json!("living"),
            &json!(vault.minted("reviewer").principal.id)
        )
    );
    assert!(!item.to_string().contains("rvg_"), "{item}");

    for whose in ["all".to_owned(), stranger.to_string()] {
        let path = format!("/v1/grants?principal={whose}");
        assert_eq!(reviewer.get(&path).await.reasons(), ["role-not-allowed"]);
    }
    let bad = reviewer.get("/v1/grants?principal=me").await;
    bad.problem(400, "bad-request");
    assert_eq!(
        vault.asks("nobody").get("/v1/grants").await.status,
        200,
        "they have none"
    );
}

async fn revocations_are_listed_without_whom_they_are_of(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let a = recorded(&vault, None, ANNA).await;
    let other = vault.other_account.clone();
    let officer = vault.asks("privacy-officer");
    let limited = somebody(&vault, "privacy-officer", std::slice::from_ref(&other)).await;
    let revoke = async |who: &Caller, target: Value| {
        let mut body = target;
        body["reason"] = json!("subject-request");
        let answer = who.post("/v1/revocations", body).await;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        vault.clock.advance(std::time::Duration::from_millis(5));
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let by_person = revoke(&officer, json!({ "subject": ANNA })).await;
    let by_recording = revoke(&officer, json!({ "recording": a.id })).await;
    let theirs = revoke(&limited, json!({ "subject": BERND })).await;
    let all = [theirs.clone(), by_recording.clone(), by_person.clone()];
    for limit in [1, 9] {
        assert_eq!(ids(&officer, "/v1/revocations", limit).await, all);
        assert_eq!(
            ids(&officer, "/v1/revocations?state=done", limit).await,
            all
        );
        assert_eq!(
            ids(&officer, "/v1/revocations?state=running", limit).await,
            [""; 0]
        );
        let of = format!("/v1/revocations?account={other}");
        assert_eq!(ids(&officer, &of, limit).await, [theirs.as_str()]);
        let of = format!("/v1/revocations?account={}", vault.account);
        assert_eq!(ids(&officer, &of, limit).await, [by_recording.as_str()]);
        assert_eq!(
            ids(&limited, &of, limit).await,
            [""; 0],
            "of another account"
        );
        assert_eq!(
            ids(&limited, "/v1/revocations", limit).await,
            [theirs.as_str()]
        );
    }
    let page = officer.get("/v1/revocations").await;
    assert!(!page.text().contains("sub_"), "{page:?}");
    let items = page.json()["items"].clone();
    assert_eq!(
        (&items[2]["reach"], &items[2]["target"]),
        (&json!("subject"), &Value::Null)
    );
    assert_eq!(
        (&items[1]["reach"], &items[1]["target"]),
        (&json!("recording"), &json!(a.id))
    );
    for who in ["agent", "auditor"] {
        let refused = vault.asks(who).get("/v1/revocations").await;
        assert_eq!(refused.reasons(), ["role-not-allowed"]);
    }
}

on_both_databases!(
    recordings_are_asked_for_by_what_is_known_of_them,
    a_person_is_searched_by_who_may_read_what_people_said,
    the_log_is_asked_from_either_end,
    grants_are_listed_to_their_holder_and_to_who_may_end_or_audit_them,
    revocations_are_listed_without_whom_they_are_of,
);
