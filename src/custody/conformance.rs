//! What every kind of custody must do, whatever it is made of.

use super::{Custody, Error, RootName};
use crate::{model::id::VaultId, secret::Key};

/// Runs everything against an empty place, seen by two processes.
pub(super) async fn all(custody: &dyn Custody, other: &dyn Custody) {
    let [vault, other_vault] = [(); 2].map(|()| VaultId::random(&mut rand::rng()));
    let [one, two, three] = [1, 2, 3].map(|epoch| RootName { vault, epoch });
    let [key, next_key] = [(); 2].map(|()| Key::random(&mut rand::rng()));
    assert_eq!(custody.roots().await.unwrap(), []);
    assert!(matches!(custody.seal(one, &key).await, Err(Error::NoRoot(name)) if name == one));
    custody.destroy(one).await.unwrap();

    // A root is there for every process as soon as it is staged, and staging it again changes nothing.
    custody.stage(one).await.unwrap();
    let sealed = custody.seal(one, &key).await.unwrap();
    other.stage(one).await.unwrap();
    assert_eq!(other.roots().await.unwrap(), [one]);
    assert_eq!(other.open(one, &sealed).await.unwrap(), key);
    assert_ne!(custody.seal(one, &key).await.unwrap(), sealed, "two sealings of a key do not look alike");

    // What is sealed is bound to its root and whole.
    for at in (0..sealed.len()).step_by(7) {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(custody.open(one, &altered).await.is_err(), "byte {at}");
        assert!(custody.open(one, &sealed[..at.max(1)]).await.is_err(), "cut at {at}");
    }
    assert!(matches!(custody.open(two, &sealed).await, Err(Error::NoRoot(name)) if name == two));
    let foreign = RootName { vault: other_vault, epoch: 1 };
    assert!(custody.open(foreign, &sealed).await.is_err());

    // During a turn both are there, and a third has no place.
    other.stage(two).await.unwrap();
    assert_eq!(custody.roots().await.unwrap(), [one, two]);
    let next_sealed = custody.seal(two, &next_key).await.unwrap();
    assert!(custody.open(two, &sealed).await.is_err(), "the next root does not open what the one before sealed");
    assert_eq!(other.open(one, &sealed).await.unwrap(), key);
    assert!(custody.stage(three).await.is_err());

    // After it the old one is gone, for every process and however often it is asked for.
    custody.destroy(one).await.unwrap();
    for custody in [custody, other] {
        assert!(matches!(custody.open(one, &sealed).await, Err(Error::NoRoot(name)) if name == one));
        assert_eq!(custody.open(two, &next_sealed).await.unwrap(), next_key);
        assert_eq!(custody.roots().await.unwrap(), [two]);
    }
    other.destroy(one).await.unwrap();
    assert!(matches!(other.stage(one).await, Err(Error::Passed(name)) if name == one), "who slept through the turn brings nothing back");
    assert_eq!(custody.roots().await.unwrap(), [two]);

    // A staged root that was never used can be given up, too.
    custody.stage(three).await.unwrap();
    custody.destroy(three).await.unwrap();
    assert_eq!(custody.roots().await.unwrap(), [two]);
    assert_eq!(custody.open(two, &next_sealed).await.unwrap(), next_key);
}
