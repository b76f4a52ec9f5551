//! Tokens, grants and policies.

use std::collections::BTreeSet;

use super::{World, at, parsed};
use crate::{
    db::{
        Error, Tx,
        grants::{self, GrantRow},
        policies::{self, PolicyRow},
        tokens::{self, TokenRow},
    },
    model::{
        id::{GrantId, PrincipalId, RecordingId, TokenId},
        time::Timestamp,
    },
};

every_database!(
    a_token_lives_until_its_last_millisecond,
    a_revoked_token_is_nobodys,
    a_token_brings_its_roles_and_accounts,
    two_tokens_never_have_one_secret,
    a_grant_comes_back_as_it_was_given,
    ended_grants_are_forgotten,
    a_policy_is_kept_once,
    a_policy_comes_into_force_once,
    an_old_policy_is_signed_once,
    a_published_version_is_never_another_file,
    policies_come_back_oldest_first,
);

fn token_id() -> TokenId {
    TokenId::random(&mut rand::rng())
}

fn token() -> TokenRow {
    TokenRow {
        attributes: [("team".parse().unwrap(), ["north".to_owned()].into())].into(),
        id: token_id(),
        hash: String::new(),
        principal: PrincipalId::random(&mut rand::rng()),
        label: "billing system".into(),
        roles: vec![parsed("reviewer")],
        accounts: Vec::new(),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: None,
    }
}

fn with_hash(token: &TokenRow, hash: &str) -> TokenRow {
    TokenRow {
        hash: hash.to_owned(),
        ..token.clone()
    }
}

async fn given(world: &World, token: &TokenRow, hash: &str) {
    let mut tx = world.tx().await;
    super::principals::enter(&mut tx, token.principal).await;
    tokens::insert(&mut tx, &with_hash(token, hash))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn a_token_lives_until_its_last_millisecond(world: &World) {
    let token = token();
    given(world, &token, "h1").await;
    let mut tx = world.db.read().await.unwrap();
    for (now, lives) in [(0, true), (99, true), (100, false), (101, false)] {
        let bearer = tokens::authenticate(&mut tx, "h1", at(now)).await.unwrap();
        assert_eq!(bearer, lives.then(|| token.principal()), "at {now}");
        assert_eq!(
            tokens::living(&mut tx, token.id, at(now)).await.unwrap(),
            bearer
        );
    }
    for other in ["h", "h11", "", "h2"] {
        assert_eq!(
            tokens::authenticate(&mut tx, other, at(1)).await.unwrap(),
            None
        );
    }
    assert_eq!(
        tokens::living(&mut tx, token_id(), at(1)).await.unwrap(),
        None
    );
}

async fn a_revoked_token_is_nobodys(world: &World) {
    let revoked = token();
    let other = token();
    given(world, &revoked, "h1").await;
    given(world, &other, "h2").await;
    let mut tx = world.tx().await;
    for (id, now, whose) in [
        (revoked.id, 5, Some(revoked.principal)),
        (revoked.id, 6, None),
        (token_id(), 6, None),
    ] {
        assert_eq!(tokens::revoke(&mut tx, id, at(now)).await.unwrap(), whose);
    }
    tx.commit().await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(
        tokens::authenticate(&mut tx, "h1", at(5)).await.unwrap(),
        None
    );
    assert_eq!(
        tokens::living(&mut tx, revoked.id, at(5)).await.unwrap(),
        None
    );
    assert_eq!(
        tokens::authenticate(&mut tx, "h2", at(5)).await.unwrap(),
        Some(other.principal())
    );
    let listed = tokens::list(&mut tx).await.unwrap();
    let revoked_at = |id| {
        listed
            .iter()
            .find(|token| token.id == id)
            .unwrap()
            .revoked_at
    };
    assert_eq!(
        (revoked_at(revoked.id), revoked_at(other.id), listed.len()),
        (Some(at(5)), None, 2)
    );
}

async fn a_token_brings_its_roles_and_accounts(world: &World) {
    let accounts = vec![
        parsed(&format!("AC{}", "1".repeat(32))),
        parsed(&format!("AC{}", "2".repeat(32))),
    ];
    let token = TokenRow {
        roles: vec![parsed("reviewer"), parsed("privacy-officer")],
        accounts,
        label: "it's \"quoted\" \\ ünïcode".into(),
        ..token()
    };
    given(world, &token, "h1").await;
    given(
        world,
        &TokenRow {
            roles: Vec::new(),
            created_at: at(-1),
            ..self::token()
        },
        "h2",
    )
    .await;
    let mut tx = world.db.read().await.unwrap();
    let bearer = tokens::authenticate(&mut tx, "h1", at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        bearer.roles,
        BTreeSet::from([parsed("privacy-officer"), parsed("reviewer")])
    );
    assert_eq!(
        bearer.accounts.into_iter().collect::<Vec<_>>(),
        token.accounts
    );
    let listed = tokens::list(&mut tx).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|token| token.label.as_str())
            .collect::<Vec<_>>(),
        ["billing system", token.label.as_str()]
    );
}

async fn two_tokens_never_have_one_secret(world: &World) {
    given(world, &token(), "h1").await;
    assert!(
        tokens::insert(&mut world.tx().await, &with_hash(&token(), "h1"))
            .await
            .is_err()
    );
}

fn grant(recording: RecordingId, token: &TokenRow, hash: &str) -> GrantRow {
    GrantRow {
        ticket: Some("CASE-7".parse().unwrap()),
        break_glass: false,
        opened_at: None,
        approval: None,
        ended_at: None,
        id: GrantId::random(&mut rand::rng()),
        hash: hash.to_owned(),
        object: recording.into(),
        account: "AC00000000000000000000000000000000".parse().unwrap(),
        token: token.id,
        purpose: parsed("quality-review"),
        justified: true,
        policy_digest: "d".repeat(64),
        issued_at: at(1),
        expires_at: at(100),
    }
}

async fn a_grant_comes_back_as_it_was_given(world: &World) {
    let id = world.one_announced().await;
    let token = token();
    given(world, &token, "h1").await;
    let one = grant(id, &token, "g1");
    let other = GrantRow {
        justified: false,
        ..grant(id, &token, "g2")
    };
    let mut tx = world.tx().await;
    grants::insert(&mut tx, &one).await.unwrap();
    grants::insert(&mut tx, &other).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(grants::find(&mut tx, "g1").await.unwrap(), Some(one));
    assert_eq!(grants::find(&mut tx, "g2").await.unwrap(), Some(other));
    assert_eq!(grants::find(&mut tx, "g3").await.unwrap(), None);
    drop(tx);
    assert!(
        grants::insert(&mut world.tx().await, &grant(id, &token, "g1"))
            .await
            .is_err(),
        "one secret, one grant"
    );
    let to_nobody = grants::insert(&mut world.tx().await, &grant(id, &self::token(), "g4")).await;
    assert!(
        to_nobody.is_err(),
        "a grant is given to a token that is there"
    );
}

async fn ended_grants_are_forgotten(world: &World) {
    let id = world.one_announced().await;
    let token = token();
    given(world, &token, "h1").await;
    let mut tx = world.tx().await;
    for end in 99..=101 {
        grants::insert(
            &mut tx,
            &GrantRow {
                expires_at: at(end),
                ..grant(id, &token, &format!("g{end}"))
            },
        )
        .await
        .unwrap();
    }
    assert_eq!(grants::remove_ended(&mut tx, at(100)).await.unwrap(), 1);
    assert_eq!(grants::find(&mut tx, "g99").await.unwrap(), None);
    assert!(grants::find(&mut tx, "g100").await.unwrap().is_some());
    assert_eq!(grants::remove_ended(&mut tx, at(100)).await.unwrap(), 0);
}

fn source(digest: &str, version: &str) -> String {
    format!("version = \"{version}\"\n# {digest}, ünïcode\n")
}

/// A stored policy; `in_force_at` is 0 for one that was only published.
fn policy(digest: &str, version: &str, in_force_at: i64) -> PolicyRow {
    let in_force_at = (in_force_at != 0).then(|| Timestamp::from_millis(in_force_at));
    PolicyRow {
        digest: digest.into(),
        version: version.into(),
        source: source(digest, version),
        jws: Some("j.w.s".into()),
        in_force_at,
    }
}

async fn published(tx: &mut Tx, digest: &str, version: &str) -> Result<bool, Error> {
    policies::publish(tx, digest, version, &source(digest, version), "j.w.s").await
}

async fn a_policy_is_kept_once(world: &World) {
    let mut tx = world.tx().await;
    assert!(published(&mut tx, "d1", "2026-01").await.unwrap());
    assert!(!published(&mut tx, "d1", "2026-01").await.unwrap());
    assert!(
        !policies::publish(&mut tx, "d1", "2026-01", "", "another")
            .await
            .unwrap()
    );
    assert_eq!(
        policies::all(&mut tx).await.unwrap(),
        [policy("d1", "2026-01", 0)]
    );
    assert_eq!(
        policies::find(&mut tx, "2026-01").await.unwrap(),
        Some(policy("d1", "2026-01", 0))
    );
    assert_eq!(policies::find(&mut tx, "d1").await.unwrap(), None);
}

async fn a_policy_comes_into_force_once(world: &World) {
    let mut tx = world.tx().await;
    assert!(!policies::put_in_force(&mut tx, "d1", at(5)).await.unwrap());
    published(&mut tx, "d1", "2026-01").await.unwrap();
    assert!(policies::put_in_force(&mut tx, "d1", at(5)).await.unwrap());
    assert!(!policies::put_in_force(&mut tx, "d1", at(6)).await.unwrap());
    assert_eq!(
        policies::all(&mut tx).await.unwrap(),
        [policy("d1", "2026-01", at(5).as_millis())]
    );
}

async fn an_old_policy_is_signed_once(world: &World) {
    let mut tx = world.tx().await;
    published(&mut tx, "d1", "2026-01").await.unwrap();
    tx.execute("UPDATE policies SET jws = NULL", &[])
        .await
        .unwrap();
    assert!(
        policies::publish(&mut tx, "d1", "2026-01", "", "first")
            .await
            .unwrap()
    );
    assert!(
        !policies::publish(&mut tx, "d1", "2026-01", "", "second")
            .await
            .unwrap()
    );
    let kept = policies::find(&mut tx, "2026-01").await.unwrap().unwrap();
    assert_eq!(
        (kept.jws.as_deref(), kept.source),
        (Some("first"), source("d1", "2026-01"))
    );
}

async fn a_published_version_is_never_another_file(world: &World) {
    let mut tx = world.tx().await;
    published(&mut tx, "d1", "2026-01").await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    assert!(matches!(
        published(&mut tx, "d2", "2026-01").await,
        Err(Error::Stale(_))
    ));
    assert_eq!(
        policies::all(&mut tx).await.unwrap(),
        [policy("d1", "2026-01", 0)]
    );
    assert!(published(&mut tx, "d2", "2026-02").await.unwrap());
}

async fn policies_come_back_oldest_first(world: &World) {
    let mut tx = world.tx().await;
    for (digest, version, millis) in [
        ("d9", "first", 1),
        ("d1", "never", 0),
        ("d5", "second", 2),
        ("d7", "third", 3),
    ] {
        published(&mut tx, digest, version).await.unwrap();
        if millis > 0 {
            policies::put_in_force(&mut tx, digest, at(millis))
                .await
                .unwrap();
        }
    }
    let versions: Vec<_> = policies::all(&mut tx)
        .await
        .unwrap()
        .into_iter()
        .map(|policy| policy.version)
        .collect();
    assert_eq!(versions, ["first", "second", "third", "never"]);
}
