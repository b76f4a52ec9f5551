//! Grants and revocations, as they stand.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use rand::{SeedableRng as _, rngs::StdRng};

use super::{account, subject};
use crate::{
    db::{
        conformance::{World, at, parsed, principals},
        grants::{self, GrantFilter, GrantRow, GrantState},
        recordings,
        revocations::{self, Revocation, RevocationFilter, RevocationProgress},
        tokens::{self, TokenRow},
    },
    model::{
        actor::Actor,
        id::{GrantId, PrincipalId, RevocationId, TokenId},
        revocation::Target,
    },
};

every_database!(
    grants_are_listed_as_they_stand,
    revocations_are_listed_by_what_they_reach,
);

async fn grants_are_listed_as_they_stand(world: &World) {
    let ids = world.announced(3).await;
    let rng = &mut StdRng::seed_from_u64(7);
    let [anna, bernd] = [PrincipalId::random(rng), PrincipalId::random(rng)];
    let mut tx = world.tx().await;
    let mut bearers = Vec::new();
    // Anna has three tokens: a good one, one that is revoked and one that expires.
    for (at_, (principal, expires, revoked)) in [
        (anna, 1000, None),
        (anna, 1000, Some(at(50))),
        (anna, 60, None),
        (bernd, 1000, None),
    ]
    .into_iter()
    .enumerate()
    {
        principals::enter(&mut tx, principal).await;
        let row = TokenRow {
            id: TokenId::random(rng),
            hash: format!("t{at_}"),
            label: "x".into(),
            roles: Vec::new(),
            accounts: Vec::new(),
            created_at: at(0),
            expires_at: at(expires),
            revoked_at: revoked,
            attributes: BTreeMap::new(),
            principal,
        };
        tokens::insert(&mut tx, &row).await.unwrap();
        bearers.push(row.id);
    }
    let mut given = Vec::new();
    for (number, (token, recording, purpose, ended)) in [
        (0, 0, "training", None),
        (0, 1, "training", Some(at(9))),
        (1, 0, "training", None),
        (2, 0, "training", None),
        (3, 0, "legal-request", None),
        (0, 2, "legal-request", None),
        (0, 0, "legal-request", None),
    ]
    .into_iter()
    .enumerate()
    {
        let row = GrantRow {
            id: GrantId::random(rng),
            hash: format!("g{number}"),
            object: ids[recording].into(),
            account: account(u32::try_from(recording).unwrap()),
            token: bearers[token],
            purpose: parsed(purpose),
            justified: false,
            policy_digest: "0".repeat(64),
            issued_at: at(10 + i64::try_from(number).unwrap() / 3),
            expires_at: at(if number == 6 { 90 } else { 500 }),
            ticket: None,
            break_glass: false,
            opened_at: None,
            approval: None,
            ended_at: ended,
        };
        grants::insert(&mut tx, &row).await.unwrap();
        given.push(row);
    }
    recordings::mark_shredded(&mut tx, &[ids[2]], at(70))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let listed = async |filter: GrantFilter, limit: i64| {
        let mut filter = filter;
        let mut found = Vec::new();
        loop {
            let mut tx = world.db.read().await.unwrap();
            let page = grants::list(&mut tx, &filter, at(100), limit)
                .await
                .unwrap();
            let Some(last) = page.last() else {
                return found;
            };
            filter.after = Some((last.row.issued_at, last.row.id));
            for listed in page {
                let number = given.iter().position(|row| *row == listed.row).unwrap();
                assert_eq!(listed.principal, if number == 4 { bernd } else { anna });
                let is_living = matches!(number, 0 | 4);
                assert_eq!(listed.state == GrantState::Living, is_living, "{number}");
                found.push(number);
            }
        }
    };
    let mut order: Vec<usize> = (0..given.len()).collect();
    order.sort_by_key(|number| Reverse((given[*number].issued_at, given[*number].id.to_string())));
    let base = GrantFilter::default;
    let of = |principal| GrantFilter {
        principal: Some(principal),
        ..base()
    };
    let living = GrantFilter {
        state: Some(GrantState::Living),
        ..base()
    };
    let ended = GrantFilter {
        state: Some(GrantState::Ended),
        ..base()
    };
    let of_recording = GrantFilter {
        object: Some(ids[0].into()),
        ..of(anna)
    };
    let purpose = GrantFilter {
        purpose: Some(parsed("legal-request")),
        ..base()
    };
    let limited = GrantFilter {
        accounts: [account(1)].into(),
        ..base()
    };
    for (filter, expected) in [
        (base(), vec![0, 1, 2, 3, 4, 5, 6]),
        (of(anna), vec![0, 1, 2, 3, 5, 6]),
        (of(bernd), vec![4]),
        (living, vec![0, 4]),
        (ended, vec![1, 2, 3, 5, 6]),
        (of_recording, vec![0, 2, 3, 6]),
        (purpose, vec![4, 5, 6]),
        (limited, vec![1]),
    ] {
        let mut expected = expected;
        expected.sort_by_key(|number| order.iter().position(|at| at == number));
        for limit in [1, 2, 9] {
            assert_eq!(
                listed(filter.clone(), limit).await,
                expected,
                "{limit} at a time: {filter:?}"
            );
        }
    }
}

async fn revocations_are_listed_by_what_they_reach(world: &World) {
    let ids = world.announced(3).await;
    let rng = &mut StdRng::seed_from_u64(7);
    let targets = [
        (Target::Subject(subject(1)), vec![]),
        (Target::Subject(subject(1)), vec![account(0)]),
        (Target::Subject(subject(2)), vec![account(0), account(1)]),
        (Target::Account(account(0)), vec![]),
        (Target::Account(account(1)), vec![account(1)]),
        (Target::Recording(ids[0]), vec![]),
        (Target::Recording(ids[1]), vec![account(1)]),
    ];
    let mut tx = world.tx().await;
    let mut begun = Vec::new();
    for (number, (target, accounts)) in targets.into_iter().enumerate() {
        let revocation = Revocation {
            id: RevocationId::random(rng),
            target,
            purposes: BTreeSet::new(),
            accounts: accounts.into_iter().collect(),
            reason: parsed("subject-request"),
            actor: Actor::Vault,
            revoked_at: at(i64::try_from(number).unwrap() / 2),
            is_done: false,
            cursor: None,
            jws: None,
            finished_at: None,
        };
        revocations::insert(&mut tx, &revocation, at(0))
            .await
            .unwrap();
        begun.push(revocation);
    }
    tx.commit().await.unwrap();
    let done = format!(
        "UPDATE revocations SET state = 'done' WHERE id = '{}'",
        begun[3].id
    );
    world.sql(&[&done]).await;

    let listed = async |filter: RevocationFilter, limit: i64| {
        let mut filter = filter;
        let mut found = Vec::new();
        loop {
            let mut tx = world.db.read().await.unwrap();
            let page = revocations::list(&mut tx, &filter, limit).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else {
                return found;
            };
            filter.after = Some(last.place());
            for listed in page {
                found.push(begun.iter().position(|row| row.id == listed.id).unwrap());
            }
        }
    };
    let mut order: Vec<usize> = (0..begun.len()).collect();
    order.sort_by_key(|number| Reverse((begun[*number].revoked_at, begun[*number].id.to_string())));
    let base = RevocationFilter::default;
    let of = |number| RevocationFilter {
        account: Some(account(number)),
        ..base()
    };
    let in_state = |state| RevocationFilter {
        state: Some(state),
        ..base()
    };
    let span = RevocationFilter {
        since: Some(at(1)),
        until: Some(at(3)),
        ..base()
    };
    let limited = |numbers: &[u32]| RevocationFilter {
        accounts: numbers.iter().map(|number| account(*number)).collect(),
        ..base()
    };
    // Whoever may know of one account asks for another.
    let foreign = RevocationFilter {
        account: Some(account(0)),
        ..limited(&[1])
    };
    for (filter, expected) in [
        (base(), vec![0, 1, 2, 3, 4, 5, 6]),
        (of(0), vec![1, 2, 3, 5]),
        (of(1), vec![2, 4, 6]),
        (of(2), vec![]),
        (in_state(RevocationProgress::Done), vec![3]),
        (
            in_state(RevocationProgress::Running),
            vec![0, 1, 2, 4, 5, 6],
        ),
        (span, vec![2, 3, 4, 5]),
        (limited(&[0]), vec![1]),
        (limited(&[0, 1]), vec![1, 2, 4, 6]),
        (foreign, vec![]),
    ] {
        let mut expected = expected;
        expected.sort_by_key(|number| order.iter().position(|at| at == number));
        for limit in [1, 2, 9] {
            assert_eq!(
                listed(filter.clone(), limit).await,
                expected,
                "{limit} at a time: {filter:?}"
            );
        }
    }
}
