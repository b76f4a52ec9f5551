//! `recvault principal`, and tokens of one person at the command line.

use recvault::model::actor::OsUser;
use serde_json::{Value, json};

use crate::world::World;

fn create(world: &World, more: &[&str]) -> Value {
    let mut args = vec![
        "token", "create", "--label", "phone", "--role", "agent", "--json",
    ];
    args.extend(more);
    world.run(&args).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_one_person_are_made_listed_and_revoked_together() {
    let world = World::sqlite().await;
    let one = create(&world, &["--principal", "staff 17", "--kind", "person"]);
    let two = create(&world, &["--principal", "staff 17"]);
    let alone = create(&world, &[]);
    assert_eq!(one["principal"], two["principal"]);
    assert_ne!(one["principal"], alone["principal"]);
    assert_eq!(
        (&two["subject"], &two["kind"]),
        (&json!("staff 17"), &json!("person"))
    );
    assert_eq!(
        (&alone["subject"], &alone["kind"]),
        (&alone["id"], &json!("service"))
    );
    let refused = world
        .run(&[
            "token",
            "create",
            "--label",
            "x",
            "--role",
            "agent",
            "--principal",
            "staff 17",
            "--kind",
            "service",
        ])
        .refused();
    assert!(refused.contains("`staff 17` is a person"), "{refused}");

    let listed = world.run(&["principal", "list", "--json"]).json();
    let find = |id: &Value| {
        let mut rows = listed.as_array().unwrap().iter();
        rows.find(|row| row["id"] == *id).unwrap().clone()
    };
    let person = find(&one["principal"]);
    assert_eq!(
        (
            &person["issuer"],
            &person["subject"],
            &person["living_tokens"]
        ),
        (&json!("local"), &json!("staff 17"), &json!(2))
    );
    assert_eq!(find(&alone["principal"])["label"], "phone");
    let text = world.run(&["principal", "list"]).done();
    assert!(text.contains("person  local  staff 17  2 tokens"), "{text}");
    let text = world.run(&["token", "list"]).done();
    assert!(text.contains("person staff 17"), "{text}");

    let revoked = world
        .run(&["token", "revoke", "--principal", "staff 17", "--json"])
        .json();
    assert_eq!(revoked["principal"], one["principal"]);
    assert_eq!(revoked["tokens"].as_array().unwrap().len(), 2);
    for (args, why) in [
        (vec!["--principal", "staff 17"], "has no valid token"),
        (
            vec!["--principal", "staff 18"],
            "principal `staff 18` does not exist",
        ),
    ] {
        let args = [vec!["token", "revoke"], args].concat();
        let refused = world.run(&args).refused();
        assert!(refused.contains(why), "{refused}");
    }
    let unsaid = world.run(&["token", "revoke"]);
    assert_eq!(unsaid.code, Some(2));
    assert!(unsaid.stderr.contains("--principal"), "{unsaid:?}");
    let audit = world.run(&["audit", "list"]).done();
    let who = format!("operator:{}", OsUser::of_process());
    let lines: Vec<&str> = audit
        .lines()
        .filter(|line| line.contains("token.revoked"))
        .collect();
    assert_eq!(lines.len(), 2, "{audit}");
    assert!(lines.iter().all(|line| line.contains(&who)), "{audit}");
    assert!(!audit.contains("staff 17"), "{audit}");
}
