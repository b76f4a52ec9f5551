//! Decryption with the right key, and the errors of all others.

use super::*;
use crate::twilio::encryption::{Pair, PrivateKey, Unopened, encrypted};

fn details(wrapped: &[u8], nonce: &[u8]) -> Encryption {
    let public_key_sid = format!("CR{}", "0".repeat(32));
    Encryption {
        public_key_sid: public_key_sid.parse().unwrap(),
        wrapped_key: STANDARD.encode(wrapped),
        nonce: STANDARD.encode(nonce),
    }
}

#[test]
fn what_was_wrapped_and_encrypted_comes_out() {
    let pair = Pair::new();
    let key = [7; 32];
    let nonce = [9; 12];
    let private = PrivateKey::from_pem(&pair.pem()).unwrap();
    let mut decryptor = decryptor(&details(&pair.wrap(&key), &nonce), &private).unwrap();
    let file = encrypted(&key, &nonce, b"RIFF and so on");
    assert_eq!(decryptor.push(&file).unwrap(), b"".as_slice());
    assert_eq!(decryptor.finish().unwrap(), b"RIFF and so on".as_slice());
}

#[test]
fn a_wrong_key_says_so_and_a_place_that_cannot_be_asked_passes() {
    let pair = Pair::new();
    let other = PrivateKey::from_pem(&Pair::new().pem()).unwrap();
    let sid: crate::model::sid::PublicKeySid = format!("CR{}", "0".repeat(32)).parse().unwrap();
    let told = decryptor(&details(&pair.wrap(&[7; 32]), &[9; 12]), &other).unwrap_err();
    assert_eq!(told, FetchRefusal::WrongKey { sid: sid.clone() }.into());
    // A key of another length is no content key.
    let own = PrivateKey::from_pem(&pair.pem()).unwrap();
    for length in [0, 16, 31, 33] {
        assert_eq!(
            own.unwrap(&pair.wrap(&vec![7; length])),
            Err(UnwrapError::Rejected),
            "{length}"
        );
    }
    assert_eq!(
        own.unwrap(&pair.wrap(&[7; 32])[1..]),
        Err(UnwrapError::Rejected)
    );
    let told = decryptor(&details(&pair.wrap(&[7; 32]), &[9; 12]), &Unopened).unwrap_err();
    assert!(
        matches!(&told, FetchError::Transient { cause: TransientFailure::PrivateKey { sid: named, .. } } if *named == sid),
        "{told}"
    );
}
