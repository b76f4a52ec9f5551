//! Tests with moto in place of KMS: the behaviour of every kind, and faults of this kind only.

use std::{fs, time::Duration};

use super::{moto::Moto, *};
use crate::{
    custody::{Owner, Restorable},
    model::id::{DatabaseId, VaultId},
    secret::SecretText,
};

struct World {
    moto: Moto,
    folder: tempfile::TempDir,
    key_id: String,
    owner: Owner,
    root: RootName,
}

impl World {
    async fn new() -> Self {
        let moto = Moto::start();
        let key_id = moto.make_key().await;
        let rng = &mut rand::rng();
        let owner = Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)));
        Self {
            moto,
            folder: tempfile::tempdir().unwrap(),
            key_id,
            owner,
            root: RootName {
                vault: owner.vault,
                epoch: 1,
            },
        }
    }

    fn custody(&self) -> KmsCustody {
        self.custody_with(&self.key_id)
    }

    fn custody_with(&self, key_id: &str) -> KmsCustody {
        KmsCustody::new(self.moto.settings(key_id), self.folder.path()).unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("custody/kms-root")
    }

    /// Changes the slot file.
    fn alter(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.file(), text.replace(from, to)).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs moto, which plays AWS KMS: run `tests/run`"]
async fn keeps_what_custody_promises() {
    let world = World::new().await;
    super::super::conformance::all(&world.custody(), &world.custody()).await;
}

#[tokio::test]
#[ignore = "needs moto, which plays AWS KMS: run `tests/run`"]
async fn a_root_opens_in_its_context_and_under_its_kms_key_only() {
    let world = World::new().await;
    let custody = world.custody();
    let key = Key::random(&mut rand::rng());
    let root = world.root;
    let first = custody.swap(&Change::first(world.owner)).await.unwrap();
    let sealed = custody.seal(root, &key).await.unwrap();
    let slot = fs::read_to_string(world.file()).unwrap();
    assert!(
        slot.contains(&world.key_id) && slot.contains("recvault/custody/2"),
        "{slot}"
    );

    // Another epoch or vault in the file gives another encryption context.
    world.alter("\"epoch\": 1", "\"epoch\": 2");
    let renamed = RootName { epoch: 2, ..root };
    assert!(matches!(
        custody.seal(renamed, &key).await,
        Err(Error::NotAuthentic)
    ));
    assert!(matches!(custody.open(root, &sealed).await, Err(Error::NoRoot(name)) if name == root));
    fs::write(world.file(), &slot).unwrap();
    let vault = VaultId::random(&mut rand::rng());
    world.alter(&root.vault.to_string(), &vault.to_string());
    assert!(matches!(
        custody.seal(RootName { vault, ..root }, &key).await,
        Err(Error::NotAuthentic)
    ));
    fs::write(world.file(), &slot).unwrap();

    // Another key of the same account.
    let other_key = world.moto.make_key().await;
    world.alter(&world.key_id, &other_key);
    assert!(custody.open(root, &sealed).await.is_err());
    fs::write(world.file(), &slot).unwrap();

    // A changed setting applies to later roots.
    let changed = world.custody_with(&other_key);
    assert_eq!(changed.open(root, &sealed).await.unwrap(), key);
    changed
        .swap(&Change::adding(&first, world.owner, 2).unwrap())
        .await
        .unwrap();
    let both = fs::read_to_string(world.file()).unwrap();
    assert!(
        both.contains(&other_key) && both.contains(&world.key_id),
        "{both}"
    );
    assert_eq!(custody.roots().await.unwrap(), [root, renamed]);
    assert_eq!(custody.open(root, &sealed).await.unwrap(), key);
}

#[tokio::test]
#[ignore = "needs moto, which plays AWS KMS: run `tests/run`"]
async fn a_deleted_key_and_a_service_that_is_down_are_told_apart() {
    let mut world = World::new().await;
    let custody = world.custody();
    let key = Key::random(&mut rand::rng());
    let root = world.root;
    let first = custody.swap(&Change::first(world.owner)).await.unwrap();
    let sealed = custody.seal(root, &key).await.unwrap();
    let both = custody
        .swap(&Change::adding(&first, world.owner, 2).unwrap())
        .await
        .unwrap();

    world.moto.forget().await;
    let told = custody.open(root, &sealed).await.unwrap_err();
    assert!(matches!(told, Error::Backend { .. }), "{told}");
    assert!(
        told.to_string().starts_with(&format!(
            "AWS KMS: the key `{}` does not exist",
            world.key_id
        )),
        "{told}"
    );

    world.moto.stop();
    let told = tokio::time::timeout(Duration::from_secs(20), custody.open(root, &sealed))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(told, Error::Backend { .. }) && told.to_string().contains("onnect"),
        "{told}"
    );
    let kept = custody
        .swap(&Change::keeping_only(&both, world.owner, &Restorable::proven(2)).unwrap())
        .await
        .unwrap();
    assert_eq!(
        kept.roots(),
        [2],
        "to destroy a root nobody has to be asked"
    );
    assert!(
        custody
            .swap(&Change::adding(&kept, world.owner, 3).unwrap())
            .await
            .is_err()
    );
    assert_eq!(
        custody.read().await.unwrap(),
        Some(kept),
        "nothing is staged that KMS did not wrap"
    );
}

/// The connection is accepted and no response arrives, as behind a firewall that drops packets.
#[tokio::test]
async fn a_service_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = AwsKmsSettings {
        key_id: "alias/vault".into(),
        region: "eu-west-1".into(),
        endpoint: Some(format!("http://{}", silent.local_addr().unwrap())),
        access_key_id: Some("AKIDEXAMPLE".into()),
        secret_access_key: Some(SecretText::new("secret".into())),
        ..AwsKmsSettings::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let rng = &mut rand::rng();
    let custody = KmsCustody::new(settings, folder.path()).unwrap();
    let custody = KmsCustody {
        service: custody.service.patient(service::Timeouts {
            connect: Duration::from_millis(300),
            attempt: Duration::from_millis(400),
            operation: Duration::from_millis(600),
        }),
        ..custody
    };
    let owner = Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)));
    let first = Change::first(owner);
    let told = tokio::time::timeout(Duration::from_secs(20), custody.swap(&first))
        .await
        .expect("it is given up")
        .unwrap_err();
    assert!(
        matches!(
            told,
            Error::Backend {
                name: service::NAME,
                ..
            }
        ),
        "{told}"
    );
    let wrapped = Wrapped {
        key_id: "alias/vault".into(),
        ciphertext: vec![7; 64],
    };
    let root = RootName {
        vault: owner.vault,
        epoch: 1,
    };
    let told = tokio::time::timeout(
        Duration::from_secs(20),
        custody.service.unwrap(root, &wrapped),
    )
    .await
    .expect("it is given up");
    assert!(
        matches!(told, Err(Error::Backend { .. })),
        "and is no wrong root: a restore must not pass over it"
    );
    assert_eq!(
        custody.read().await.unwrap(),
        None,
        "nothing is staged that KMS did not wrap"
    );
}
