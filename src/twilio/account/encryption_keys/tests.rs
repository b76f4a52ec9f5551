//! Settings of private keys: what they resolve to, and each fault with its key.

use std::{fs, path::Path};

use super::*;
use crate::{
    secret::Key,
    twilio::{
        account::{Accounts, SettingFault, TwilioSettings},
        encryption::{Pair, UnwrapError},
    },
};

fn sid(digit: char) -> PublicKeySid {
    let sid = format!("CR{}", String::from(digit).repeat(32));
    sid.parse().unwrap()
}

fn resolve(toml: &str, base: &Path) -> Result<Accounts, Vec<SettingFault>> {
    toml::from_str::<TwilioSettings>(toml)
        .unwrap()
        .resolve(base)
}

#[test]
fn keys_are_found_by_the_sid_of_their_public_half() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = [Pair::new(), Pair::new()];
    fs::create_dir(folder.path().join("secrets")).unwrap();
    for (name, pair) in ["secrets/one.pem", "secrets/two.pem"].iter().zip(&pairs) {
        fs::write(folder.path().join(name), pair.pem()).unwrap();
    }
    let one = sid('1');
    let two = sid('2');
    let toml = format!(
        "[[encryption_keys]]\npublic_key_sid = '{one}'\nprivate_key_file = 'secrets/one.pem'\n\
         [[encryption_keys]]\npublic_key_sid = '{two}'\nprivate_key_file = 'secrets/two.pem'"
    );
    let accounts = resolve(&toml, folder.path()).unwrap();
    let keys = accounts.encryption_keys();
    assert_eq!(
        keys.sids().collect::<Vec<_>>(),
        [one.as_str(), two.as_str()]
    );
    for (sid, pair) in [one, two].iter().zip(&pairs) {
        assert_eq!(
            keys.find(sid)
                .unwrap()
                .unwrap(&pair.wrap(&[7; 32]))
                .unwrap(),
            Key::from_slice(&[7; 32]).unwrap()
        );
    }
    assert!(keys.find(&sid('3')).is_none());
    let shown = format!("{accounts:?}");
    assert!(
        shown.contains("PrivateKey(…)") && !shown.contains("BEGIN"),
        "{shown}"
    );
}

#[test]
fn every_fault_is_reported_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good"), Pair::new().pem()).unwrap();
    fs::write(folder.path().join("bad"), "no key").unwrap();
    let token = |module: &str| {
        format!("pkcs11 = {{ module = '{module}', token = '', key_label = '', pin_file = '' }}")
    };
    let toml = format!(
        "[[encryption_keys]]\npublic_key_sid = '{four}'\nprivate_key_file = 'good'\n\
         [[encryption_keys]]\npublic_key_sid = '{one}'\n\
         [[encryption_keys]]\npublic_key_sid = '{one}'\nprivate_key_file = 'good'\n\
         [[encryption_keys]]\npublic_key_sid = '{one}'\nprivate_key_file = 'good'\n\
         [[encryption_keys]]\npublic_key_sid = '{two}'\nprivate_key_file = 'absent'\n\
         [[encryption_keys]]\npublic_key_sid = '{two}'\nprivate_key_file = 'bad'\n\
         [[encryption_keys]]\npublic_key_sid = '{two}'\nprivate_key_file = 'good'\n{both}\n\
         [[encryption_keys]]\npublic_key_sid = '{three}'\n{empty}",
        one = sid('1'),
        two = sid('2'),
        three = sid('3'),
        four = sid('4'),
        both = token("m.so"),
        empty = token(""),
    );
    let faults = resolve(&toml, folder.path()).unwrap_err();
    let keys: Vec<_> = faults
        .iter()
        .map(|fault| fault.key.strip_prefix("twilio.encryption_keys").unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "[1].private_key_file",
            "[3].public_key_sid",
            "[4].private_key_file",
            "[5].private_key_file",
            "[6].pkcs11",
            "[7].pkcs11.module",
            "[7].pkcs11.token",
            "[7].pkcs11.key_label",
            "[7].pkcs11.pin_file",
        ]
    );
    assert!(
        faults[3].to_string().contains("holds no private key"),
        "{}",
        faults[3]
    );
}

#[test]
fn a_key_in_a_token_opens_nothing_until_the_token_is_opened_by_who_knows_tokens() {
    let toml = format!(
        "[[encryption_keys]]\npublic_key_sid = '{}'\npkcs11 = {{ module = 'm.so', token = 't', key_label = 'k', pin_file = 'pin' }}",
        sid('1')
    );
    let mut accounts = resolve(&toml, Path::new("/etc/recvault")).unwrap();
    let told = accounts
        .encryption_keys()
        .find(&sid('1'))
        .unwrap()
        .unwrap(&[])
        .unwrap_err();
    assert_eq!(told, UnwrapError::Place("the token was not opened".into()));

    let pair = Pair::new();
    let opened = accounts.encryption_keys_mut().open_tokens(|token| {
        assert_eq!(
            (token.module.to_str(), token.pin_file.to_str()),
            (Some("/etc/recvault/m.so"), Some("/etc/recvault/pin"))
        );
        assert_eq!((token.token.as_str(), token.key_label.as_str()), ("t", "k"));
        Ok::<_, String>(Arc::new(PrivateKey::from_pem(&pair.pem()).unwrap()) as Arc<dyn UnwrapKey>)
    });
    opened.unwrap();
    assert!(
        accounts
            .encryption_keys()
            .find(&sid('1'))
            .unwrap()
            .unwrap(&pair.wrap(&[7; 32]))
            .is_ok()
    );
    let told = accounts.encryption_keys_mut().open_tokens(|_| Err("no"));
    assert_eq!(told, Err((sid('1').to_string(), "no")));
}
