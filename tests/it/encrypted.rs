//! Twilio encrypts recordings with the customer's own public key: with the private key they can be
//! played, and without it nothing of them is stored.

mod damage;
#[cfg(feature = "pkcs11")]
mod tokens;

use std::{fmt::Write as _, fs, path::PathBuf, sync::LazyLock};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeySize, PrivateDecryptingKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use recvault::{
    demo::{
        conversation,
        stand_in::{Call, MediaFault, RequestFault, Spelling},
    },
    model::{id::RecordingId, sid::RecordingSid},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    s3_server,
    world::{Database, Recipe, Recorded, TestVault, digits, files_below},
};

/// A key pair of the customer.
pub(crate) struct Pair {
    pem: String,
    pub(crate) public: Vec<u8>,
}

/// Created once, because that is slow.
pub(crate) static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| {
    std::array::from_fn(|_| {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(private.as_ref())
        );
        Pair {
            pem,
            public: public.as_ref().to_vec(),
        }
    })
});

/// The customer's folder for keys, with its configuration.
pub(crate) struct Keys {
    folder: TempDir,
    sid: String,
    pub(crate) lines: String,
}

impl Keys {
    /// Without a private key.
    fn none() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            sid: format!("CR{}", digits()),
            lines: String::new(),
        }
    }

    /// With the private key of one of the [`PAIRS`].
    pub(crate) fn with(pair: usize) -> Self {
        let mut keys = Self::none();
        keys.add(pair);
        keys
    }

    /// Adds the private key of another of the [`PAIRS`], under another name.
    pub(crate) fn add_another(&mut self, pair: usize) {
        self.sid = format!("CR{}", digits());
        self.add(pair);
    }

    fn add(&mut self, pair: usize) {
        let file = self.folder.path().join(format!("key-{pair}.pem"));
        fs::write(&file, &PAIRS[pair].pem).unwrap();
        writeln!(
            self.lines,
            "[[twilio.encryption_keys]]\npublic_key_sid = \"{}\"\nprivate_key_file = \"{}\"",
            self.sid,
            file.display()
        )
        .unwrap();
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            home: self.lines.clone(),
            ..Recipe::default()
        }
    }
}

/// Adds a recording that is encrypted with the first of the [`PAIRS`]. Its metadata uses this
/// spelling; its callbacks use their own.
fn record(vault: &TestVault, keys: &Keys, wav: &[u8], spelling: Spelling) -> Recorded {
    let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
    vault.stand_in.add_encrypted_recording(
        &vault.account,
        sid.clone(),
        wav,
        &keys.sid,
        &PAIRS[0].public,
        spelling,
    );
    let id = RecordingId::of_source(vault.made.vault, vault.account.as_str(), sid.as_str());
    Recorded {
        sid,
        id,
        wav: Bytes::copy_from_slice(wav),
    }
}

fn conversation(vault: &TestVault, keys: &Keys) -> Recorded {
    record(vault, keys, conversation::WAV, Spelling::Page)
}

/// Posts its callback, with other encryption details or none.
async fn tell(vault: &TestVault, recorded: &Recorded, details: Option<&str>) {
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    params.retain(|(name, _)| name != "EncryptionDetails");
    params.extend(details.map(|details| ("EncryptionDetails".to_owned(), details.to_owned())));
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
}

/// Returns the details in the stand-in's callback.
fn details(vault: &TestVault, recorded: &Recorded) -> Value {
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let (_, details) = params
        .iter()
        .find(|(name, _)| name == "EncryptionDetails")
        .unwrap();
    serde_json::from_str(details).unwrap()
}

/// Checks that it is dead for this reason, and that nothing of it is stored.
async fn is_set_aside(vault: &TestVault, recorded: &Recorded, why: &str) {
    let (id, told) = vault.dead().await.expect("it is set aside");
    assert_eq!(id, recorded.id.to_string());
    assert!(told.contains(why), "{told}, not: {why}");
    vault.holds_nothing_of(recorded.id).await;
    let is_sound = |file: &PathBuf| {
        !["snapshots", "journal", "probe"]
            .iter()
            .any(|part| file.components().any(|own| own.as_os_str() == *part))
    };
    let left: Vec<_> = files_below(&vault.folder().join("objects"))
        .into_iter()
        .filter(is_sound)
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn a_reviewer_hears_in_the_clear_what_was_encrypted_with_the_teams_key(database: Database) {
    let keys = Keys::with(0);
    let vault = Recipe {
        database,
        ..keys.recipe()
    }
    .by_hand()
    .await;
    for spelling in [Spelling::Callback, Spelling::Page, Spelling::Description] {
        let recorded = record(&vault, &keys, conversation::WAV, spelling);
        vault.stand_in.spell_callback(&recorded.sid, spelling);
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        vault.plays(&recorded).await;
    }
    assert_eq!(
        vault.stand_in.requests(Call::RecordingFetch),
        0,
        "the callback says everything"
    );
    assert_eq!(
        vault.stand_in.requests(Call::Media),
        3,
        "the WAV file of each, and nothing else"
    );
}

on_both_databases!(a_reviewer_hears_in_the_clear_what_was_encrypted_with_the_teams_key,);

#[tokio::test]
async fn what_is_not_encrypted_costs_no_request_more() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    vault.plays(&vault.sealed().await).await;
    assert_eq!(vault.stand_in.requests(Call::RecordingFetch), 0);
}

#[tokio::test]
async fn a_callback_whose_details_are_missing_or_cannot_be_read_loses_nothing() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    let told = details(&vault, &recorded);
    let with = |field: &str, value: Value| {
        let mut changed = told.clone();
        changed[field] = value;
        changed.to_string()
    };
    for details in [
        None,
        Some(String::new()),
        Some("null".into()),
        Some("{".into()),
        Some(with("iv", json!("short"))),
        Some(with("type", json!("aes-cbc"))),
        Some(with("encryption_iv", json!(STANDARD.encode([0; 12])))),
        Some("x".repeat(20_000)),
    ] {
        let recorded = conversation(&vault, &keys);
        tell(&vault, &recorded, details.as_deref()).await;
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        vault.plays(&recorded).await;
    }
    assert_eq!(
        vault.stand_in.requests(Call::RecordingFetch),
        8,
        "once each"
    );
}

#[tokio::test]
async fn details_that_nobody_can_rely_on_are_refused_and_somebody_must_look() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    let mut told = details(&vault, &recorded);
    told["encryption_cek"] = json!(STANDARD.encode([1; 256]));
    vault.stand_in.say_encryption_details(&recorded.sid, told);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    is_set_aside(
        &vault,
        &recorded,
        "its encryption details cannot be used: `encrypted_cek` is given with two different values",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_sound_and_no_encrypted_one_either_is_set_aside() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(&recorded.sid, MediaFault::NotRiff);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    is_set_aside(
        &vault,
        &recorded,
        "and twilio does not report it as encrypted with a customer key",
    )
    .await;
}

#[tokio::test]
async fn metadata_that_cannot_be_had_now_is_asked_for_later() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    for wrong in [
        RequestFault::ServerError,
        RequestFault::TooMany {
            retry_after: Some(3),
        },
        RequestFault::CutBody,
    ] {
        let recorded = conversation(&vault, &keys);
        tell(&vault, &recorded, None).await;
        vault
            .stand_in
            .fail_call(Call::RecordingFetch, wrong.clone());
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        assert_eq!(
            (vault.dead().await, vault.state(recorded.id).await.as_str()),
            (None, "announced"),
            "{wrong:?}"
        );
        assert_eq!(vault.later().await, 1);
        vault.plays(&recorded).await;
    }
}

#[tokio::test]
async fn the_team_forgot_the_private_key_and_gives_it_later() {
    let mut keys = Keys::none();
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    is_set_aside(
        &vault,
        &recorded,
        &format!(
            "encrypted with your public key `{}`: add its private key to `twilio.encryption_keys`",
            keys.sid
        ),
    )
    .await;
    assert_eq!(
        vault.stand_in.requests(Call::Media),
        0,
        "without the key it is not fetched"
    );

    keys.add(0);
    let config = fs::read_to_string(&vault.made.config).unwrap();
    fs::write(&vault.made.config, config + &keys.lines).unwrap();
    let process = vault.another_process().await;
    assert_eq!(
        process
            .flow
            .dead_work
            .retry(Some(recorded.id))
            .await
            .unwrap(),
        1
    );
    assert_eq!(process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn the_team_gave_another_private_key() {
    let keys = Keys::with(1);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    is_set_aside(
        &vault,
        &recorded,
        &format!("the private key that `twilio.encryption_keys` has for `{}` does not open its content key", keys.sid),
    )
    .await;
    assert_eq!(vault.stand_in.requests(Call::Media), 0);
}

#[tokio::test]
async fn what_is_encrypted_is_stored_in_the_teams_bucket() {
    let s3 = s3_server::start();
    let mut keys = Keys::with(0);
    let folder = format!("{}/{}/recordings/", s3.endpoint, s3.bucket);
    writeln!(
        keys.lines,
        "[[twilio.buckets]]\nurl_prefix = \"{folder}\"\nregion = \"us-east-1\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\nallow_http = true",
        s3.access_key, s3.secret_key
    )
    .unwrap();
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    let told = details(&vault, &recorded).to_string();
    let file = vault.stand_in.media(&recorded.sid).unwrap();
    let place = s3.root().join(s3.bucket).join("recordings");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("one"), &file).unwrap();
    vault.stand_in.add_external_recording(
        &vault.account,
        recorded.sid.clone(),
        conversation::WAV,
        format!("{folder}one"),
    );
    tell(&vault, &recorded, Some(&told)).await;
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn twilio_could_not_encrypt_and_the_recording_says_why() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    let mut params = vault.stand_in.callback_params(&recorded.sid, "failed");
    params.retain(|(name, _)| name != "ErrorCode");
    params.push(("ErrorCode".into(), "16111".into()));
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
    assert_eq!(
        vault.process.flow.worker.work_off().await.unwrap(),
        0,
        "there is nothing to fetch"
    );
    let details = vault.details(recorded.id).await;
    assert_eq!(
        (
            &details["state"],
            &details["source_status"],
            &details["error_code"]
        ),
        (&json!("failed"), &json!("failed"), &json!(16111))
    );
}
