//! Twilio cannot deliver a transcript, is slow, or omits something.

use recvault::demo::stand_in::{Call, RequestFault, TranscriptFacts, TranscriptionFacts};

use super::{dead, gt, made, reads, told, transcribed, words, work};
use crate::{
    viewing::vault_on,
    world::{Database, digits},
};

async fn what_twilio_cannot_give_is_given_up_with_a_reason_and_revived(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let failed = made(&vault, &recorded.sid, &["Hello."]);
    for (status, why) in [
        ("failed", "`failed`"),
        ("canceled", "`canceled`"),
        ("error", "`error`"),
    ] {
        vault.stand_in.set_transcript_status(&failed.sid, status);
        told(&vault, &failed.sid).await;
        work(&vault).await;
        let [(sid, said)] = dead(&vault).await.try_into().unwrap();
        assert!(sid == failed.sid && said.contains(why), "{said}");
    }
    let sealed = TranscriptFacts {
        encryption_credential_sid: Some(format!("CR{}", digits())),
        ..made(&vault, &recorded.sid, &["Hello."])
    };
    vault
        .stand_in
        .add_transcript(&vault.account, sealed.clone());
    let outside = TranscriptFacts {
        source: "ExternalRecording".into(),
        source_sid: None,
        media_url: Some("https://elsewhere.example/zebediah.wav".into()),
        ..TranscriptFacts::new(gt(), &recorded.sid)
    };
    vault
        .stand_in
        .add_transcript(&vault.account, outside.clone());
    for (facts, why) in [
        (&sealed, "encrypted"),
        (&outside, "not a recording of this account"),
    ] {
        told(&vault, &facts.sid).await;
        work(&vault).await;
        let (_, said) = dead(&vault)
            .await
            .into_iter()
            .find(|(sid, _)| *sid == facts.sid)
            .unwrap();
        assert!(said.contains(why) && !said.contains("zebediah"), "{said}");
    }
    let transcription = transcribed(&vault, &recorded.sid, "Hello.").await;
    let broken = TranscriptionFacts {
        status: "failed".into(),
        ..TranscriptionFacts::new(transcription.clone(), recorded.sid.clone(), "")
    };
    vault.stand_in.add_transcription(&vault.account, broken);
    work(&vault).await;
    assert_eq!(dead(&vault).await.len(), 4);
    assert_eq!(
        (
            reads(&vault, recorded.id).await,
            vault.count("work.dead").await
        ),
        (None, 6)
    );

    vault
        .stand_in
        .set_transcript_status(&failed.sid, "completed");
    vault.process.flow.dead_work.retry(None).await.unwrap();
    work(&vault).await;
    assert_eq!(
        (words(&vault, recorded.id).await, dead(&vault).await.len()),
        (vec!["Hello.".to_owned()], 3)
    );
}

async fn twilio_is_slow_and_stumbles_and_the_vault_comes_back(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let facts = made(&vault, &recorded.sid, &["Hello."]);
    told(&vault, &facts.sid).await;
    for status in ["queued", "in-progress", "new", "something-new"] {
        vault.stand_in.set_transcript_status(&facts.sid, status);
        vault.later().await;
        assert_eq!(reads(&vault, recorded.id).await, None, "{status}");
    }
    vault
        .stand_in
        .set_transcript_status(&facts.sid, "completed");
    for wrong in [
        RequestFault::ServerError,
        RequestFault::TooMany {
            retry_after: Some(30),
        },
        RequestFault::CutBody,
        RequestFault::NotFound,
    ] {
        vault
            .stand_in
            .fail_call(Call::TranscriptFetch, wrong.clone());
        vault.later().await;
        assert_eq!(reads(&vault, recorded.id).await, None, "{wrong:?}");
    }
    vault
        .stand_in
        .fail_call(Call::TranscriptSentences, RequestFault::ServerError);
    vault.later().await;
    assert_eq!(
        (reads(&vault, recorded.id).await, dead(&vault).await),
        (None, vec![])
    );
    vault.later().await;
    assert_eq!(words(&vault, recorded.id).await, ["Hello."]);
    // A permanent failure is not retried.
    let refused = made(&vault, &recorded.sid, &["Again."]);
    told(&vault, &refused.sid).await;
    vault
        .stand_in
        .fail_call(Call::TranscriptFetch, RequestFault::Forbidden);
    work(&vault).await;
    let [(_, why)] = dead(&vault).await.try_into().unwrap();
    assert!(why.contains("403"), "{why}");
}

async fn what_twilio_leaves_out_costs_at_most_what_it_is_of(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let said: Vec<String> = (0..40).map(|at| format!("Said {at}.")).collect();
    let facts = made(
        &vault,
        &recorded.sid,
        &said.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    vault
        .stand_in
        .behave(|behaviour| behaviour.null_per_cent = 15);
    told(&vault, &facts.sid).await;
    let mut read = None;
    for _ in 0..60 {
        vault.later().await;
        read = reads(&vault, recorded.id).await;
        if read.is_some() {
            break;
        }
    }
    let Some(read) = read else {
        panic!("it was never read: {:?}", dead(&vault).await)
    };
    let sentences = read["sentences"].as_array().unwrap();
    let lost = read["lost"].as_u64().unwrap_or_default();
    assert_eq!(
        sentences.len() as u64 + lost,
        40,
        "each is there, or counted: {read:#}"
    );
    assert!(
        sentences
            .iter()
            .all(|sentence| said.iter().any(|said| sentence["text"] == *said)),
        "{read:#}"
    );
    assert_eq!(dead(&vault).await, []);
}

on_both_databases!(
    what_twilio_leaves_out_costs_at_most_what_it_is_of,
    what_twilio_cannot_give_is_given_up_with_a_reason_and_revived,
    twilio_is_slow_and_stumbles_and_the_vault_comes_back,
);
