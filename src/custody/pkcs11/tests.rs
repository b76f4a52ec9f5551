//! A SoftHSM token for each test: what every kind promises, two objects of one name, and what a token refuses.

use std::{fs::File, path::PathBuf};

use cryptoki::{session::UserType, types::AuthPin};

use super::*;
use crate::secret::SecretText;

pub(super) const PIN: &str = "4711-0815";

/// A token of its own, in the folder that `SOFTHSM2_CONF` names.
pub(super) struct World {
    pub(super) module: PathBuf,
    pub(super) label: String,
    root: RootName,
}

impl World {
    /// Makes a token, unless `RECVAULT_TEST_SOFTHSM` names no library.
    pub(super) fn new() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the switches of these tests")]
        let [module, configuration] = ["RECVAULT_TEST_SOFTHSM", "SOFTHSM2_CONF"].map(|name| std::env::var(name).unwrap_or_default());
        if module.is_empty() || configuration.is_empty() {
            eprintln!("skipped: RECVAULT_TEST_SOFTHSM names no library, or SOFTHSM2_CONF no configuration for it");
            return None;
        }
        let root = RootName { vault: VaultId::random(&mut rand::rng()), epoch: 1 };
        let label = root.vault.to_string()[4..].to_owned();
        let module = PathBuf::from(module);
        let _alone = alone(&configuration);
        let library = token::module(&module).unwrap();
        let is_free = |slot: &cryptoki::slot::Slot| library.get_token_info(*slot).is_ok_and(|info| !info.token_initialized());
        let slot = library.get_slots_with_token().unwrap().into_iter().find(is_free).unwrap();
        library.init_token(slot, &AuthPin::from("officer"), &label).unwrap();
        let session = library.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&AuthPin::from("officer"))).unwrap();
        session.init_pin(&AuthPin::from(PIN)).unwrap();
        session.logout().unwrap();
        Some(Self { module, label, root })
    }

    pub(super) fn settings(&self, pin: &str) -> Pkcs11 {
        Pkcs11 { module: self.module.clone(), token: self.label.clone(), pin: Some(SecretText::new(pin.into())), pin_file: None }
    }

    fn custody(&self) -> Token {
        Token::new(self.settings(PIN), Path::new("/")).unwrap()
    }
}

/// The library does not start while another process is half-way through making a token.
fn alone(configuration: &str) -> File {
    let file = File::create(format!("{configuration}.lock")).unwrap();
    file.lock().unwrap();
    file
}

#[tokio::test]
async fn keeps_what_custody_promises() {
    let Some(world) = World::new() else { return };
    super::super::conformance::all(&world.custody(), &world.custody()).await;
}

#[tokio::test]
async fn a_root_never_leaves_the_token() {
    let Some(world) = World::new() else { return };
    let (custody, root) = (world.custody(), world.root);
    custody.stage(root).await.unwrap();
    let shown = custody.with(move |session| {
        let object = objects(session, root)?[0];
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
    let expected = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::NeverExtractable(true), Attribute::Local(true)];
    assert_eq!(shown, expected, "its value is not told");
}

#[tokio::test]
async fn two_objects_of_one_name_open_what_either_sealed_and_go_together() {
    let Some(world) = World::new() else { return };
    let (custody, root, key) = (world.custody(), world.root, Key::random(&mut rand::rng()));
    let key_again = key.duplicate();
    let sealed = custody.with(move |session| {
        let both = [generate(session, root)?, generate(session, root)?];
        both.map(|object| seal(session, object, root, &key_again)).into_iter().collect::<Result<Vec<_>, _>>()
    });
    let sealed = sealed.await.unwrap();
    assert_eq!(custody.roots().await.unwrap(), [root]);
    for sealed in &sealed {
        assert_eq!(custody.open(root, sealed).await.unwrap(), key);
    }
    custody.stage(RootName { epoch: 2, ..root }).await.unwrap();
    custody.destroy(root).await.unwrap();
    for sealed in &sealed {
        assert!(matches!(custody.open(root, sealed).await, Err(Error::NoRoot(_))));
    }
}

#[tokio::test]
async fn many_at_once_stage_one_root() {
    let Some(world) = World::new() else { return };
    let (custody, root, key) = (world.custody(), world.root, Key::random(&mut rand::rng()));
    let others: Vec<Token> = (0..6).map(|_| world.custody()).collect();
    let sealed = futures_util::future::try_join_all(others.iter().map(async |other| {
        other.stage(root).await?;
        other.seal(root, &key).await
    }));
    for sealed in sealed.await.unwrap() {
        assert_eq!(custody.open(root, &sealed).await.unwrap(), key);
    }
    assert_eq!(custody.roots().await.unwrap(), [root]);
    custody.destroy(root).await.unwrap();
    assert_eq!(others[0].roots().await.unwrap(), []);
}

/// What the next test does in a process of its own; by itself it does nothing.
#[tokio::test]
async fn as_another_process() {
    #[expect(clippy::disallowed_methods, reason = "the switches of this test")]
    let [module, configuration, label] =
        ["RECVAULT_TEST_SOFTHSM", "SOFTHSM2_CONF", "RECVAULT_TEST_SOFTHSM_LABEL"].map(|name| std::env::var(name).unwrap_or_default());
    if label.is_empty() {
        return;
    }
    let root = RootName { vault: format!("vlt_{label}").parse().unwrap(), epoch: 1 };
    let world = World { module: module.into(), label, root };
    let only = alone(&configuration);
    token::module(&world.module).unwrap();
    drop(only);
    let (custody, next) = (world.custody(), RootName { epoch: 2, ..world.root });
    assert_eq!(custody.roots().await.unwrap(), [world.root]);
    custody.stage(next).await.unwrap();
    custody.destroy(world.root).await.unwrap();
}

#[tokio::test]
async fn what_another_process_stages_and_destroys_is_seen() {
    let Some(world) = World::new() else { return };
    let (custody, key, next) = (world.custody(), Key::random(&mut rand::rng()), RootName { epoch: 2, ..world.root });
    custody.stage(world.root).await.unwrap();
    let sealed = custody.seal(world.root, &key).await.unwrap();
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "custody::pkcs11::tests::as_another_process"]).env("RECVAULT_TEST_SOFTHSM_LABEL", &world.label);
    assert!(other.output().unwrap().status.success());
    assert_eq!(custody.roots().await.unwrap(), [next]);
    assert!(matches!(custody.open(world.root, &sealed).await, Err(Error::NoRoot(name)) if name == world.root));
    let sealed = custody.seal(next, &key).await.unwrap();
    assert_eq!(custody.open(next, &sealed).await.unwrap(), key);
}

#[tokio::test]
async fn who_makes_a_root_while_a_turn_goes_by_takes_it_back() {
    let Some(world) = World::new() else { return };
    let (custody, root, next) = (world.custody(), world.root, RootName { epoch: 2, ..world.root });
    custody.stage(next).await.unwrap();
    let late = custody.with(move |session| generate(session, root).and_then(|made| keep(session, root, made)));
    assert!(matches!(late.await, Err(Error::Passed(name)) if name == root));
    assert_eq!(custody.roots().await.unwrap(), [next]);
    let in_time = custody.with(move |session| generate(session, next).and_then(|made| keep(session, next, made)));
    in_time.await.unwrap();
    assert_eq!(custody.roots().await.unwrap(), [next]);
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once() {
    let Some(world) = World::new() else { return };
    let wrong = Token::new(world.settings("0000"), Path::new("/")).unwrap();
    let told = [wrong.roots().await.unwrap_err().to_string(), wrong.roots().await.unwrap_err().to_string()];
    assert!(told[0].contains("refuses the PIN") && told[1].contains("not tried again"), "{told:?}");
    assert_eq!(world.custody().roots().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Some(world) = World::new() else { return };
    let absent = Pkcs11 { token: "no such".into(), ..world.settings(PIN) };
    let told = Token::new(absent, Path::new("/")).unwrap().roots().await.unwrap_err().to_string();
    assert!(told.contains("no token with the label `no such`"), "{told}");
    let absent = Pkcs11 { module: "/no/such.so".into(), ..world.settings(PIN) };
    let told = Token::new(absent, Path::new("/")).unwrap().roots().await.unwrap_err().to_string();
    assert!(told.contains("`/no/such.so` does not load"), "{told}");
    let absent = Pkcs11 { pin: None, pin_file: Some("no/such".into()), ..world.settings(PIN) };
    let told = Token::new(absent, Path::new("/")).unwrap().roots().await.unwrap_err().to_string();
    assert!(told.contains("custody.pkcs11.pin_file") && told.contains("/no/such"), "{told}");
}

#[test]
fn settings_that_do_not_name_a_token_are_refused() {
    let whole = || Pkcs11 { module: "m.so".into(), token: "t".into(), pin: Some(SecretText::new("1".into())), pin_file: None };
    let fault = |settings| match Token::new(settings, Path::new("/")) {
        Err(Error::Setting { key, .. }) => key,
        _ => "none",
    };
    assert_eq!(fault(whole()), "none");
    assert_eq!(fault(Pkcs11 { module: PathBuf::new(), ..whole() }), "pkcs11.module");
    assert_eq!(fault(Pkcs11 { token: String::new(), ..whole() }), "pkcs11.token");
    assert_eq!(fault(Pkcs11 { pin: None, ..whole() }), "pkcs11.pin_file");
    assert_eq!(fault(Pkcs11 { pin_file: Some("f".into()), ..whole() }), "pkcs11.pin_file");
}

#[test]
fn an_object_names_its_root() {
    let root = RootName { vault: VaultId::random(&mut rand::rng()), epoch: 0x0102_0304_0506_0708 };
    assert_eq!(id(root)[16..], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(parse(&id(root)).unwrap(), root);
    for length in [0, 15, 16, 23] {
        assert!(parse(&id(root)[..length]).is_err(), "{length}");
    }
    assert!(parse(&[id(root), vec![0]].concat()).is_err());
}
