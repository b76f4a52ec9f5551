//! The behaviour required of every kind of custody.

use futures_util::future::join_all;

use super::{Change, Custody, Error, OpenedSecret, Owner, Restorable, Role, RootName, Slot};
use crate::{
    model::id::{DatabaseId, VaultId},
    secret::Key,
};

/// Runs every check on an empty place that two processes share.
pub(super) async fn all(custody: &dyn Custody, other: &dyn Custody) {
    let owner = somebody();
    let one = first(custody, other, owner).await;
    let (three, sealed) = turn(custody, other, &one).await;
    late(custody, other, &one, &three, &sealed).await;
    taken_over(custody, other, &three, &sealed).await;
    at_once(custody, other).await;
}

fn somebody() -> Owner {
    let rng = &mut rand::rng();
    Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)))
}

fn name(owner: &Owner, epoch: u64) -> RootName {
    RootName {
        vault: owner.vault,
        epoch,
    }
}

/// Two processes try to make the first slot; one of them succeeds.
async fn first(custody: &dyn Custody, other: &dyn Custody, owner: Owner) -> Slot {
    let key = Key::random(&mut rand::rng());
    assert_eq!(
        (
            custody.read().await.unwrap(),
            custody.roots().await.unwrap()
        ),
        (None, vec![])
    );
    assert!(custody.contents().await.unwrap().is_empty());
    assert!(
        matches!(custody.seal(name(&owner, 1), &key).await, Err(Error::NoRoot(found)) if found == name(&owner, 1))
    );
    let stranger = Owner {
        vault: VaultId::random(&mut rand::rng()),
        ..owner
    };
    let [mine, theirs] = [owner, stranger].map(Change::first);
    let slot = custody.swap(&mine).await.unwrap();
    assert!(
        matches!(
            other.swap(&theirs).await,
            Err(Error::Moved {
                expected: 0,
                found: 1
            })
        ),
        "a place that holds a vault takes no other"
    );
    assert_eq!(
        (other.read().await.unwrap().as_ref(), &slot),
        (Some(mine.next()), mine.next())
    );
    slot
}

/// Runs a whole turn. Returns the place's slot then, and a key sealed under its root.
async fn turn(custody: &dyn Custody, other: &dyn Custody, slot: &Slot) -> (Slot, Vec<u8>) {
    let owner = *slot.owner();
    let [one, two] = [1, 2].map(|epoch| name(&owner, epoch));
    let [key, next_key] = [(); 2].map(|()| Key::random(&mut rand::rng()));
    let sealed = custody.seal(one, &key).await.unwrap();
    assert_eq!(other.open(one, &sealed).await.unwrap(), key);
    assert_ne!(
        custody.seal(one, &key).await.unwrap(),
        sealed,
        "two sealings of a key do not look alike"
    );

    // The sealed key is bound to its root and authenticated as a whole.
    for at in (0..sealed.len()).step_by(7) {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(custody.open(one, &altered).await.is_err(), "byte {at}");
        assert!(
            custody.open(one, &sealed[..at.max(1)]).await.is_err(),
            "cut at {at}"
        );
    }
    assert!(matches!(custody.open(two, &sealed).await, Err(Error::NoRoot(name)) if name == two));
    assert!(custody.open(name(&somebody(), 1), &sealed).await.is_err());

    // During a turn both roots are available to every process.
    let staged = other
        .swap(&Change::adding(slot, owner, 2).unwrap())
        .await
        .unwrap();
    assert_eq!(custody.roots().await.unwrap(), [one, two]);
    let next_sealed = custody.seal(two, &next_key).await.unwrap();
    assert!(
        custody.open(two, &sealed).await.is_err(),
        "the next root does not open what the one before sealed"
    );
    assert_eq!(other.open(one, &sealed).await.unwrap(), key);
    let both = [sealed.clone(), next_sealed.clone()];
    let mut broken: Vec<_> = other
        .attack(&both)
        .await
        .unwrap()
        .into_iter()
        .map(|OpenedSecret { at, epoch, .. }| (at, epoch))
        .collect();
    broken.sort_unstable();
    assert_eq!(broken, [(0, 1), (1, 2)]);

    // Afterwards the old root is gone for every process, and the place holds nothing else.
    let kept = custody
        .swap(&Change::keeping_only(&staged, owner, &Restorable::proven(2)).unwrap())
        .await
        .unwrap();
    for custody in [custody, other] {
        assert!(
            matches!(custody.open(one, &sealed).await, Err(Error::NoRoot(name)) if name == one)
        );
        assert_eq!(custody.open(two, &next_sealed).await.unwrap(), next_key);
        assert_eq!(custody.read().await.unwrap().as_ref(), Some(&kept));
        assert_eq!(custody.attack(&both).await.unwrap().len(), 1);
        assert!(
            custody
                .contents()
                .await
                .unwrap()
                .iter()
                .all(|item| item.role == Role::Slot && item.roots.iter().all(|root| *root == two))
        );
    }
    // A staged root that was never used can be removed, too.
    let staged = custody
        .swap(&Change::adding(&kept, owner, 3).unwrap())
        .await
        .unwrap();
    let kept = other
        .swap(&Change::keeping_only(&staged, owner, &Restorable::proven(2)).unwrap())
        .await
        .unwrap();
    assert_eq!(custody.open(two, &next_sealed).await.unwrap(), next_key);
    (kept, next_sealed)
}

/// A process that missed a change cannot make its own.
async fn late(
    custody: &dyn Custody,
    other: &dyn Custody,
    old: &Slot,
    present: &Slot,
    sealed: &[u8],
) {
    let owner = *present.owner();
    for late in [
        Change::adding(old, owner, 2).unwrap(),
        Change::adding(old, owner, 9).unwrap(),
        Change::keeping_only(old, owner, &Restorable::proven(1)).unwrap(),
        Change::owned_by(old, owner),
        Change::first(owner),
    ] {
        assert!(
            matches!(other.swap(&late).await, Err(Error::Moved { .. })),
            "{late:?}"
        );
    }
    assert_eq!(custody.read().await.unwrap().as_ref(), Some(present));
    custody.open(name(&owner, 2), sealed).await.unwrap();
}

/// Another database becomes the owner; the roots stay.
async fn taken_over(custody: &dyn Custody, other: &dyn Custody, slot: &Slot, sealed: &[u8]) {
    let owner = Owner {
        database: Some(DatabaseId::random(&mut rand::rng())),
        ..*slot.owner()
    };
    let taken = other.swap(&Change::owned_by(slot, owner)).await.unwrap();
    assert_eq!(
        (custody.read().await.unwrap(), taken.roots()),
        (Some(taken.clone()), slot.roots())
    );
    let late = Change::adding(slot, *slot.owner(), 4).unwrap();
    assert!(
        matches!(custody.swap(&late).await, Err(Error::Moved { .. })),
        "the former owner's turn makes no root"
    );
    custody.open(name(&owner, 2), sealed).await.unwrap();
}

/// Two processes repeatedly change the place at the same time: each time one of them succeeds, and
/// no root is lost.
async fn at_once(custody: &dyn Custody, other: &dyn Custody) {
    for _ in 0..3 {
        let slot = custody.read().await.unwrap().unwrap();
        let owner = *slot.owner();
        let next = slot.newest() + 1;
        let stage = Change::adding(&slot, owner, next).unwrap();
        let repair = Change::owned_by(
            &slot,
            Owner {
                database: Some(DatabaseId::random(&mut rand::rng())),
                ..owner
            },
        );
        let done = join_all([custody.swap(&stage), other.swap(&repair)]).await;
        assert_eq!(
            done.iter().filter(|done| done.is_ok()).count(),
            1,
            "{done:?}"
        );
        let slot = custody.read().await.unwrap().unwrap();
        let kept = Restorable::proven(slot.roots()[0]);
        custody
            .swap(&Change::keeping_only(&slot, *slot.owner(), &kept).unwrap())
            .await
            .unwrap();
    }
}
