//! Principals, and the tokens that are their credentials.

use super::{World, at, parsed};
use crate::{
    db::{
        Tx,
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

/// Inserts a principal with this id, for tokens that need one.
pub(super) async fn enter(tx: &mut Tx, id: PrincipalId) {
    let row = PrincipalRow {
        id,
        ..person(&id.to_string())
    };
    principals::find_or_insert(tx, &row).await.unwrap();
}

fn token(principal: PrincipalId, hash: &str) -> TokenRow {
    TokenRow {
        id: TokenId::random(&mut rand::rng()),
        hash: hash.to_owned(),
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
            .db
            .unit("named", async |mut unit| {
                unit.without_entry("a test");
                let found = principals::find_or_insert(&mut unit, &person("anna")).await?;
                Ok::<_, crate::db::Error>(found.id)
            })
            .await
            .unwrap()
    };
    let (one, other, third) = tokio::join!(naming(), naming(), naming());
    assert_eq!((one, one), (other, third));
    let mut tx = world.db.read().await.unwrap();
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
    let theirs = ["h1", "h2", "h3"].map(|hash| token(one.id, hash));
    let foreign = token(other.id, "h4");
    let mut tx = world.tx().await;
    for row in [&one, &other] {
        principals::find_or_insert(&mut tx, row).await.unwrap();
    }
    for row in theirs.iter().chain([&foreign]) {
        tokens::insert(&mut tx, row).await.unwrap();
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
    let orphan = token(PrincipalId::random(&mut rand::rng()), "h1");
    let mut tx = world.tx().await;
    assert!(tokens::insert(&mut tx, &orphan).await.is_err());
}
