//! Copies made from a whole call belong to each of its recordings.

use recvault::{
    demo::stand_in::{RecordingFacts, SentenceFacts, TranscriptFacts},
    evidence::Removal,
};

use super::{call_of, receipt, work_off};
use crate::{
    transcribing,
    world::{Recipe, digits},
};

#[tokio::test]
async fn a_transcript_of_a_call_stays_while_another_recording_of_the_call_lives() {
    let vault = Recipe::default().by_hand().await;
    let one = vault.sealed().await;
    let other = vault.sealed().await;
    vault
        .ground()
        .run(&format!(
            "UPDATE recordings SET call_sid = '{}'",
            call_of(&one)
        ))
        .await;
    let facts = TranscriptFacts {
        source_sid: Some(call_of(&one).to_string()),
        ..TranscriptFacts::new(format!("GT{}", digits()), &one.sid)
    };
    vault.stand_in.add_transcript(&vault.account, facts);
    vault.shred(one.id).await;
    work_off(&vault).await;
    assert_eq!(
        vault.stand_in.kept(&one.sid).transcripts.len(),
        1,
        "the other recording is of this call, too"
    );
    vault.shred(other.id).await;
    work_off(&vault).await;
    assert_eq!(vault.stand_in.kept(&one.sid).transcripts.len(), 0);
}

#[tokio::test]
async fn a_transcript_of_a_call_that_was_filed_with_one_recording_stays_for_the_other() {
    let vault = Recipe::default().by_hand().await;
    let one = vault.sealed().await;
    let other = vault.sealed().await;
    vault
        .ground()
        .run(&format!(
            "UPDATE recordings SET call_sid = '{}'",
            call_of(&one)
        ))
        .await;
    let facts = TranscriptFacts {
        source: "Call".into(),
        source_sid: Some(call_of(&one).to_string()),
        sentences: vec![SentenceFacts::new(1, "0.4", "1.9", "Hello.")],
        ..TranscriptFacts::new(format!("GT{}", digits()), &one.sid)
    };
    vault.stand_in.add_transcript(&vault.account, facts.clone());
    transcribing::told(&vault, &facts.sid).await;
    work_off(&vault).await;
    let (with_words, without) = if vault.artefacts(one.id).await.len() == 2 {
        (&one, &other)
    } else {
        (&other, &one)
    };
    assert_eq!(
        vault.artefacts(with_words.id).await.len(),
        2,
        "it is filed with one of them"
    );
    let shredded = vault.shred(with_words.id).await;
    work_off(&vault).await;
    assert_eq!(
        vault.stand_in.kept(&one.sid).transcripts,
        std::slice::from_ref(&facts.sid),
        "the other recording is of this call, too"
    );
    assert!(matches!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Removed(_))
    ));
    vault.shred(without.id).await;
    work_off(&vault).await;
    assert_eq!(vault.stand_in.kept(&one.sid).transcripts.len(), 0);
}

#[tokio::test]
async fn a_transcript_of_a_call_waits_for_a_recording_of_it_that_the_vault_has_not_met() {
    let vault = Recipe::default().by_hand().await;
    let one = vault.sealed().await;
    let other = vault.record();
    let call = Some(call_of(&one));
    let facts = RecordingFacts {
        call,
        ..RecordingFacts::new(&other.sid, other.wav.clone())
    };
    vault
        .stand_in
        .add_recording_of(&vault.account, other.sid.clone(), facts);
    let of_call = TranscriptFacts {
        source: "Call".into(),
        source_sid: Some(call_of(&one).to_string()),
        ..TranscriptFacts::new(format!("GT{}", digits()), &one.sid)
    };
    vault.stand_in.add_transcript(&vault.account, of_call);
    vault.shred(one.id).await;
    work_off(&vault).await;
    assert!(!vault.stand_in.kept(&one.sid).media);
    assert_eq!(vault.stand_in.kept(&one.sid).transcripts.len(), 1);
    assert_eq!(vault.tell(&other, "completed").await.status, 204);
    work_off(&vault).await;
    vault.shred(other.id).await;
    work_off(&vault).await;
    assert_eq!(
        vault.stand_in.kept(&one.sid).transcripts.len(),
        0,
        "it goes with the last one"
    );
}
