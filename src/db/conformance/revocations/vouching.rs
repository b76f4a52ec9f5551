//! Revocations, and parties that are named after them.

use super::{
    super::{World, announcement, at, parsed, vouched},
    revocation, subject,
};
use crate::{
    db::{
        parties::{self, Naming, Vouched},
        revocations::{self, Revocation},
    },
    model::{
        access::Principal,
        id::{PrincipalId, TokenId},
        revocation::Target,
        subject::{Conversation, Party, PartyScope, Presence},
        time::Timestamp,
    },
    policy::{self, Permit, Rulebook, Rules, action},
};

every_database!(a_place_that_nobody_vouched_for_is_reached_by_later_revocations_only);

/// A `revoke` permit for this account only.
fn limited_to(account: &str) -> Permit<action::Revoke> {
    let text = include_str!("../../../../config/privacy-policy.toml");
    let rulebook = Rulebook::new(Rules::parse("p", text).unwrap(), []);
    let officer = Principal {
        id: PrincipalId::random(&mut rand::rng()),
        credential: TokenId::random(&mut rand::rng()),
        roles: [parsed("privacy-officer")].into(),
        accounts: [parsed(account)].into(),
        attributes: Default::default(),
    };
    let now = Timestamp::parse_rfc3339("2026-08-01T00:00:00Z").unwrap();
    policy::permit(&officer, action::Revoke, &rulebook, now).unwrap()
}

async fn a_place_that_nobody_vouched_for_is_reached_by_later_revocations_only(world: &World) {
    let mut told = announcement(0, "completed");
    let call = format!("CA{:032x}", 1);
    told.call = Some(parsed(&call));
    let (id, account) = (told.id, told.source_ref.account().to_string());
    world.told(vec![told], at(-9)).await;
    let before = revocation(Target::Subject(subject(1)));
    world.begun(&before).await;
    let conversation: Conversation = call.parse().unwrap();
    let name = async |vouched: Vouched, now: i64| {
        let party = Party {
            leg: parsed("caller"),
            subject: Some(subject(1)),
            channel: None,
            presence: Presence::ALWAYS,
        };
        let mut tx = world.tx().await;
        let naming = parties::name(
            &mut tx,
            &conversation,
            &PartyScope::Every,
            &[party],
            &vouched,
            at(now),
        )
        .await;
        let again = revocations::reach_again(&mut tx, &conversation, at(9)).await;
        tx.commit().await.unwrap();
        (naming.unwrap(), again.unwrap())
    };
    let recording = world.find(id).await.unwrap();
    let covering = async || {
        let mut tx = world.tx().await;
        let found = revocations::covering(&mut tx, &recording).await.unwrap();
        let found: Vec<_> = found.iter().map(|revocation| revocation.id).collect();
        (found, revocations::unvouched(&mut tx).await.unwrap())
    };
    // With a clock that is behind.
    assert_eq!(name(Vouched::by(None), -5).await, (Naming::Done(1), vec![]));
    assert_eq!(world.reached(&before, None, 9).await, []);
    assert_eq!(covering().await, (vec![], 1));
    let elsewhere = limited_to(&format!("AC{:032x}", 9));
    assert_eq!(
        name(Vouched::by(Some(&elsewhere)), 2).await,
        (Naming::Done(1), vec![])
    );
    assert_eq!(covering().await, (vec![], 1));
    // A later revocation reaches all parties named so far.
    let later = Revocation {
        revoked_at: at(10),
        ..revocation(Target::Subject(subject(1)))
    };
    world.begun(&later).await;
    assert_eq!(world.reached(&later, None, 9).await, [id]);
    assert_eq!(covering().await.0, [later.id]);
    // A caller with `revoke` for the account names the same party.
    let (naming, again) = name(Vouched::by(Some(&limited_to(&account))), 3).await;
    assert_eq!(
        (naming, again.contains(&before.id)),
        (Naming::Done(1), true)
    );
    assert_eq!(world.reached(&before, None, 9).await, [id]);
    assert_eq!(covering().await, (vec![before.id, later.id], 0));
    assert_eq!(name(vouched(), 4).await.0, Naming::Done(1));
    assert_eq!(name(Vouched::by(None), 5).await.0, Naming::Done(0));
}
