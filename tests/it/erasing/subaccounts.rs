//! A subaccount without an API key uses its parent's credential; Conversational Intelligence
//! accepts only its own.

use std::fs;

use bytes::Bytes;
use recvault::{
    demo::{
        conversation,
        stand_in::{SentenceFacts, StandInAccount, TranscriptFacts},
    },
    evidence::{Removal, receipt::ReceiptState},
    model::sid::AccountSid,
};

use super::{is_gone, receipt, work_off};
use crate::{
    epochs::keys,
    world::{Recipe, digits},
};

#[tokio::test]
async fn transcripts_of_a_subaccount_are_filed_and_deleted_with_its_own_credential() {
    let vault = Recipe::default().by_hand().await;
    let (sub, token): (AccountSid, String) = (format!("AC{}", digits()).parse().unwrap(), digits());
    vault.stand_in.add_account(StandInAccount::below(
        &vault.account,
        sub.clone(),
        token.clone(),
    ));
    fs::write(vault.folder().join("secrets/sub"), &token).unwrap();
    let entry = format!(
        "[[twilio.accounts]]\nsid = \"{sub}\"\nparent = \"{}\"\nauth_token_files = [\"secrets/sub\"]\n[work]",
        vault.account
    );
    vault.reconfigure("[work]", &entry).await;
    let recorded = vault.record_for(&sub, Bytes::from_static(conversation::WAV));
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work_off(&vault).await;
    let words = || TranscriptFacts {
        sentences: vec![SentenceFacts::new(1, "0.4", "1.9", "Hello.")],
        ..TranscriptFacts::new(format!("GT{}", digits()), &recorded.sid)
    };
    vault.stand_in.add_transcript(&sub, words());
    // There is no callback: the vault checks ten minutes later.
    vault.later().await;
    assert_eq!(
        vault.artefacts(recorded.id).await.len(),
        2,
        "its transcript is found and filed"
    );
    vault.stand_in.add_transcript(&sub, words());
    let shredded = vault.shred(recorded.id).await;
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    work_off(&vault).await;
    assert!(
        is_gone(&vault.stand_in.kept(&recorded.sid)),
        "{:?}",
        vault.stand_in.kept(&recorded.sid)
    );
    let closed = receipt(&vault, &shredded).await;
    assert!(
        closed.state() == ReceiptState::Closed
            && matches!(closed.source(), Some(Removal::Removed(_))),
        "{closed:?}"
    );
}
