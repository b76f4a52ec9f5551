//! Accounts: subaccounts with their parent's credential, regions, secrets in the path of callbacks,
//! and tokens that are replaced while the service runs.

use std::fs;

use bytes::Bytes;
use recvault::{
    demo::{
        conversation,
        stand_in::{StandIn, StandInAccount},
    },
    model::{id::RecordingId, sid::AccountSid},
};
use serde_json::json;

use crate::world::{Recipe, Recorded, TestVault, digits};

const SECRET: &str = "a-secret-of-the-path-0123";

impl TestVault {
    /// Posts the callback of a completed recording to this path.
    async fn tell_at(&self, path: &str, recorded: &Recorded) -> crate::world::Answer {
        let params = self.stand_in.callback_params(&recorded.sid, "completed");
        let account: AccountSid = params
            .iter()
            .find(|(name, _)| name == "AccountSid")
            .unwrap()
            .1
            .parse()
            .unwrap();
        self.post_callback(&account, path, &params).await
    }
}

#[tokio::test]
async fn a_subaccount_signs_by_itself_and_asks_with_its_parents_credential() {
    let vault = Recipe::default().by_hand().await;
    let (sub, token): (AccountSid, String) = (format!("AC{}", digits()).parse().unwrap(), digits());
    vault.stand_in.add_account(StandInAccount::below(
        &vault.account,
        sub.clone(),
        token.clone(),
    ));
    fs::write(vault.folder().join("secrets/sub"), &token).unwrap();
    let entry = |token: &str| {
        format!(
            "[[twilio.accounts]]\nsid = \"{sub}\"\nparent = \"{}\"\nauth_token_files = [\"secrets/{token}\"]\n[work]",
            vault.account
        )
    };
    vault.reconfigure("[work]", &entry("sub")).await;
    let recorded = vault.record_for(&sub, Bytes::from_static(conversation::WAV));
    assert_eq!(
        vault.tell_at("/twilio/recordings", &recorded).await.status,
        204,
        "signed with its own token"
    );
    let lost = vault.record_for(&sub, Bytes::from_static(conversation::WAV));
    let done = vault.reconcile_of(&sub, false).await;
    assert_eq!((done.found.announced, done.fault), (1, None));
    assert_eq!(vault.works_off().await, [("sealed".to_owned(), 2)]);
    vault.plays(&lost).await;
    // The subaccount's own token is invalid at Twilio: only the parent's credential can have been
    // used. A parent's signature is not accepted for the subaccount.
    vault.reconfigure(&entry("sub"), &entry("0")).await;
    let third = vault.record_for(&sub, Bytes::from_static(conversation::WAV));
    assert_eq!(vault.reconcile_of(&sub, false).await.fault, None);
    assert!(vault.has_row(third.id).await);
    vault
        .tell_at("/twilio/recordings", &recorded)
        .await
        .problem(403, "bad-signature");
}

#[tokio::test]
async fn an_account_of_another_region_is_asked_there() {
    let vault = Recipe::default().by_hand().await;
    let (sid, token): (AccountSid, String) = (format!("AC{}", digits()).parse().unwrap(), digits());
    let region = StandIn::start(vec![StandInAccount::new(sid.clone(), token.clone())])
        .await
        .unwrap();
    fs::write(vault.folder().join("secrets/region"), &token).unwrap();
    let base = region.base_url();
    let entry = format!(
        "[[twilio.accounts]]\nsid = \"{sid}\"\nauth_token_files = [\"secrets/region\"]\napi_base = \"{base}\"\nproducts = {{ proxy_base = \"{base}\" }}\n[work]"
    );
    vault.reconfigure("[work]", &entry).await;
    let recording = format!("RE{}", digits()).parse().unwrap();
    region.add_recording(
        &sid,
        Clone::clone(&recording),
        Bytes::from_static(conversation::WAV),
    );
    let done = vault.reconcile_of(&sid, false).await;
    assert_eq!((done.found.announced, done.fault), (1, None));
    vault.works_off().await;
    let id = RecordingId::of_source(vault.made.vault, sid.as_str(), recording.as_str());
    assert_eq!(vault.state(id).await, "sealed");
    assert_eq!(
        (
            region.media_requests(),
            vault.stand_in.media_requests(),
            vault.stand_in.unauthorised_requests()
        ),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn callbacks_carry_the_secret_of_their_account_in_their_path() {
    let vault = Recipe::default().by_hand().await;
    fs::write(vault.folder().join("secrets/path"), SECRET).unwrap();
    let sid = format!("sid = \"{}\"\n", vault.account);
    vault
        .reconfigure(
            &sid,
            &format!("{sid}callback_secret_file = \"secrets/path\"\n"),
        )
        .await;
    let mine = vault.record();
    let of_another = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    let at = |secret: &str| format!("/twilio/{secret}/recordings");
    // Each of them is signed correctly, for the requested URL.
    let mut answers = Vec::new();
    for path in [
        "/twilio/recordings".to_owned(),
        at("a-secret-of-the-path-0124"),
        at("a-secret-of-the-path-01"),
        at(&format!("{SECRET}4")),
        at("x"),
    ] {
        answers.push(vault.tell_at(&path, &mine).await);
    }
    // An account without a secret accepts none, not even that of another.
    answers.push(vault.tell_at(&at(SECRET), &of_another).await);
    // An unsigned request gets the same answer.
    answers.push(
        vault
            .process
            .api
            .form(&at(SECRET), "AccountSid=x", &[])
            .await,
    );
    for answer in &answers {
        answer.problem(403, "bad-signature");
        assert_eq!(answer.body, answers[0].body, "every refusal reads the same");
        assert!(!answer.text().contains("secret-of-the-path"));
    }
    assert!(!vault.has_row(mine.id).await && !vault.has_row(of_another.id).await);
    assert_eq!(vault.tell_at(&at(SECRET), &mine).await.status, 204);
    assert_eq!(
        vault
            .tell_at("/twilio/recordings", &of_another)
            .await
            .status,
        204
    );
    assert!(vault.has_row(mine.id).await && vault.has_row(of_another.id).await);
    // GET, where callbacks are configured so.
    let another = vault.record();
    let params = vault.stand_in.callback_params(&another.sid, "completed");
    for (path, status) in [("/twilio/recordings".to_owned(), 403), (at(SECRET), 204)] {
        let signed =
            vault
                .stand_in
                .get_callback(&vault.account, &vault.process.public(&path), &params);
        let path = vault.process.path_of(&signed.url);
        let answer = vault
            .process
            .api
            .with(
                reqwest::Method::GET,
                &path,
                &[("x-twilio-signature", &signed.signature)],
            )
            .await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(
        vault
            .process
            .api
            .get(&format!("/twilio/{SECRET}/elsewhere"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn accounts_come_and_go_and_a_token_is_replaced_while_the_service_runs() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.announced().await;
    // Twilio promotes another token. While both are configured, both are accepted, and the first
    // one is used for requests.
    let old = vault.auth_token.clone();
    let new = digits();
    fs::write(vault.folder().join("secrets/next"), &new).unwrap();
    vault
        .reconfigure("[\"secrets/0\"]", "[\"secrets/next\", \"secrets/0\"]")
        .await;
    assert_eq!(
        vault.tell_at("/twilio/recordings", &recorded).await.status,
        204,
        "signed with the old one"
    );
    vault.stand_in.promote_token(&vault.account, new);
    assert_eq!(
        vault.tell_at("/twilio/recordings", &recorded).await.status,
        204,
        "signed with the new one"
    );
    vault.works_off().await;
    vault.plays(&recorded).await;
    // The old one is no longer accepted after its removal.
    vault
        .reconfigure("[\"secrets/next\", \"secrets/0\"]", "[\"secrets/next\"]")
        .await;
    vault.stand_in.promote_token(&vault.account, old);
    vault
        .tell_at("/twilio/recordings", &recorded)
        .await
        .problem(403, "bad-signature");
    // An account is removed; its signatures are refused from then on. Another one is added.
    let of_another = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    let entry = format!(
        "[[twilio.accounts]]\nsid = \"{}\"\nauth_token_files = [\"secrets/other\"]\n",
        vault.other_account
    );
    vault.reconfigure(&entry, "").await;
    vault
        .tell_at("/twilio/recordings", &of_another)
        .await
        .problem(403, "bad-signature");
    vault.reconfigure("[work]", &format!("{entry}[work]")).await;
    assert_eq!(
        vault
            .tell_at("/twilio/recordings", &of_another)
            .await
            .status,
        204
    );
    let reloads: Vec<_> = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry["event"] == "accounts.reloaded")
        .collect();
    let details: Vec<_> = reloads
        .iter()
        .map(|entry| entry["details"].clone())
        .collect();
    let none = json!([]);
    let other = json!([vault.other_account]);
    assert_eq!(
        details[2..],
        [
            json!({ "added": none, "removed": other, "accounts": 1 }),
            json!({ "added": other, "removed": none, "accounts": 2 })
        ]
    );
}
