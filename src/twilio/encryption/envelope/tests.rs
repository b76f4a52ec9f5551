//! Encrypted files of Video: whole, cut, altered, and under another key.

use std::sync::Arc;

use aws_lc_rs::{
    cipher::{EncryptionContext, PaddedBlockEncryptingKey},
    rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey},
};
use proptest::prelude::*;

use super::*;
use crate::twilio::encryption::{EncryptionKey, Pair, PrivateKey, UnwrapKey};

const CONTENT_KEY: [u8; 32] = [7; 32];
const START: [u8; BLOCK] = [9; BLOCK];

/// Encrypts a file as Twilio does.
fn encrypted(plain: &[u8]) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_256, &CONTENT_KEY).unwrap();
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap();
    let mut bytes = plain.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(START));
    key.less_safe_encrypt(&mut bytes, context).unwrap();
    bytes
}

fn envelope(wrapped: &[u8], length: u64) -> FileEnvelope {
    FileEnvelope {
        wrapped_key: wrapped.to_vec(),
        iv: START,
        length,
    }
}

fn decryptor(length: u64) -> FileDecryptor {
    let key = Key::from_slice(&CONTENT_KEY).unwrap();
    FileDecryptor::new(&[key], &envelope(&[0; 256], length))
}

fn decrypted(file: &[u8], length: u64, at: usize) -> Result<Vec<u8>, FileDecryptError> {
    let mut decryptor = decryptor(length);
    let mut out = Vec::new();
    for piece in file.chunks(at) {
        out.extend(decryptor.push(piece)?);
    }
    out.extend(decryptor.finish()?);
    Ok(out)
}

#[test]
fn a_file_comes_back_at_every_length() {
    for length in [0, 1, 15, 16, 17, 31, 32, 1000] {
        let plain = vec![3; length];
        let file = encrypted(&plain);
        assert_eq!(file.len() % BLOCK, 0);
        for at in [1, 15, 16, 17, 2000] {
            assert_eq!(
                decrypted(&file, length as u64, at).unwrap(),
                plain,
                "{length} {at}"
            );
        }
    }
    // The published sample: 746,518 bytes become 746,528.
    assert_eq!(encrypted(&vec![0; 746_518]).len(), 746_528);
}

#[test]
fn a_cut_file_and_a_wrong_length_are_errors() {
    let file = encrypted(&[3; 100]);
    for at in 0..file.len() {
        assert!(decrypted(&file[..at], 100, 16).is_err(), "{at}");
    }
    for length in [0, 99, 101, 112] {
        assert!(decrypted(&file, length, 16).is_err(), "{length}");
    }
}

#[test]
fn the_private_key_that_opens_it_is_found() {
    let (own, other) = (Pair::new(), Pair::new());
    let public = PublicEncryptingKey::from_der(&own.public).unwrap();
    let public = Pkcs1PublicEncryptingKey::new(public).unwrap();
    let wrap = |key: &[u8]| {
        let mut wrapped = vec![0; public.ciphertext_size()];
        public.encrypt(key, &mut wrapped).unwrap().to_vec()
    };
    let keys = |pairs: &[&Pair]| {
        let key = |pair: &&Pair| EncryptionKey {
            public_key_sid: format!("CR{}", "1".repeat(32)).parse().unwrap(),
            key: Arc::new(PrivateKey::from_pem(&pair.pem()).unwrap()),
            token: None,
        };
        EncryptionKeys(pairs.iter().map(key).collect())
    };
    let file = encrypted(b"\x1a\x45\xdf\xa3");
    let told = envelope(&wrap(&CONTENT_KEY), 4);
    let mut opened = told.decryptor(&keys(&[&other, &own])).unwrap();
    let start = opened.push(&file).unwrap();
    assert_eq!(
        [start, opened.finish().unwrap()].concat(),
        b"\x1a\x45\xdf\xa3"
    );
    let refused = |told: &FileEnvelope, keys: &EncryptionKeys| told.decryptor(keys).unwrap_err();
    for (wrapped, pairs) in [
        (wrap(&CONTENT_KEY), vec![&other]),
        (wrap(&CONTENT_KEY), vec![]),
        (wrap(&[7; 16]), vec![&own]),
        (own.wrap(&CONTENT_KEY), vec![&own]),
        (vec![1; 256], vec![&own]),
    ] {
        let told = envelope(&wrapped, 4);
        assert_eq!(refused(&told, &keys(&pairs)), EnvelopeKeyError::NoKey);
    }
}

/// Stands for a key in a token that opens whatever it is given, as this key.
#[derive(Debug)]
struct OpensAs([u8; 32]);

impl UnwrapKey for OpensAs {
    fn unwrap(&self, _: &[u8]) -> Result<Key, UnwrapError> {
        Err(UnwrapError::Rejected)
    }

    fn unwrap_pkcs1(&self, _: &[u8]) -> Result<Key, UnwrapError> {
        Ok(Key::from_slice(&self.0).unwrap())
    }
}

#[test]
fn among_several_keys_that_open_it_the_plaintext_decides() {
    let key = |opened| EncryptionKey {
        public_key_sid: format!("CR{}", "1".repeat(32)).parse().unwrap(),
        key: Arc::new(OpensAs(opened)),
        token: None,
    };
    let keys = EncryptionKeys([[1; 32], [2; 32], CONTENT_KEY, [3; 32]].map(key).into());
    let mut long = b"\x1a\x45\xdf\xa3\x80".to_vec();
    long.resize(100, 7);
    for plain in [&long[..], &long[..9], &long[..16], &long[..33]] {
        for at in [1, 16, 17, 200] {
            let told = envelope(&[1; 256], plain.len() as u64);
            let mut opened = told
                .decryptor(&keys)
                .unwrap()
                .expecting(FileContainer::Matroska);
            let mut all = Vec::new();
            for piece in encrypted(plain).chunks(at) {
                all.extend_from_slice(&opened.push(piece).unwrap());
            }
            all.extend_from_slice(&opened.finish().unwrap());
            assert_eq!(all, plain, "{at}");
        }
    }
}

#[test]
fn headers_are_all_there_or_none() {
    let key = STANDARD.encode([1; 256]);
    let iv = STANDARD.encode(START);
    let read = |key: Option<&str>, iv: Option<&str>, length: Option<&str>| {
        FileEnvelope::read(|name| match name {
            KEY => key,
            IV => iv,
            _ => length,
        })
    };
    assert_eq!(read(None, None, None), Ok(None));
    let whole = read(Some(&key), Some(&iv), Some("746518"))
        .unwrap()
        .unwrap();
    assert_eq!(whole.plain_len(), 746_518);
    assert!(!format!("{whole:?}").contains('1'.to_string().repeat(3).as_str()));
    for (missing, told) in [
        (KEY, read(None, Some(&iv), Some("1"))),
        (IV, read(Some(&key), None, Some("1"))),
        (LENGTH, read(Some(&key), Some(&iv), None)),
    ] {
        assert_eq!(told, Err(EnvelopeError::Missing(missing)));
    }
    for told in [
        read(Some("AAAA"), Some(&iv), Some("1")),
        read(Some(&key), Some("AAAA"), Some("1")),
        read(Some(&key), Some(&iv), Some("-1")),
        read(Some("é"), Some(&iv), Some("1")),
    ] {
        assert!(
            matches!(told, Err(EnvelopeError::Malformed { .. })),
            "{told:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decrypted_or_refused(
        file in prop::collection::vec(any::<u8>(), 0..100),
        length in 0_u64..120,
        at in 1_usize..40,
    ) {
        if let Ok(plain) = decrypted(&file, length, at) {
            prop_assert_eq!(plain.len() as u64, length);
        }
    }

    #[test]
    fn chunking_changes_nothing(plain in prop::collection::vec(any::<u8>(), 0..100), at in 1_usize..40) {
        let file = encrypted(&plain);
        prop_assert_eq!(decrypted(&file, plain.len() as u64, at).unwrap(), plain);
    }
}
