//! Media encrypted with a customer's key, and media that is stored elsewhere.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{asking::*, *};

/// Decrypts as the customer does.
fn open(key: &PrivateDecryptingKey, cek: &str, iv: &str, file: &[u8]) -> Vec<u8> {
    let key = OaepPrivateDecryptingKey::new(key.clone()).unwrap();
    let mut cek_bytes = vec![0; key.min_output_size()];
    let wrapped = STANDARD.decode(cek).unwrap();
    assert_eq!(wrapped.len(), 256);
    let cek = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut cek_bytes, None)
        .unwrap();
    assert_eq!(cek.len(), 32);
    let nonce = Nonce::try_assume_unique_for_key(&STANDARD.decode(iv).unwrap()).unwrap();
    let mut file = file.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, cek).unwrap());
    key.open_in_place(nonce, Aad::empty(), &mut file)
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn an_encrypted_recording_opens_with_the_customers_key_in_every_spelling() {
    let asking = Asking::begin().await;
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap();
    for (digit, spelling, names) in [
        (
            '1',
            Spelling::Callback,
            ["public_key_sid", "encrypted_cek", "iv"],
        ),
        (
            '2',
            Spelling::Page,
            ["encryption_public_key_sid", "encryption_cek", "iv"],
        ),
        (
            '3',
            Spelling::Description,
            [
                "encryption_public_key_sid",
                "encryption_cek",
                "encryption_iv",
            ],
        ),
    ] {
        let recording = recording_sid(digit);
        asking.twilio.add_encrypted_recording(
            &asking.account,
            recording.clone(),
            WAV,
            &sid("CR", '1'),
            public.as_ref(),
            spelling,
        );
        let metadata = asking.get(&format!("Recordings/{recording}.json")).await;
        let details = &metadata["encryption_details"];
        assert_eq!(
            details.get("type").is_some(),
            spelling != Spelling::Description
        );
        assert_eq!(
            (&details[names[0]], &metadata["channels"]),
            (&sid("CR", '1').into(), &2.into())
        );
        let response = asking
            .send(
                "GET",
                &format!("Recordings/{recording}.wav?RequestedChannels=2"),
                &[],
            )
            .await;
        assert_eq!(response.headers()["content-type"], "audio/x-wav");
        let file = response.bytes().await.unwrap();
        assert_eq!(file.len(), WAV.len() + 16);
        let cek = details[names[1]].as_str().unwrap();
        let iv = details[names[2]].as_str().unwrap();
        assert!(open(&private, cek, iv, &file) == WAV);

        asking.twilio.spell_callback(&recording, spelling);
        let params = asking.twilio.callback_params(&recording, "completed");
        let said = &params
            .iter()
            .find(|(name, _)| name == "EncryptionDetails")
            .unwrap()
            .1;
        assert_eq!(serde_json::from_str::<Value>(said).unwrap(), *details);
        assert_eq!(
            asking
                .status(
                    "GET",
                    &format!("Recordings/{recording}.wav?RequestedChannels=1")
                )
                .await,
            400
        );
        let mp3 = asking
            .send("GET", &format!("Recordings/{recording}.mp3"), &[])
            .await;
        assert_eq!(mp3.status(), 400);
        assert!(mp3.text().await.unwrap().contains("<Code>16109</Code>"));
    }
}

#[tokio::test]
async fn encryption_details_can_be_anything_and_media_can_be_damaged() {
    let asking = Asking::begin().await;
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap();
    let recording = recording_sid('1');
    asking.twilio.add_encrypted_recording(
        &asking.account,
        recording.clone(),
        WAV,
        &sid("CR", '1'),
        public.as_ref(),
        Spelling::Page,
    );
    let odd = json!({ "iv": "a", "encryption_iv": "b" });
    asking
        .twilio
        .say_encryption_details(&recording, odd.clone());
    assert_eq!(
        asking.get(&format!("Recordings/{recording}.json")).await["encryption_details"],
        odd
    );
    let whole = asking.twilio.media(&recording).unwrap();
    asking
        .twilio
        .replace_media(&recording, whole.slice(..whole.len() - 1));
    let cut = asking
        .send("GET", &format!("Recordings/{recording}"), &[])
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(cut.len(), whole.len() - 1);
    assert_eq!(
        asking.get(&format!("Recordings/{recording}.json")).await["channels"],
        2
    );
}

#[tokio::test]
async fn media_that_is_stored_elsewhere_is_not_here_and_stays_there() {
    let asking = Asking::begin().await;
    let recording = recording_sid('1');
    let url = asking
        .twilio
        .store_elsewhere("/bucket/recording.wav", Bytes::from_static(WAV));
    asking
        .twilio
        .add_external_recording(&asking.account, recording.clone(), WAV, url.clone());
    let metadata = asking.get(&format!("Recordings/{recording}.json")).await;
    assert_eq!(
        (&metadata["media_url"], &metadata["duration"]),
        (&url.as_str().into(), &"27".into())
    );
    assert_eq!(
        asking
            .status("GET", &format!("Recordings/{recording}"))
            .await,
        404
    );
    assert_eq!(
        asking
            .status("DELETE", &format!("Recordings/{recording}.json"))
            .await,
        204
    );
    let file = asking
        .http
        .get(&url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(file == WAV);
}

#[tokio::test]
async fn all_media_leads_to_storage_which_wants_no_second_credential() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    for status in [302, 307] {
        asking
            .twilio
            .behave(|behaviour| behaviour.media_redirect = Some(MediaRedirect { status }));
        let redirect = asking
            .send("GET", &format!("Recordings/{recording}.wav"), &[])
            .await;
        assert_eq!(redirect.status().as_u16(), status);
        let to = redirect.headers()["location"].to_str().unwrap().to_owned();
        assert!(!to.starts_with(&asking.twilio.base_url()));
        assert!(
            asking
                .http
                .get(&to)
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap()
                == WAV
        );
        assert!(!asking.twilio.saw_authorization_elsewhere() || status == 307);
        let twice = asking
            .http
            .get(&to)
            .basic_auth("AC", Some(TOKEN))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                twice.status().as_u16(),
                asking.twilio.saw_authorization_elsewhere()
            ),
            (400, true)
        );
    }
    assert_eq!(asking.twilio.requests_elsewhere(), 4);
    // The vault's own client follows the redirect.
    let mut settings = asking.twilio.settings();
    settings.media_redirect_hosts = vec!["127.0.0.1".into()];
    let accounts = settings.resolve(Path::new("/")).unwrap();
    let media = TwilioClient::new(&accounts)
        .unwrap()
        .media(accounts.get(&asking.account).unwrap(), &recording, None)
        .await
        .unwrap();
    let chunks: Vec<_> = media.body.try_collect().await.unwrap();
    assert!(chunks.concat() == WAV);
}
