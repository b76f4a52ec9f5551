//! `recvault token`: bearer tokens are created, listed and revoked.

use reqwest::Method;

use crate::{client::Client, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_until_it_is_revoked() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    // While the service runs.
    let made = world
        .run(&[
            "token",
            "create",
            "--label",
            "catalogue of the team",
            "--role",
            "agent",
            "--days",
            "1",
            "--json",
        ])
        .json();
    let id = made["id"].as_str().unwrap();
    let token = made["token"].as_str().unwrap();
    let bearer = Client {
        token: token.to_owned(),
        ..service.client.clone()
    };
    assert_eq!(
        bearer
            .ask(Method::GET, "/v1/recordings", None)
            .await
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        bearer.ask(Method::GET, "/v1/audit", None).await.unwrap().0,
        403,
        "an agent may not read the log"
    );

    let listed = world.run(&["token", "list", "--json"]).json();
    let row = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id)
        .unwrap()
        .clone();
    assert_eq!(
        (&row["label"], &row["roles"], &row["revoked_at"]),
        (
            &"catalogue of the team".into(),
            &["agent"][..].into(),
            &().into()
        )
    );
    assert!(
        !listed
            .to_string()
            .contains(token.trim_start_matches("rvt_")),
        "a list shows no secret"
    );
    let text = world.run(&["token", "list"]).done();
    assert!(
        text.lines().any(|line| line.starts_with(id)
            && line.contains("until ")
            && line.ends_with("catalogue of the team")),
        "{text}"
    );

    let said = world.run(&["token", "revoke", id]).done();
    assert!(said.contains(id), "{said}");
    assert_eq!(
        bearer
            .ask(Method::GET, "/v1/recordings", None)
            .await
            .unwrap()
            .0,
        401
    );
    let text = world.run(&["token", "list"]).done();
    assert!(
        text.lines()
            .any(|line| line.starts_with(id) && line.contains("revoked ")),
        "{text}"
    );
    let why = world.run(&["token", "revoke", id]).refused();
    assert!(why.contains(id) && why.contains("token list"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_takes_its_grants_with_it() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world
        .sealed(&service.client, crate::world::sound(1, 1))
        .await;
    let made = world
        .run(&[
            "token", "create", "--label", "x", "--role", "reviewer", "--json",
        ])
        .json();
    let bearer = Client {
        token: made["token"].as_str().unwrap().to_owned(),
        ..service.client.clone()
    };
    let (_, path) = bearer.grant(id).await.unwrap();
    let path = path.unwrap();
    assert_eq!(bearer.get(&path).await.unwrap().0, 200);
    world
        .run(&["token", "revoke", made["id"].as_str().unwrap(), "--json"])
        .json();
    assert_eq!(bearer.get(&path).await.unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_token_is_refused_by_name() {
    let world = World::sqlite().await;
    let before = world.run(&["token", "list", "--json"]).done();
    let why = world
        .run(&[
            "token", "create", "--label", "x", "--role", "agent", "--role", "wizard",
        ])
        .refused();
    assert!(why.contains("`--role wizard`"), "{why}");
    for usage in [
        &["token", "create", "--label", "x"][..],
        &["token", "create", "--role", "agent"],
        &[
            "token", "create", "--label", "x", "--role", "agent", "--days", "0",
        ],
        &[
            "token", "create", "--label", "x", "--role", "agent", "--days", "3651",
        ],
        &[
            "token",
            "create",
            "--label",
            "x",
            "--role",
            "agent",
            "--account",
            "AC1",
        ],
        &["token", "revoke", "tok_1"],
    ] {
        assert_eq!(world.run(usage).code, Some(2), "{usage:?}");
    }
    let why = world
        .run(&["token", "revoke", "tok_00000000000000000000000000000000"])
        .refused();
    assert!(why.contains("does not exist or is revoked"), "{why}");
    assert_eq!(
        world.run(&["token", "list", "--json"]).done(),
        before,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_brings_what_conditions_may_look_at() {
    let world = World::sqlite().await;
    let create = [
        "token",
        "create",
        "--label",
        "sales desk",
        "--role",
        "reviewer",
        "--json",
    ];
    let attributes = [
        "--attribute",
        "queue=sales",
        "--attribute",
        "queue=support",
        "--attribute",
        "team=north=1",
    ];
    let made = world.run(&[&create[..], &attributes].concat()).json();
    let listed = world.run(&["token", "list", "--json"]).json();
    let row = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == made["id"])
        .unwrap()
        .clone();
    assert_eq!(
        row["attributes"],
        serde_json::json!({ "queue": ["sales", "support"], "team": ["north=1"] })
    );
    let plain = world.run(&create).json();
    let listed = world.run(&["token", "list", "--json"]).json();
    let row = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == plain["id"])
        .unwrap()
        .clone();
    assert_eq!(row["attributes"], serde_json::json!({}));

    let before = world.run(&["token", "list", "--json"]).done();
    let why = world
        .run(&[&create[..], &["--attribute", "mood=good"]].concat())
        .refused();
    assert!(why.contains("`--attribute mood=…`"), "{why}");
    for usage in [
        "queue",
        "queue=",
        "Queue=sales",
        "=sales",
        &format!("queue={}", "x".repeat(65)),
    ] {
        assert_eq!(
            world
                .run(&[&create[..], &["--attribute", usage]].concat())
                .code,
            Some(2),
            "{usage}"
        );
    }
    assert_eq!(
        world.run(&["token", "list", "--json"]).done(),
        before,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_who_waits_for_a_second_person_and_not_why() {
    let world = World::sqlite().await;
    assert_eq!(
        world.run(&["approval", "list", "--json"]).json(),
        serde_json::json!([])
    );
    assert_eq!(
        world.run(&["approval", "list", "--state", "maybe"]).code,
        Some(2)
    );
    let service = world.serve().await;
    let id = world
        .sealed(&service.client, crate::world::sound(1, 1))
        .await;
    world
        .run(&["move", &id.to_string(), "--tier", "restricted"])
        .done();
    let made = world
        .run(&[
            "token",
            "create",
            "--label",
            "x",
            "--role",
            "privacy-officer",
            "--json",
        ])
        .json();
    let officer = Client {
        token: made["token"].as_str().unwrap().to_owned(),
        ..service.client.clone()
    };
    let body =
        serde_json::json!({ "purpose": "legal-request", "justification": "Ophelia Brandywine" });
    let (status, asked) = officer
        .ask(
            Method::POST,
            &format!("/v1/recordings/{id}/approvals"),
            Some(body),
        )
        .await
        .unwrap();
    assert_eq!(status, 201, "{asked}");
    let listed = world
        .run(&["approval", "list", "--state", "requested", "--json"])
        .json();
    assert_eq!(
        (
            &listed[0]["id"],
            &listed[0]["requested_by"],
            &listed[0]["tier"]
        ),
        (&asked["id"], &made["principal"], &"restricted".into())
    );
    let text = world.run(&["approval", "list"]).done();
    assert!(
        text.contains(&id.to_string())
            && text.contains("legal-request")
            && !text.contains("Brandywine"),
        "{text}"
    );
    assert_eq!(
        world
            .run(&["approval", "list", "--state", "approved"])
            .done(),
        ""
    );
    let body = serde_json::json!({ "purpose": "legal-request", "justification": "Ophelia Brandywine", "break_glass": true });
    assert_eq!(
        officer
            .ask(
                Method::POST,
                &format!("/v1/recordings/{id}/grants"),
                Some(body)
            )
            .await
            .unwrap()
            .0,
        201
    );
    let text = world.run(&["status"]).done();
    assert!(text.contains("1 in the last 7 days"), "{text}");
    assert_eq!(world.run(&["status", "--json"]).json()["broken_glass"], 1);
}
