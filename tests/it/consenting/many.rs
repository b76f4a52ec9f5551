//! Many statements at once, in requests and in files.

use std::{collections::BTreeSet, time::Duration};

use recvault::{flow::ImportFormat, model::subject::Address};
use serde_json::{Value, json};

use super::{CALLEE, CALLER, DAY, both_are_named, consent, officer, seal, strict, waits};
use crate::world::Database;

async fn a_thousand_statements_come_at_once(database: Database) {
    let vault = strict(database).await;
    let items: Vec<Value> = (0..1000)
        .map(|number| json!({ "subject": format!("+49302312{number:04}"), "answer": "given", "method": "web-form", "purposes": ["recording"] }))
        .collect();
    let told = officer(&vault, "/v1/consents", json!({ "items": items })).await;
    assert_eq!(
        (told.status, told.json()["recorded"].clone()),
        (201, json!(1000))
    );
    let ids: BTreeSet<String> = told.json()["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(ids.len(), 1000);
    let padded = json!({ "items": vec![json!({ "evidence": "x".repeat(1000) }); 1100] });
    officer(&vault, "/v1/consents", padded)
        .await
        .problem(413, "too-large");
}

async fn a_request_with_a_fault_records_nothing_and_repeats_no_number(database: Database) {
    let vault = strict(database).await;
    let good = json!({ "subject": CALLER, "answer": "given", "method": "speech" });
    let later = vault.clock.now().after(Duration::from_secs(301));
    let with = |name: &str, value: Value| {
        let mut told = good.clone();
        told[name] = value;
        told
    };
    for (bad, field) in [
        (with("at", json!(later)), "`at`"),
        (with("purposes", json!(["selling"])), "`purposes`"),
        (with("purposes", json!([CALLER])), "`purposes`"),
        (with("subject", json!("030 3125001")), "`subject`"),
        (with("subject", json!(49_303_125_001_i64)), "`subject`"),
        (with("answer", json!(CALLER)), "`answer`"),
        (with("method", json!("import")), "`at`"),
        (with(CALLER, json!(1)), "an unknown member"),
        (
            with("call", json!(format!("CA{}", "0".repeat(32)))),
            "`subject`",
        ),
    ] {
        let one = officer(&vault, "/v1/consents", bad.clone())
            .await
            .problem(400, "bad-request");
        let many = officer(&vault, "/v1/consents", json!({ "items": [good, bad] }))
            .await
            .problem(400, "bad-request");
        for problem in [one, many] {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(field), "{bad}: {detail}");
            assert!(!detail.contains("3125"), "{detail}");
        }
    }
    for bad in [
        json!({ "items": [] }),
        json!({ "items": [good], "more": 1 }),
        json!({ "items": vec![good.clone(); 1001] }),
        json!([good]),
    ] {
        officer(&vault, "/v1/consents", bad)
            .await
            .problem(400, "bad-request");
    }
    let path = format!("/v1/calls/CA{}/parties", "0".repeat(32));
    for bad in [
        json!({ "parties": [{ "leg": "caller", "number": "030 3125001" }] }),
        json!({ "parties": [{ "leg": CALLER }] }),
        json!({ "parties": [{ "leg": "caller" }, { "leg": "caller", "number": CALLER }] }),
        json!({ "parties": [{ "leg": "caller", CALLER: 1 }] }),
        json!({ "parties": [] }),
        json!({ "parties": CALLER }),
    ] {
        let problem = officer(&vault, &path, bad)
            .await
            .problem(400, "bad-request");
        assert!(!problem.to_string().contains("3125"), "{problem}");
    }
    officer(
        &vault,
        "/v1/calls/CA12/parties",
        json!({ "parties": [{ "leg": "caller" }] }),
    )
    .await
    .problem(404, "not-found");
    assert_eq!(
        (
            vault.count("consent.recorded").await,
            vault.count("parties.named").await
        ),
        (0, 0)
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents")
            .await,
        Some(0)
    );
}

async fn a_file_is_taken_in_whole_or_not_at_all(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    seal(&vault, &recorded).await;
    let header = "subject,call,leg,purposes,answer,method,at\n";
    let row = |number: &str, answer: &str| {
        format!("{number},,,recording;training,{answer},contract,2026-01-01T00:00:00Z\n")
    };
    let import = async |text: String, dry_run: bool| {
        vault
            .process
            .flow
            .consents
            .import(&consent(), ImportFormat::Csv, text.as_bytes(), dry_run)
            .await
    };

    let bad = format!(
        "{header}{}{}{}",
        row(CALLER, "given"),
        row(CALLEE, "maybe"),
        row("0", "given")
    );
    let refused = import(bad, false).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("2 faults; nothing was recorded\n  line 3: `answer`: ")
            && refused.contains("\n  line 4: `subject`: ")
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents")
            .await,
        Some(0)
    );

    let good = format!(
        "{header}{}{}{}",
        row(CALLER, "given"),
        row(CALLEE, "given"),
        row(CALLER, "given")
    );
    let would = import(good.clone(), true).await.unwrap();
    assert_eq!(
        (
            would.statements,
            would.fresh,
            vault
                .ground()
                .integer("SELECT COUNT(*) FROM consents")
                .await
        ),
        (3, 2, Some(0))
    );
    let did = import(good.clone(), false).await.unwrap();
    assert_eq!((did.statements, did.fresh, did.settled.released), (3, 2, 1));
    assert!(!waits(&vault, recorded.id).await);
    vault.clock.advance(DAY);
    let again = import(good, false).await.unwrap();
    assert_eq!(
        (again.fresh, vault.count("consent.recorded").await),
        (0, 2),
        "a file that is taken in again changes nothing"
    );
    let listed = vault
        .process
        .flow
        .consents
        .of(&consent(), &Address::parse(CALLER).unwrap(), None, 10)
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(
        listed.items[0].statement.policy_version, None,
        "what another system knew is not of this policy"
    );
    let opened = vault
        .process
        .flow
        .vault
        .open_evidence(listed.items[0].statement.id, &listed.items[0].evidence)
        .unwrap();
    assert_eq!(
        opened.as_str(),
        "{\"address\":\"+493023125001\",\"evidence\":null}"
    );
}

on_both_databases!(
    a_thousand_statements_come_at_once,
    a_request_with_a_fault_records_nothing_and_repeats_no_number,
    a_file_is_taken_in_whole_or_not_at_all,
);
