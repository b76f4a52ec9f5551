//! Tests of the passphrase: opening, changing it, and root files from before slots.

use std::{process::Command, sync::mpsc, time::Duration};

use super::*;
use crate::{
    custody::{Owner, Restorable},
    model::id::{DatabaseId, VaultId},
};

struct World {
    folder: tempfile::TempDir,
    owner: Owner,
    root: RootName,
}

impl World {
    fn new() -> Self {
        let rng = &mut rand::rng();
        let owner = Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)));
        Self {
            folder: tempfile::tempdir().unwrap(),
            owner,
            root: RootName {
                vault: owner.vault,
                epoch: 1,
            },
        }
    }

    fn with(&self, passphrase: &str) -> PassphraseCustody {
        let settings = CustodySettings {
            passphrase: Some(SecretText::new(passphrase.into())),
            ..CustodySettings::default()
        };
        PassphraseCustody::new(settings, self.folder.path())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("custody").join(name)
    }
}

#[tokio::test]
async fn keeps_what_custody_promises() {
    let world = World::new();
    super::super::conformance::all(&world.with("correct horse"), &world.with("correct horse"))
        .await;
}

#[tokio::test]
async fn the_right_passphrase_opens_and_another_does_not() {
    let world = World::new();
    let key = Key::random(&mut rand::rng());
    let custody = world.with("correct horse");
    let slot = custody.swap(&Change::first(world.owner)).await.unwrap();
    let sealed = custody.seal(world.root, &key).await.unwrap();
    assert_eq!(custody.open(world.root, &sealed).await.unwrap(), key);
    let wrong = world.with("correct horsf");
    assert!(matches!(
        wrong.open(world.root, &sealed).await,
        Err(Error::NotAuthentic)
    ));
    let change = Change::adding(&slot, world.owner, 2).unwrap();
    assert!(matches!(
        wrong.swap(&change).await,
        Err(Error::NotAuthentic)
    ));
    assert_eq!(
        wrong.read().await.unwrap(),
        Some(slot),
        "to read a slot takes no passphrase"
    );
}

#[tokio::test]
async fn a_changed_passphrase_opens_the_same_roots() {
    let world = World::new();
    let key = Key::random(&mut rand::rng());
    let old = world.with("old");
    let new = world.with("new");
    let slot = old.swap(&Change::first(world.owner)).await.unwrap();
    let slot = old
        .swap(&Change::adding(&slot, world.owner, 2).unwrap())
        .await
        .unwrap();
    let mut sealed = Vec::new();
    for root in slot.names() {
        sealed.push((root, old.seal(root, &key).await.unwrap()));
    }
    assert_eq!(old.opened().await.unwrap(), slot.names());
    assert!(matches!(new.opened().await, Err(Error::NotAuthentic)));
    let change = Change::owned_by(&slot, world.owner);
    assert!(
        new.change_passphrase(&change, SecretText::new("x".into()))
            .await
            .is_err(),
        "only who has the old one changes it"
    );
    assert!(matches!(
        old.change_passphrase(&change, SecretText::new(String::new()))
            .await,
        Err(Error::Passphrase(_))
    ));
    assert_eq!(
        old.change_passphrase(&change, SecretText::new("new".into()))
            .await
            .unwrap()
            .names(),
        slot.names()
    );
    for (root, sealed) in sealed {
        assert_eq!(new.open(root, &sealed).await.unwrap(), key);
        assert!(matches!(
            old.open(root, &sealed).await,
            Err(Error::NotAuthentic)
        ));
    }
    // A turn whose swap comes after a change of the passphrase is refused, and destroys nothing.
    let late = Change::keeping_only(&slot, world.owner, &Restorable::proven(2)).unwrap();
    assert!(matches!(
        new.swap(&late).await,
        Err(Error::Moved {
            expected: 2,
            found: 3
        })
    ));
    assert_eq!(new.opened().await.unwrap(), slot.names());
}

#[tokio::test]
async fn an_attacker_tries_every_file_in_the_folder() {
    let world = World::new();
    let key = Key::random(&mut rand::rng());
    let custody = world.with("a");
    let slot = custody.swap(&Change::first(world.owner)).await.unwrap();
    let sealed = [custody.seal(world.root, &key).await.unwrap(), vec![0; 60]];
    let old = std::fs::read(world.file("root")).unwrap();
    let slot = custody
        .swap(&Change::adding(&slot, world.owner, 2).unwrap())
        .await
        .unwrap();
    custody
        .swap(&Change::keeping_only(&slot, world.owner, &Restorable::proven(2)).unwrap())
        .await
        .unwrap();
    assert!(custody.attack(&sealed).await.unwrap().is_empty());
    for name in ["root.old", "root.bak", "before-the-turn"] {
        std::fs::write(world.file(name), &old).unwrap();
        let broken = custody.attack(&sealed).await.unwrap();
        assert!(
            matches!(broken.as_slice(), [OpenedSecret { at: 0, epoch: 1, key: found }] if *found == key),
            "{name}: {broken:?}"
        );
        std::fs::remove_file(world.file(name)).unwrap();
    }
}

#[tokio::test]
async fn the_passphrase_is_read_from_its_file_each_time() {
    let world = World::new();
    let file = world.file("passphrase");
    let custody = PassphraseCustody::new(CustodySettings::default(), world.folder.path());
    let first = Change::first(world.owner);
    let missing = custody.swap(&first).await.unwrap_err().to_string();
    assert!(missing.contains("custody/passphrase"), "{missing}");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "a\r\n").unwrap();
    custody.swap(&first).await.unwrap();
    assert!(
        world.with("a").opened().await.is_ok(),
        "the line break does not count"
    );
    std::fs::write(&file, "").unwrap();
    assert!(matches!(custody.opened().await, Err(Error::Passphrase(_))));
}

/// The file does not respond, like a secret store whose mount hangs: here a pipe without a writer.
#[test]
fn a_passphrase_file_that_hangs_holds_up_nobody_else() {
    let (world, (tell, told)) = (World::new(), mpsc::channel());
    let pipe = world.folder.path().join("passphrase");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let settings = CustodySettings {
        passphrase_file: Some(pipe.display().to_string()),
        ..CustodySettings::default()
    };
    let custody = PassphraseCustody::new(settings, world.folder.path());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let change = Change::first(world.owner);
        let goes_on = runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(100), custody.swap(&change))
                .await
                .is_err()
        });
        runtime.shutdown_background();
        tell.send(goes_on)
    });
    assert!(
        told.recv_timeout(Duration::from_secs(20))
            .expect("the runtime's only thread hangs")
    );
}
