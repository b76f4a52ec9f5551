//! Accepted and refused files of private keys.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

use super::*;
use crate::twilio::encryption::{Pair, pem};

/// Returns the PKCS #1 key inside a PKCS #8 key: the contents of its last octet string, whose
/// length has two bytes.
fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8
        .windows(2)
        .position(|pair| pair == [0x04, 0x82])
        .unwrap();
    pkcs8[at + 4..].to_vec()
}

#[test]
fn both_forms_that_openssl_writes_are_read() {
    let pair = Pair::new();
    assert_eq!(
        *in_pkcs8(&pkcs1(&pair.private)),
        pair.private,
        "the same key in the other form"
    );
    let wrapped = pair.wrap(&[7; 32]);
    let windows = pair.pem().replace('\n', "\r\n");
    for text in [
        pair.pem(),
        pem("RSA PRIVATE KEY", &pkcs1(&pair.private)),
        windows,
        format!("A comment\n{}\nmore", pair.pem()),
    ] {
        let key = PrivateKey::from_pem(&text).unwrap();
        assert_eq!(
            key.unwrap(&wrapped).unwrap(),
            Key::from_slice(&[7; 32]).unwrap()
        );
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
    }
}

#[test]
fn what_is_no_rsa_private_key_is_refused_with_the_way_out() {
    let pair = Pair::new();
    let curve = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .unwrap();
    let cut = pair.pem();
    for (text, why) in [
        (String::new(), "holds no private key"),
        (pem("PUBLIC KEY", &pair.public), "holds no private key"),
        (pem("CERTIFICATE", &pair.public), "holds no private key"),
        (
            pem("PRIVATE KEY", &pair.public),
            "is not an RSA private key",
        ),
        (
            pem("PRIVATE KEY", &pair.private[..100]),
            "is not an RSA private key",
        ),
        (
            pem("PRIVATE KEY", curve.as_ref()),
            "is not an RSA private key",
        ),
        (
            pem("RSA PRIVATE KEY", &pair.private),
            "is not an RSA private key",
        ),
        (
            pem("ENCRYPTED PRIVATE KEY", &pair.private),
            "has a passphrase",
        ),
        (
            pair.pem()
                .replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\nM"),
            "has a passphrase",
        ),
        (
            cut[..cut.len() - 30].to_owned(),
            "ends before the private key does",
        ),
        (pair.pem().replace("\nM", "\n*"), "not base64"),
    ] {
        let told = PrivateKey::from_pem(&text).unwrap_err();
        assert!(told.contains(why), "{told} for {why}");
    }
}

#[test]
fn lengths_of_der_are_written_in_their_shortest_form() {
    let head = |length: usize| {
        tagged(0x04, &[&vec![0; length]])[..tagged(0x04, &[&vec![0; length]]).len() - length]
            .to_vec()
    };
    assert_eq!(head(0), [0x04, 0]);
    assert_eq!(head(127), [0x04, 127]);
    assert_eq!(head(128), [0x04, 0x81, 128]);
    assert_eq!(head(255), [0x04, 0x81, 255]);
    assert_eq!(head(256), [0x04, 0x82, 1, 0]);
    assert_eq!(head(65536), [0x04, 0x83, 1, 0, 0]);
}
