//! Tests with one SoftHSM token each: the behaviour of every kind, two objects of one name, and
//! refusals of a token.

use std::{fs::File, path::PathBuf};

use cryptoki::{
    object::{Attribute, AttributeType},
    session::UserType,
    types::AuthPin,
};

use super::*;
use crate::{
    custody::{Owner, Restorable},
    model::id::{DatabaseId, VaultId},
    needs,
    secret::SecretText,
};

pub(super) const PIN: &str = "4711-0815";

/// A token of its own, in the folder that `SOFTHSM2_CONF` names.
pub(super) struct World {
    pub(super) module: PathBuf,
    pub(super) label: String,
    owner: Owner,
    root: RootName,
    folder: tempfile::TempDir,
}

impl World {
    /// Makes a token.
    pub(super) fn new() -> Self {
        let [module, configuration] =
            ["RECVAULT_TEST_SOFTHSM", "SOFTHSM2_CONF"].map(needs::required);
        let rng = &mut rand::rng();
        let owner = Owner::first(VaultId::random(rng), Some(DatabaseId::random(rng)));
        let root = RootName {
            vault: owner.vault,
            epoch: 1,
        };
        let label = root.vault.to_string()[4..].to_owned();
        let module = PathBuf::from(module);
        let _alone = alone(&configuration);
        let library = token::module(&module).unwrap();
        let is_free = |slot: &cryptoki::slot::Slot| {
            library
                .get_token_info(*slot)
                .is_ok_and(|info| !info.token_initialized())
        };
        let slot = library
            .get_slots_with_token()
            .unwrap()
            .into_iter()
            .find(is_free)
            .unwrap();
        library
            .init_token(slot, &AuthPin::from("officer"), &label)
            .unwrap();
        let session = library.open_rw_session(slot).unwrap();
        session
            .login(UserType::So, Some(&AuthPin::from("officer")))
            .unwrap();
        session.init_pin(&AuthPin::from(PIN)).unwrap();
        session.logout().unwrap();
        Self {
            module,
            label,
            owner,
            root,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn settings(&self, pin: &str) -> Pkcs11Settings {
        let pin = Some(SecretText::new(pin.into()));
        let lock_file = self.folder.path().join("lock");
        Pkcs11Settings {
            module: self.module.clone(),
            token: self.label.clone(),
            pin,
            lock_file,
            ..Pkcs11Settings::default()
        }
    }

    fn custody(&self) -> Pkcs11Custody {
        Pkcs11Custody::new(self.settings(PIN), Path::new("/")).unwrap()
    }
}

/// Locks the configuration: the library does not start while another process is making a token.
fn alone(configuration: &str) -> File {
    let file = File::create(format!("{configuration}.lock")).unwrap();
    file.lock().unwrap();
    file
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn keeps_what_custody_promises() {
    let world = World::new();
    super::super::conformance::all(&world.custody(), &world.custody()).await;
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn a_root_never_leaves_the_token() {
    let world = World::new();
    let custody = world.custody();
    let root = world.root;
    custody.swap(&Change::first(world.owner)).await.unwrap();
    let shown = custody.with(move |session| {
        let object = in_force(session, root)?;
        Ok(session.get_attributes(
            object,
            &[
                AttributeType::Value,
                AttributeType::Sensitive,
                AttributeType::Extractable,
                AttributeType::NeverExtractable,
                AttributeType::Local,
            ],
        ))
    });
    let shown = shown.await.unwrap().unwrap();
    let expected = [
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::NeverExtractable(true),
        Attribute::Local(true),
    ];
    assert_eq!(shown, expected, "its value is not told");
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn many_at_once_make_one_slot() {
    let world = World::new();
    let first = Change::first(world.owner);
    let others: Vec<Pkcs11Custody> = (0..6).map(|_| world.custody()).collect();
    let made = futures_util::future::join_all(others.iter().map(|other| other.swap(&first))).await;
    // The same change may be repeated: it has no further effect.
    assert!(
        made.iter()
            .all(|made| made.as_ref().is_ok_and(|made| made == first.next())),
        "{made:?}"
    );
    let contents = world.custody().contents().await.unwrap();
    assert_eq!(
        contents.len(),
        2,
        "one slot object and one key: {contents:?}"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn what_an_interrupted_change_left_is_no_root_and_goes() {
    let world = World::new();
    let custody = world.custody();
    let root = world.root;
    let owner = world.owner;
    // Before the first slot is written there is a key, and no root; that must not prevent an
    // `init`.
    custody
        .with(move |session| objects::generate(session, RootName { epoch: 1, ..root }))
        .await
        .unwrap();
    custody
        .with(move |session| {
            objects::generate(
                session,
                RootName {
                    vault: VaultId::random(&mut rand::rng()),
                    epoch: 1,
                },
            )
        })
        .await
        .unwrap();
    assert_eq!(custody.read().await.unwrap(), None);
    let slot = custody.swap(&Change::first(owner)).await.unwrap();
    assert_eq!(custody.contents().await.unwrap().len(), 2);
    // A staged key without its slot; then a written slot whose removed roots were not destroyed.
    custody
        .with(move |session| objects::generate(session, RootName { epoch: 2, ..root }))
        .await
        .unwrap();
    assert_eq!(custody.roots().await.unwrap(), [root]);
    let next = Change::adding(&slot, owner, 2).unwrap();
    let slot = custody.swap(&next).await.unwrap();
    let key = Key::random(&mut rand::rng());
    let sealed = [custody.seal(root, &key).await.unwrap()];
    let kept = Change::keeping_only(&slot, owner, &Restorable::proven(2)).unwrap();
    let written = kept.next().clone();
    custody
        .with(move |session| objects::write_slot(session, &written))
        .await
        .unwrap();
    assert!(
        matches!(custody.open(root, &sealed[0]).await, Err(Error::NoRoot(_))),
        "what the slot does not name is not used"
    );
    assert_eq!(
        custody.attack(&sealed).await.unwrap().len(),
        1,
        "but it is there"
    );
    assert!(
        custody
            .contents()
            .await
            .unwrap()
            .iter()
            .any(|item| item.role == Role::Leftover)
    );
    let slot = custody
        .swap(&Change::owned_by(kept.next(), owner))
        .await
        .unwrap();
    assert_eq!(
        (slot.roots(), custody.contents().await.unwrap().len()),
        (&[2][..], 2)
    );
    assert!(custody.attack(&sealed).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn a_key_of_another_vault_is_refused() {
    let world = World::new();
    let custody = world.custody();
    let owner = world.owner;
    let slot = custody.swap(&Change::first(owner)).await.unwrap();
    let stranger = RootName {
        vault: VaultId::random(&mut rand::rng()),
        epoch: 1,
    };
    custody
        .with(move |session| objects::generate(session, stranger))
        .await
        .unwrap();
    let refused = custody
        .swap(&Change::adding(&slot, owner, 2).unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&format!(
            "key object of epoch 1 of vault {}",
            stranger.vault
        )),
        "{refused}"
    );
}

/// The part of the next test that runs in a process of its own; alone it does nothing.
#[tokio::test]
async fn as_another_process() {
    #[expect(clippy::disallowed_methods, reason = "the switches of this test")]
    let [module, configuration, label] = [
        "RECVAULT_TEST_SOFTHSM",
        "SOFTHSM2_CONF",
        "RECVAULT_TEST_SOFTHSM_LABEL",
    ]
    .map(|name| std::env::var(name).unwrap_or_default());
    if label.is_empty() {
        return;
    }
    let vault: VaultId = format!("vlt_{label}").parse().unwrap();
    let owner = Owner::first(vault, None);
    let root = RootName { vault, epoch: 1 };
    let folder = tempfile::tempdir().unwrap();
    let world = World {
        module: module.into(),
        label,
        owner,
        root,
        folder,
    };
    let only = alone(&configuration);
    token::module(&world.module).unwrap();
    drop(only);
    let custody = world.custody();
    let slot = custody.read().await.unwrap().unwrap();
    assert_eq!(slot.names(), [world.root]);
    let slot = custody
        .swap(&Change::adding(&slot, *slot.owner(), 2).unwrap())
        .await
        .unwrap();
    custody
        .swap(&Change::keeping_only(&slot, *slot.owner(), &Restorable::proven(2)).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn what_another_process_stages_and_destroys_is_seen() {
    let world = World::new();
    let custody = world.custody();
    let key = Key::random(&mut rand::rng());
    let next = RootName {
        epoch: 2,
        ..world.root
    };
    custody.swap(&Change::first(world.owner)).await.unwrap();
    let sealed = custody.seal(world.root, &key).await.unwrap();
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other
        .args(["--exact", "custody::pkcs11::tests::as_another_process"])
        .env("RECVAULT_TEST_SOFTHSM_LABEL", &world.label);
    let done = other.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(custody.roots().await.unwrap(), [next]);
    assert!(
        matches!(custody.open(world.root, &sealed).await, Err(Error::NoRoot(name)) if name == world.root)
    );
    let sealed = custody.seal(next, &key).await.unwrap();
    assert_eq!(custody.open(next, &sealed).await.unwrap(), key);
}

/// SoftHSM rewrites its token file at each log-in, and a kill in the middle of that destroys the
/// token.
#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn a_process_logs_in_once() {
    let world = World::new();
    let custody = world.custody();
    let slot = custody.swap(&Change::first(world.owner)).await.unwrap();
    let session = |custody: &Pkcs11Custody| {
        let place = Arc::clone(&custody.place);
        tokio::task::spawn_blocking(move || {
            place
                .with_session(|session| Ok(session.to_string()))
                .unwrap()
        })
    };
    let first = session(&custody).await.unwrap();
    custody
        .swap(&Change::adding(&slot, world.owner, 2).unwrap())
        .await
        .unwrap();
    custody.contents().await.unwrap();
    assert_eq!(
        session(&custody).await.unwrap(),
        first,
        "the session is kept"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn a_wrong_pin_is_tried_once() {
    let world = World::new();
    let wrong = Pkcs11Custody::new(world.settings("0000"), Path::new("/")).unwrap();
    let told = [
        wrong.roots().await.unwrap_err().to_string(),
        wrong.roots().await.unwrap_err().to_string(),
    ];
    assert!(
        told[0].contains("refuses the PIN") && told[1].contains("not retried"),
        "{told:?}"
    );
    assert_eq!(world.custody().roots().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn what_is_not_there_is_named() {
    let world = World::new();
    let absent = Pkcs11Settings {
        token: "no such".into(),
        ..world.settings(PIN)
    };
    let told = Pkcs11Custody::new(absent, Path::new("/"))
        .unwrap()
        .roots()
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("no token has the label `no such`"), "{told}");
    let absent = Pkcs11Settings {
        module: "/no/such.so".into(),
        ..world.settings(PIN)
    };
    let told = Pkcs11Custody::new(absent, Path::new("/"))
        .unwrap()
        .roots()
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("`/no/such.so` does not load"), "{told}");
    let absent = Pkcs11Settings {
        pin: None,
        pin_file: Some("no/such".into()),
        ..world.settings(PIN)
    };
    let told = Pkcs11Custody::new(absent, Path::new("/"))
        .unwrap()
        .roots()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("custody.pkcs11.pin_file") && told.contains("/no/such"),
        "{told}"
    );
}

#[test]
fn settings_that_do_not_name_a_token_are_refused() {
    let whole = || Pkcs11Settings {
        module: "m.so".into(),
        token: "t".into(),
        pin: Some(SecretText::new("1".into())),
        ..Pkcs11Settings::default()
    };
    let fault = |settings| match Pkcs11Custody::new(settings, Path::new("/")) {
        Err(Error::Setting { key, .. }) => key,
        _ => "none",
    };
    assert_eq!(fault(whole()), "none");
    assert_eq!(
        fault(Pkcs11Settings {
            module: PathBuf::new(),
            ..whole()
        }),
        "pkcs11.module"
    );
    assert_eq!(
        fault(Pkcs11Settings {
            token: String::new(),
            ..whole()
        }),
        "pkcs11.token"
    );
    assert_eq!(
        fault(Pkcs11Settings {
            pin: None,
            ..whole()
        }),
        "pkcs11.pin_file"
    );
    assert_eq!(
        fault(Pkcs11Settings {
            lock_file: PathBuf::new(),
            ..whole()
        }),
        "pkcs11.lock_file"
    );
    assert_eq!(
        fault(Pkcs11Settings {
            pin_file: Some("f".into()),
            ..whole()
        }),
        "pkcs11.pin_file"
    );
}
