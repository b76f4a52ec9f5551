//! Stories of principals and the tokens that are their credentials.

use super::{World, at, parsed};
use crate::{
    ledger::{
        Tx, approvals, budgets,
        principals::{self, LOCAL, PrincipalRow},
        tokens::{self, TokenRow},
    },
    model::{
        access::PrincipalKind,
        id::{PrincipalId, TokenId},
    },
};

every_database!(
    one_name_is_one_principal_however_often_it_is_said,
    two_processes_that_name_somebody_at_once_name_one_principal,
    the_same_subject_of_two_issuers_is_two_principals,
    all_tokens_of_a_principal_die_at_once_and_nobody_elses,
    a_token_without_a_principal_is_refused_by_the_database,
    tokens_from_before_are_each_a_principal_of_its_own,
);

fn person(subject: &str) -> PrincipalRow {
    PrincipalRow {
        id: PrincipalId::random(&mut rand::rng()),
        kind: PrincipalKind::Person,
        issuer: parsed(LOCAL),
        subject: parsed(subject),
        label: subject.to_owned(),
        created_at: at(1),
    }
}

/// Enters a principal of this id, for tokens that need one.
pub(super) async fn enter(tx: &mut Tx, id: PrincipalId) {
    let row = PrincipalRow {
        id,
        ..person(&id.to_string())
    };
    principals::find_or_insert(tx, &row).await.unwrap();
}

fn token(principal: PrincipalId) -> TokenRow {
    TokenRow {
        id: TokenId::random(&mut rand::rng()),
        principal,
        label: "phone".into(),
        roles: vec![parsed("reviewer")],
        accounts: Vec::new(),
        attributes: Default::default(),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: None,
    }
}

async fn one_name_is_one_principal_however_often_it_is_said(world: &World) {
    let first = person("it's \"änne\"");
    let mut tx = world.tx().await;
    let entered = principals::find_or_insert(&mut tx, &first).await.unwrap();
    assert_eq!(entered, first);
    let again = PrincipalRow {
        kind: PrincipalKind::Service,
        label: "other".into(),
        created_at: at(9),
        ..person("it's \"änne\"")
    };
    let found = principals::find_or_insert(&mut tx, &again).await.unwrap();
    assert_eq!(found, first);
    assert_eq!(
        principals::find(&mut tx, first.id).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(principals::find(&mut tx, again.id).await.unwrap(), None);
    assert_eq!(
        principals::find_local(&mut tx, &first.subject)
            .await
            .unwrap(),
        Some(first.clone())
    );
    assert_eq!(principals::list(&mut tx).await.unwrap(), [first]);
}

async fn two_processes_that_name_somebody_at_once_name_one_principal(world: &World) {
    let naming = || async {
        world
            .ledger
            .unit("named", async |mut unit| {
                unit.without_entry("a test");
                let found = principals::find_or_insert(&mut unit, &person("anna")).await?;
                Ok::<_, crate::ledger::Error>(found.id)
            })
            .await
            .unwrap()
    };
    let (one, other, third) = tokio::join!(naming(), naming(), naming());
    assert_eq!((one, one), (other, third));
    let mut tx = world.ledger.read().await.unwrap();
    assert_eq!(principals::list(&mut tx).await.unwrap().len(), 1);
}

async fn the_same_subject_of_two_issuers_is_two_principals(world: &World) {
    let local = person("anna");
    let foreign = PrincipalRow {
        issuer: parsed("https://issuer.example"),
        ..person("anna")
    };
    let mut tx = world.tx().await;
    for row in [&local, &foreign] {
        let entered = principals::find_or_insert(&mut tx, row).await.unwrap();
        assert_eq!(&entered, row);
    }
    assert_eq!(
        principals::find_local(&mut tx, &parsed("anna"))
            .await
            .unwrap(),
        Some(local)
    );
}

async fn all_tokens_of_a_principal_die_at_once_and_nobody_elses(world: &World) {
    let one = person("one");
    let other = person("other");
    let theirs = [token(one.id), token(one.id), token(one.id)];
    let foreign = token(other.id);
    let mut tx = world.tx().await;
    for row in [&one, &other] {
        principals::find_or_insert(&mut tx, row).await.unwrap();
    }
    for (hash, row) in ["h1", "h2", "h3", "h4"]
        .iter()
        .zip(theirs.iter().chain([&foreign]))
    {
        tokens::insert(&mut tx, row, hash).await.unwrap();
    }
    let first = tokens::revoke(&mut tx, theirs[0].id, at(5)).await.unwrap();
    assert_eq!(first, Some(one.id));
    let mut revoked = tokens::revoke_all(&mut tx, one.id, at(6)).await.unwrap();
    revoked.sort();
    let mut expected = [theirs[1].id, theirs[2].id];
    expected.sort();
    assert_eq!(revoked, expected);
    assert!(
        tokens::revoke_all(&mut tx, one.id, at(7))
            .await
            .unwrap()
            .is_empty()
    );
    for (hash, lives) in [
        ("h1", None),
        ("h2", None),
        ("h3", None),
        ("h4", Some(other.id)),
    ] {
        let bearer = tokens::authenticate(&mut tx, hash, at(8)).await.unwrap();
        assert_eq!(bearer.map(|bearer| bearer.id), lives, "{hash}");
    }
}

async fn a_token_without_a_principal_is_refused_by_the_database(world: &World) {
    let orphan = token(PrincipalId::random(&mut rand::rng()));
    let mut tx = world.tx().await;
    assert!(tokens::insert(&mut tx, &orphan, "h1").await.is_err());
}

/// The schema before principals, as far as it is about them.
const BEFORE: &[&str] = &[
    "DROP TABLE grants",
    "DROP TABLE tokens",
    "DROP TABLE principals",
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, label TEXT NOT NULL, roles TEXT NOT NULL,
       accounts TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT,
       attributes TEXT NOT NULL DEFAULT '{}')",
    "CREATE TABLE grants (id TEXT PRIMARY KEY, token_id TEXT NOT NULL REFERENCES tokens (id))",
    "ALTER TABLE approvals RENAME COLUMN principal_id TO token_id",
    "ALTER TABLE budgets RENAME COLUMN principal_id TO token_id",
];

async fn tokens_from_before_are_each_a_principal_of_its_own(world: &World) {
    let recording = world.one_announced().await;
    let digits = ["1".repeat(32), "2".repeat(32)];
    let [a, b] = &digits;
    let end = at(100).as_millis();
    let day = at(5).as_millis().div_euclid(24 * 3600 * 1000);
    world.sql(BEFORE).await;
    world
        .sql(&[
            &format!(
                "INSERT INTO tokens (id, hash, label, roles, accounts, created_at, expires_at) VALUES
                 ('tok_{a}', 'h1', 'same', '[\"agent\"]', '[]', 3, {end}), ('tok_{b}', 'h2', 'same', '[]', '[]', 4, {end})"
            ),
            &format!("INSERT INTO grants (id, token_id) VALUES ('grt_1', 'tok_{a}')"),
            &format!(
                "INSERT INTO approvals (id, recording_id, token_id, purpose, justification, state, requested_at, expires_at, decided_by)
                 VALUES ('apr_{a}', '{recording}', 'tok_{a}', 'training', '', 'approved', 1, {end}, 'tok_{b}'),
                        ('apr_{b}', '{recording}', 'tok_{a}', 'training', '', 'requested', 1, {end}, NULL)"
            ),
            &format!(
                "INSERT INTO budgets (token_id, purpose, day, used) VALUES ('tok_{b}', 'training', {day}, 7)"
            ),
        ])
        .await;
    let migration = if world.server.is_none() {
        include_str!("../migrations/sqlite/0009_principals.sql")
    } else {
        include_str!("../migrations/postgres/0009_principals.sql")
    };
    let statements: Vec<&str> = migration.trim_end().split(";\n").collect();
    world.sql(&statements).await;

    let [one, other]: [PrincipalId; 2] = [parsed(&format!("prn_{a}")), parsed(&format!("prn_{b}"))];
    let mut tx = world.tx().await;
    let bearer = tokens::authenticate(&mut tx, "h1", at(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (bearer.id, bearer.credential),
        (one, parsed(&format!("tok_{a}")))
    );
    let listed = principals::list(&mut tx).await.unwrap();
    let told: Vec<_> = listed
        .iter()
        .map(|row| (row.id, row.kind, row.subject.as_str(), row.label.as_str()))
        .collect();
    let subjects = [format!("tok_{a}"), format!("tok_{b}")];
    assert_eq!(
        told,
        [
            (one, PrincipalKind::Service, subjects[0].as_str(), "same"),
            (other, PrincipalKind::Service, subjects[1].as_str(), "same"),
        ]
    );
    let until =
        approvals::approved_until(&mut tx, recording, one, &parsed("training"), at(5)).await;
    assert_eq!(until.unwrap(), Some(at(100)));
    let decided = approvals::find(&mut tx, parsed(&format!("apr_{a}")))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (decided.requested_by, decided.decided_by),
        (one, Some(other))
    );
    let used = budgets::used(&mut tx, other, &parsed("training"), at(5)).await;
    assert_eq!(used.unwrap(), 7);
    let orphan = token(PrincipalId::random(&mut rand::rng()));
    assert!(tokens::insert(&mut tx, &orphan, "h3").await.is_err());
}
