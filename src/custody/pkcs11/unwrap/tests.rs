//! Tests of a private key that is generated in a SoftHSM token and never leaves it.

use std::{fs, path::PathBuf, sync::Arc};

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType},
};

use super::*;
use crate::{
    custody::pkcs11::tests::{PIN, World},
    secret::Key,
    twilio::encryption::{wrap, wrap_pkcs1},
};

const LABEL: &str = "twilio-recordings";

/// Makes a key pair in the token; returns the public key as X.509 `SubjectPublicKeyInfo`.
fn pair(world: &World, label: &str) -> Vec<u8> {
    let place = TokenAddress::new(world.settings(PIN), std::path::Path::new("/")).unwrap();
    let _only = crate::custody::pkcs11::token::exclusive().unwrap();
    let session = place.session().unwrap();
    let own = Attribute::Label(label.as_bytes().to_vec());
    let public = [
        Attribute::Token(true),
        Attribute::Encrypt(true),
        Attribute::ModulusBits(2048.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let private = [
        own.clone(),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
    ];
    let (public, _) = session
        .generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private)
        .unwrap();
    let found = session
        .get_attributes(public, &[AttributeType::Modulus])
        .unwrap();
    let [Attribute::Modulus(modulus)] = found.as_slice() else {
        panic!("{found:?}")
    };
    // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { modulus, 65537 } } },
    // all lengths known for 2048 bits.
    let head = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100";
    [
        hex::decode(head).unwrap(),
        modulus.clone(),
        vec![2, 3, 1, 0, 1],
    ]
    .concat()
}

fn unwrapper(world: &World, label: &str, pin: &str) -> (Arc<dyn UnwrapKey>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let pin_file = folder.path().join("pin");
    fs::write(&pin_file, format!("{pin}\n")).unwrap();
    let key = TokenKey {
        module: world.module.clone(),
        token: world.label.clone(),
        key_label: label.into(),
        pin_file,
    };
    (crate::custody::unwrapper(&key).unwrap(), folder)
}

#[test]
#[ignore = "needs SoftHSM: run `tests/run`"]
fn what_was_wrapped_under_the_public_half_comes_out_and_nothing_else_does() {
    let world = World::new();
    let public = pair(&world, LABEL);
    let key = Key::from_slice(&[0x5a; 32]).unwrap();
    let (unwrapper, _folder) = unwrapper(&world, LABEL, PIN);
    // Repeated, because the seed of the padding differs each time, and with it the leading zeros of
    // the block.
    for _ in 0..8 {
        assert_eq!(unwrapper.unwrap(&wrap(&public, key.expose())).unwrap(), key);
    }
    let wrapped = wrap(&public, key.expose());
    for at in [0, 1, 100, 255] {
        let mut altered = wrapped.clone();
        altered[at] ^= 1;
        assert_eq!(
            unwrapper.unwrap(&altered),
            Err(UnwrapError::Rejected),
            "{at}"
        );
    }
    for length in [0, 16, 31, 33] {
        assert_eq!(
            unwrapper.unwrap(&wrap(&public, &vec![7; length])),
            Err(UnwrapError::Rejected),
            "{length}"
        );
    }
    for odd in [
        Vec::new(),
        vec![0; 255],
        vec![0xff; 256],
        vec![0; 257],
        wrapped[..255].to_vec(),
    ] {
        assert_eq!(
            unwrapper.unwrap(&odd),
            Err(UnwrapError::Rejected),
            "{} bytes",
            odd.len()
        );
    }
    let other = pair(&world, "another");
    assert_eq!(
        unwrapper.unwrap(&wrap(&other, key.expose())),
        Err(UnwrapError::Rejected)
    );
}

#[test]
#[ignore = "needs SoftHSM: run `tests/run`"]
fn a_key_of_a_file_of_video_comes_out_and_nothing_else_does() {
    let world = World::new();
    let public = pair(&world, LABEL);
    let key = Key::from_slice(&[0x5a; 32]).unwrap();
    let (unwrapper, _folder) = unwrapper(&world, LABEL, PIN);
    let opened = |wrapped: &[u8]| unwrapper.unwrap_pkcs1(wrapped);
    assert_eq!(opened(&wrap_pkcs1(&public, key.expose())).unwrap(), key);
    for length in [0, 16, 31, 33] {
        let wrapped = wrap_pkcs1(&public, &vec![7; length]);
        assert_eq!(opened(&wrapped), Err(UnwrapError::Rejected), "{length}");
    }
    for odd in [Vec::new(), vec![0; 255], vec![0xff; 256], vec![0; 257]] {
        assert_eq!(opened(&odd), Err(UnwrapError::Rejected), "{}", odd.len());
    }
    // Of another padding, or for another key, it does not come out.
    let other = pair(&world, "another");
    for strange in [
        wrap(&public, key.expose()),
        wrap_pkcs1(&other, key.expose()),
    ] {
        assert!(opened(&strange).ok().is_none_or(|opened| opened != key));
    }
}

#[test]
#[ignore = "needs SoftHSM: run `tests/run`"]
fn a_key_that_cannot_be_asked_says_why() {
    let world = World::new();
    let told = |label: &str, pin: &str| match unwrapper(&world, label, pin).0.unwrap(&[0; 256]) {
        Err(UnwrapError::Place(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(told(LABEL, PIN).contains("no private RSA key with the label `twilio-recordings`"));
    for _ in 0..2 {
        pair(&world, LABEL);
    }
    assert!(told(LABEL, PIN).contains("several private RSA keys"));
    let key = TokenKey {
        module: world.module.clone(),
        token: world.label.clone(),
        key_label: LABEL.into(),
        pin_file: PathBuf::from("/no/pin"),
    };
    let why = crate::custody::unwrapper(&key)
        .unwrap()
        .unwrap(&[0; 256])
        .unwrap_err()
        .to_string();
    assert!(why.contains("/no/pin") && !why.contains("custody"), "{why}");
}
