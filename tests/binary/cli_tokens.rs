//! `recvault token`: bearer tokens are made, listed, and die when they are revoked.

use reqwest::Method;

use crate::{client::Client, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_until_it_is_revoked() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    // While the service runs.
    let made = world.run(&["token", "create", "--label", "catalogue of the team", "--role", "agent", "--days", "1", "--json"]).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let bearer = Client { token: token.to_owned(), ..service.client.clone() };
    assert_eq!(bearer.ask(Method::GET, "/v1/recordings", None).await.unwrap().0, 200);
    assert_eq!(bearer.ask(Method::GET, "/v1/audit", None).await.unwrap().0, 403, "an agent may not read the log");

    let listed = world.run(&["token", "list", "--json"]).json();
    let row = listed.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
    assert_eq!((&row["label"], &row["roles"], &row["revoked_at"]), (&"catalogue of the team".into(), &["agent"][..].into(), &().into()));
    assert!(!listed.to_string().contains(token.trim_start_matches("rvt_")), "a list shows no secret");
    let text = world.run(&["token", "list"]).done();
    assert!(text.lines().any(|line| line.starts_with(id) && line.contains("until ") && line.ends_with("catalogue of the team")), "{text}");

    let said = world.run(&["token", "revoke", id]).done();
    assert!(said.contains(id), "{said}");
    assert_eq!(bearer.ask(Method::GET, "/v1/recordings", None).await.unwrap().0, 401);
    let text = world.run(&["token", "list"]).done();
    assert!(text.lines().any(|line| line.starts_with(id) && line.contains("revoked ")), "{text}");
    let why = world.run(&["token", "revoke", id]).refused();
    assert!(why.contains(id) && why.contains("token list"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_takes_its_grants_with_it() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, crate::world::sound(1, 1)).await;
    let made = world.run(&["token", "create", "--label", "x", "--role", "reviewer", "--json"]).json();
    let bearer = Client { token: made["token"].as_str().unwrap().to_owned(), ..service.client.clone() };
    let (_, path) = bearer.grant(id).await.unwrap();
    let path = path.unwrap();
    assert_eq!(bearer.get(&path).await.unwrap().0, 200);
    world.run(&["token", "revoke", made["id"].as_str().unwrap(), "--json"]).json();
    assert_eq!(bearer.get(&path).await.unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_token_is_refused_by_name() {
    let world = World::sqlite().await;
    let before = world.run(&["token", "list", "--json"]).done();
    let why = world.run(&["token", "create", "--label", "x", "--role", "agent", "--role", "wizard"]).refused();
    assert!(why.contains("`--role wizard`"), "{why}");
    for usage in [
        &["token", "create", "--label", "x"][..],
        &["token", "create", "--role", "agent"],
        &["token", "create", "--label", "x", "--role", "agent", "--days", "0"],
        &["token", "create", "--label", "x", "--role", "agent", "--days", "3651"],
        &["token", "create", "--label", "x", "--role", "agent", "--account", "AC1"],
        &["token", "revoke", "tok_1"],
    ] {
        assert_eq!(world.run(usage).code, Some(2), "{usage:?}");
    }
    let why = world.run(&["token", "revoke", "tok_00000000000000000000000000000000"]).refused();
    assert!(why.contains("no living token"), "{why}");
    assert_eq!(world.run(&["token", "list", "--json"]).done(), before, "nothing was made");
}
