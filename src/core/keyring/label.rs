//! Labels: every derivation from a key is named here and nowhere else.

use aws_lc_rs::{hkdf, hmac};

use super::tree::RootKey;
use crate::{
    model::{
        artefact::{Artefact, Leg},
        encoding::length_prefixed,
        id::{ApprovalId, ConsentId, ObjectId, RecordingId, TokenId},
        name::LegName,
        sid::{AccountSid, TranscriptSid},
        subject::{Conversation, PartyScope},
    },
    secret::Key,
};

/// The key of one sealed object: `HKDF-Expand(record key, "recvault/artefact/1" ‖ leg ‖ artefact)`
/// with SHA-256 (RFC 5869, section 2.3).
pub fn artefact_key(record_key: &Key, leg: Leg, artefact: Artefact) -> Key {
    expand(
        record_key,
        &[
            b"recvault/artefact/1",
            leg.as_str().as_bytes(),
            artefact.word().as_bytes(),
        ],
    )
}

/// Returns a public name of a record key, 64 lower-case hex digits: it reveals whether two keys are
/// the same, and nothing else about them.
pub fn fingerprint(record_key: &Key) -> String {
    hex::encode(expand(record_key, &[b"recvault/fingerprint/1"]).expose())
}

/// The key of one recovery file (a snapshot or a piece of the journal):
/// `HKDF-Expand(root page's key, "recvault/recovery/1" ‖ file id)`. It lives as long as the epoch,
/// so the file becomes unreadable with the epoch's root.
pub fn recovery_key(root: &RootKey, file: ObjectId) -> Key {
    expand(&root.key, &[b"recvault/recovery/1", file.as_bytes()])
}

/// The key of rows that snapshots share, in one object:
/// `HKDF-Expand(rows seed, "recvault/rows/1" ‖ object id)`. It outlives epochs, as the object does;
/// each snapshot that names the object has the key.
pub fn rows_key(seed: &Key, object: ObjectId) -> Key {
    expand(seed, &[b"recvault/rows/1", object.as_bytes()])
}

/// Returns what the lines in such an object are recognised by, 64 lower-case hex digits:
/// HMAC-SHA-256 under `HKDF-Expand(rows seed, "recvault/rows-content/1")`.
pub fn rows_content(seed: &Key, lines: &[u8]) -> String {
    let key = expand(seed, &[b"recvault/rows-content/1"]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hex::encode(hmac::sign(&key, lines))
}

/// The key of the evidence of one statement of consent:
/// `HKDF-Expand(evidence seed, "recvault/evidence/1" ‖ statement id)`.
pub fn evidence_key(seed: &Key, statement: ConsentId) -> Key {
    expand(seed, &[b"recvault/evidence/1", statement.as_bytes()])
}

/// The key of the hashes that identify an idempotent request:
/// `HKDF-Expand(requests seed, "recvault/idempotency/1")`.
pub fn idempotency_key(seed: &Key) -> Key {
    expand(seed, &[b"recvault/idempotency/1"])
}

/// The key of the response to such a request:
/// `HKDF-Expand(requests seed, "recvault/answer/1" ‖ token id ‖ the client's key ‖ hash of the request)`.
/// It cannot be derived from the seed without the client's key.
pub fn answer_key(seed: &Key, bearer: TokenId, client: &[u8], request: &[u8]) -> Key {
    expand(
        seed,
        &[b"recvault/answer/1", bearer.as_bytes(), client, request],
    )
}

/// The key of a text about a recording that must be destroyed with it, such as a justification:
/// `HKDF-Expand(record key, "recvault/note/1" ‖ id)`.
pub fn note_key(record_key: &Key, note: ApprovalId) -> Key {
    expand(record_key, &[b"recvault/note/1", note.as_bytes()])
}

/// The key of a recording's participants:
/// `HKDF-Expand(record key, "recvault/details/1" ‖ recording id)`.
pub fn details_key(record_key: &Key, recording: RecordingId) -> Key {
    expand(record_key, &[b"recvault/details/1", recording.as_bytes()])
}

/// The key of a party's details before a recording of the conversation is sealed:
/// `HKDF-Expand(root page's key, "recvault/waiting/3" ‖ conversation ‖ scope ‖ leg)`. It lives as
/// long as the epoch: each turn replaces it.
pub fn waiting_key(
    root: &RootKey,
    conversation: &Conversation,
    scope: &PartyScope,
    leg: &LegName,
) -> Key {
    expand(
        &root.key,
        &[
            b"recvault/waiting/3",
            conversation.as_str().as_bytes(),
            scope.as_str().as_bytes(),
            leg.as_str().as_bytes(),
        ],
    )
}

/// The key of one utterance of a running call, until it is stored with a recording:
/// `HKDF-Expand(root page's key, "recvault/utterance/2" ‖ account ‖ transcription ‖ track ‖ number, 8 bytes big-endian)`.
/// It lives as long as the epoch: each turn replaces it.
pub fn utterance_key(
    root: &RootKey,
    account: &AccountSid,
    transcription: &TranscriptSid,
    track: &str,
    number: i64,
) -> Key {
    let account = account.as_str().as_bytes();
    let transcription = transcription.as_str().as_bytes();
    expand(
        &root.key,
        &[
            b"recvault/utterance/2",
            account,
            transcription,
            track.as_bytes(),
            &number.to_be_bytes(),
        ],
    )
}

/// HKDF-Expand over length-prefixed fields, so that no two lists of fields share an info string.
fn expand(key: &Key, fields: &[&[u8]]) -> Key {
    struct Len;
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            Key::LEN
        }
    }
    let info = length_prefixed(fields);
    let mut out = [0; Key::LEN];
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose())
        .expand(&[&info], Len)
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are within the 255 blocks HKDF can give");
    Key::take(&mut out)
}

#[cfg(test)]
mod tests {
    use ::hkdf::Hkdf;
    use sha2::Sha256;

    use super::*;

    /// The same derivation by an independent implementation.
    fn oracle(key: &Key, fields: &[&[u8]]) -> [u8; 32] {
        let info: Vec<u8> = fields
            .iter()
            .flat_map(|f| [&(f.len() as u64).to_be_bytes()[..], f].concat())
            .collect();
        let mut out = [0; 32];
        Hkdf::<Sha256>::from_prk(key.expose())
            .unwrap()
            .expand(&info, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn agrees_with_an_independent_hkdf() {
        let key = Key::random(&mut rand::rng());
        assert_eq!(
            artefact_key(&key, Leg::All, Artefact::Audio).expose(),
            &oracle(&key, &[b"recvault/artefact/1", b"all", b"audio"])
        );
        assert_eq!(
            fingerprint(&key),
            hex::encode(oracle(&key, &[b"recvault/fingerprint/1"]))
        );
    }

    #[test]
    fn each_recovery_file_has_a_key_of_its_own() {
        let rng = &mut rand::rng();
        let root = RootKey {
            epoch: 1,
            key: Key::random(rng),
        };
        let file = ObjectId::random(rng);
        assert_eq!(
            recovery_key(&root, file).expose(),
            &oracle(&root.key, &[b"recvault/recovery/1", file.as_bytes()])
        );
        assert_ne!(
            recovery_key(&root, file),
            recovery_key(&root, ObjectId::random(rng))
        );
    }

    #[test]
    fn each_statement_of_consent_has_a_key_for_its_evidence() {
        let rng = &mut rand::rng();
        let seed = Key::random(rng);
        let statement = ConsentId::random(rng);
        assert_eq!(
            evidence_key(&seed, statement).expose(),
            &oracle(&seed, &[b"recvault/evidence/1", statement.as_bytes()])
        );
    }

    #[test]
    fn an_answer_has_a_key_that_the_clients_own_is_part_of() {
        let rng = &mut rand::rng();
        let seed = Key::random(rng);
        let bearer = TokenId::random(rng);
        let key = answer_key(&seed, bearer, b"client", b"request");
        let fields: [&[u8]; 4] = [
            b"recvault/answer/1",
            bearer.as_bytes(),
            b"client",
            b"request",
        ];
        assert_eq!(key.expose(), &oracle(&seed, &fields));
        assert_eq!(
            idempotency_key(&seed).expose(),
            &oracle(&seed, &[b"recvault/idempotency/1"])
        );
        for other in [
            answer_key(&Key::random(rng), bearer, b"client", b"request"),
            answer_key(&seed, TokenId::random(rng), b"client", b"request"),
            answer_key(&seed, bearer, b"clientr", b"equest"),
            answer_key(&seed, bearer, b"client", b"other"),
        ] {
            assert_ne!(other, key);
        }
    }

    #[test]
    fn what_is_told_of_people_has_a_key_for_each_recording_and_each_place() {
        let rng = &mut rand::rng();
        let key = Key::random(rng);
        let recording = RecordingId::random(rng);
        assert_eq!(
            details_key(&key, recording).expose(),
            &oracle(&key, &[b"recvault/details/1", recording.as_bytes()])
        );
        let call = format!("CA{}", "1".repeat(32));
        let leg = "caller";
        let root = RootKey { epoch: 1, key };
        let account = format!("AC{}", "2".repeat(32));
        for scope in [account.as_str(), "*"] {
            let [place, at] = [&call, leg];
            let waiting = waiting_key(
                &root,
                &place.parse().unwrap(),
                &scope.parse().unwrap(),
                &at.parse().unwrap(),
            );
            let parts = [
                b"recvault/waiting/3",
                call.as_bytes(),
                scope.as_bytes(),
                leg.as_bytes(),
            ];
            assert_eq!(waiting.expose(), &oracle(&root.key, &parts));
        }
    }

    #[test]
    fn each_utterance_has_a_key_of_its_own() {
        let root = RootKey {
            epoch: 1,
            key: Key::random(&mut rand::rng()),
        };
        let account = |digit: &str| {
            format!("AC{}", digit.repeat(32))
                .parse::<AccountSid>()
                .unwrap()
        };
        let transcription = |digit: &str| {
            format!("GT{}", digit.repeat(32))
                .parse::<TranscriptSid>()
                .unwrap()
        };
        let a = account("1");
        let t = transcription("2");
        let fields: [&[u8]; 5] = [
            b"recvault/utterance/2",
            a.as_str().as_bytes(),
            t.as_str().as_bytes(),
            b"inbound_track",
            &258_i64.to_be_bytes(),
        ];
        let key = utterance_key(&root, &a, &t, "inbound_track", 258);
        assert_eq!(key.expose(), &oracle(&root.key, &fields));
        for other in [
            utterance_key(&root, &account("3"), &t, "inbound_track", 258),
            utterance_key(&root, &a, &transcription("3"), "inbound_track", 258),
            utterance_key(&root, &a, &t, "outbound_track", 258),
            utterance_key(&root, &a, &t, "inbound_track", 259),
        ] {
            assert_ne!(other, key);
        }
    }

    #[test]
    fn labels_separate_keys() {
        let key = Key::random(&mut rand::rng());
        assert_ne!(artefact_key(&key, Leg::All, Artefact::Audio), key);
        assert_ne!(
            hex::encode(artefact_key(&key, Leg::All, Artefact::Audio).expose()),
            fingerprint(&key)
        );
    }
}
