//! The private key is in a token.

use std::{fmt::Write as _, fs};

use super::{Keys, PAIRS, conversation, is_set_aside};
use crate::{needs, world::digits};

/// Imports the private key of one of the [`PAIRS`] into a separate token, as an operator does.
fn in_a_token(pair: usize) -> Keys {
    let [module, configuration] = ["RECVAULT_TEST_SOFTHSM", "SOFTHSM2_CONF"].map(needs::required);
    let mut keys = Keys::none();
    let label = digits();
    let [pin, pem] = ["pin", "key.pem"].map(|name| keys.folder.path().join(name));
    fs::write(&pin, "4711").unwrap();
    fs::write(&pem, &PAIRS[pair].pem).unwrap();
    // The library does not start while another process is creating a token.
    let alone = fs::File::create(format!("{configuration}.lock")).unwrap();
    alone.lock().unwrap();
    let softhsm = |arguments: &[&str]| {
        let done = std::process::Command::new("softhsm2-util")
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    softhsm(&[
        "--init-token",
        "--free",
        "--label",
        &label,
        "--pin",
        "4711",
        "--so-pin",
        "officer",
    ]);
    let pem = pem.to_str().unwrap();
    softhsm(&[
        "--import", pem, "--token", &label, "--label", "twilio", "--id", "01", "--pin", "4711",
    ]);
    fs::remove_file(pem).unwrap();
    writeln!(
        keys.lines,
        "[[twilio.encryption_keys]]\npublic_key_sid = \"{}\"\n\
         pkcs11 = {{ module = \"{module}\", token = \"{label}\", key_label = \"twilio\", pin_file = \"{}\" }}",
        keys.sid,
        pin.display()
    )
    .unwrap();
    keys
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn the_private_key_is_in_a_token_and_what_it_opens_is_heard() {
    let keys = in_a_token(0);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
#[ignore = "needs SoftHSM: run `tests/run`"]
async fn the_private_key_in_the_token_is_another_one() {
    let keys = in_a_token(1);
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    is_set_aside(&vault, &recorded, "does not open its content key").await;
}

#[tokio::test]
async fn a_token_that_is_away_is_waited_for() {
    let mut keys = Keys::none();
    let pin = keys.folder.path().join("pin");
    fs::write(&pin, "1234").unwrap();
    keys.lines = format!(
        "[[twilio.encryption_keys]]
public_key_sid = \"{}\"\npkcs11 = {{ module = \"/no/such.so\", token = \"t\", key_label = \"k\", pin_file = \"{}\" }}\n",
        keys.sid,
        pin.display()
    );
    let vault = keys.recipe().by_hand().await;
    let recorded = conversation(&vault, &keys);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    assert_eq!(vault.dead().await, None);
    vault.holds_nothing_of(recorded.id).await;
    let due = vault.due_in_ms(recorded.id).await.unwrap();
    assert!((1_000..=2_000).contains(&due), "{due}");
}
