//! Altered and truncated files, and a connection that breaks.

use recvault::demo::stand_in::{MediaFault, Spelling};

use super::{Keys, conversation, is_set_aside, record};

#[tokio::test]
async fn a_file_that_was_altered_or_cut_at_twilio_leaves_nothing() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    // Longer than two parts of an upload, so that ciphertext is in the store before the tag is
    // checked.
    let mut long = conversation::WAV.repeat(40);
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(long.len() > 20 << 20, "{}", long.len());
    let last = long.len() + 15;
    let altered = |file: &[u8], at: usize| {
        let mut file = file.to_vec();
        file[at] ^= 1;
        file
    };
    let wav = conversation::WAV;
    for (sound, change, why) in [
        (
            wav,
            &(|file: &[u8]| altered(file, 3)) as &dyn Fn(&[u8]) -> Vec<u8>,
            "the decrypted file is not a RIFF/WAVE file",
        ),
        (
            wav,
            &|file| altered(file, 100_000),
            "not authentic: its tag is wrong",
        ),
        (
            wav,
            &|file| altered(file, file.len() - 1),
            "not authentic: its tag is wrong",
        ),
        (
            &long,
            &|file| altered(file, last),
            "not authentic: its tag is wrong",
        ),
        (
            wav,
            &|file| file[..file.len() - 1].to_vec(),
            "the encrypted file is truncated",
        ),
        (
            wav,
            &|file| file[..file.len() - 16].to_vec(),
            "the encrypted file is truncated",
        ),
        (
            wav,
            &|file| file[..20].to_vec(),
            "the encrypted file is truncated",
        ),
        (wav, &|_| Vec::new(), "the encrypted file is truncated"),
        (
            wav,
            &|_| wav.to_vec(),
            "the decrypted file is not a RIFF/WAVE file",
        ),
    ] {
        let recorded = record(&vault, &keys, sound, Spelling::Page);
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        let whole = vault.stand_in.media(&recorded.sid).unwrap();
        vault
            .stand_in
            .replace_media(&recorded.sid, change(&whole).into());
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        is_set_aside(&vault, &recorded, why).await;

        // Twilio repairs it, and the operator retries.
        vault.stand_in.replace_media(&recorded.sid, whole);
        assert_eq!(
            vault
                .process
                .flow
                .dead_work
                .retry(Some(recorded.id))
                .await
                .unwrap(),
            1
        );
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        assert_eq!(vault.state(recorded.id).await, "sealed");
        assert_eq!(vault.shred(recorded.id).await.status, 200);
        vault.process.flow.worker.work_off().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_another_thing_and_passes() {
    let keys = Keys::with(0);
    let vault = keys.recipe().by_hand().await;
    let length = conversation::WAV.len() + 16;
    for fault in [
        MediaFault::CutBody { at: 0 },
        MediaFault::CutBody { at: 500_000 },
        MediaFault::CutBody { at: length - 1 },
        MediaFault::WrongLength {
            claim: length as u64 + 1,
        },
        MediaFault::ServerError { times: 1 },
        MediaFault::NotYet { times: 1 },
    ] {
        let recorded = conversation(&vault, &keys);
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        vault.stand_in.fail(&recorded.sid, fault.clone());
        assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
        assert_eq!(
            (vault.dead().await, vault.state(recorded.id).await.as_str()),
            (None, "announced"),
            "{fault:?}"
        );
        assert_eq!(vault.later().await, 1);
        vault.plays(&recorded).await;
    }
}
