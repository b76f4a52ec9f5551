//! Messages that are entered at the moment at which something else happens.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use recvault::{
    db::{
        self, parties, recordings,
        revocations::{self, Revocation},
    },
    model::{
        actor::Initiator, id::RevocationId, recording::Recording, revocation::Target,
        subject::Address,
    },
};
use serde_json::{Value, json};

use super::{ANNA, TEXT, id_of, keeping, vault_on};
use crate::{
    viewing::policy,
    world::{Database, Recipe, TestVault},
};

const CARD: &str = "my card is 4111 1111 1111 1111";

/// Returns whether a unit waits for an advisory lock; always true on SQLite, which has one writer at
/// a time.
pub(crate) async fn somebody_waits(vault: &TestVault) -> bool {
    const SQL: &str = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let ground = vault.ground();
    !ground.is_postgres() || ground.integer(SQL).await > Some(0)
}

/// What the unit of another process does.
enum First {
    Revokes(Box<Revocation>),
    Enters(Box<Recording>),
}

impl First {
    async fn run(&self, unit: &mut db::Unit) -> Result<(), db::Error> {
        match self {
            Self::Revokes(revocation) => {
                let due_at = revocation.revoked_at;
                revocations::insert(unit, revocation, due_at)
                    .await
                    .map(drop)
            }
            Self::Enters(recording) => {
                let threads: Vec<_> = recording.thread.iter().cloned().collect();
                parties::share(unit, [recording.account()], &threads).await
            }
        }
    }
}

/// Does this while another process is in a unit that has run `first` and has not committed. Ends
/// that unit when the other waits, or is done. Returns whether it waited.
async fn meanwhile(vault: &TestVault, first: First, second: impl AsyncFnOnce()) -> bool {
    let other = vault.another_process().await;
    let has_begun = tokio::sync::Notify::new();
    let is_done = AtomicBool::new(false);
    let has_waited = AtomicBool::new(false);
    let holding = other.db.unit("test.holding", async |mut unit| {
        unit.without_entry("a test");
        first.run(&mut unit).await?;
        has_begun.notify_one();
        while !is_done.load(Ordering::SeqCst) && !somebody_waits(vault).await {
            tokio::task::yield_now().await;
        }
        has_waited.store(!is_done.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok::<(), db::Error>(())
    });
    let doing = async {
        has_begun.notified().await;
        second().await;
        is_done.store(true, Ordering::SeqCst);
    };
    let (held, ()) = tokio::join!(holding, doing);
    held.unwrap();
    has_waited.into_inner()
}

async fn a_revocation_that_commits_at_the_moment_of_a_message_takes_it(database: Database) {
    let vault = vault_on(database).await;
    let known = vault.kept(ANNA, "before").await;
    let person: Address = ANNA.parse().unwrap();
    let revocation = Revocation {
        id: RevocationId::random(&mut rand::rng()),
        target: Target::Subject(vault.process.flow.vault.subject(&person)),
        purposes: [].into(),
        accounts: [].into(),
        reason: "subject-request".parse().unwrap(),
        actor: Initiator::Operator.actor(),
        // By the clock of the other process.
        revoked_at: vault.clock.now().after(std::time::Duration::from_secs(60)),
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
    };
    let has_waited = meanwhile(&vault, First::Revokes(Box::new(revocation)), async || {
        assert_eq!(vault.texts(ANNA, TEXT).await.status, 200)
    })
    .await;
    assert!(has_waited);
    let messages = vault.messages().await;
    let late = messages.iter().map(id_of).find(|id| *id != known).unwrap();
    // Nothing of the revocation has run yet.
    assert_eq!(vault.state(known).await, "sealed");
    assert_eq!(vault.state(late).await, "shredded");
}

async fn a_statement_waits_for_messages_that_are_being_entered(database: Database) {
    let vault = vault_on(database).await;
    let known = vault.kept(ANNA, "before").await;
    let found = recordings::find(&mut vault.process.db.read().await.unwrap(), known).await;
    let found = found.unwrap().unwrap();
    let has_waited = meanwhile(&vault, First::Enters(Box::new(found)), async || {
        let told = json!({ "subject": ANNA, "answer": "declined", "method": "speech" });
        let told = vault
            .asks("privacy-officer")
            .post("/v1/consents", told)
            .await;
        assert_eq!(told.status, 201, "{told:?}");
    })
    .await;
    assert!(has_waited);
}

async fn a_message_that_cannot_be_entered_costs_no_other(database: Database) {
    let vault = vault_on(database).await;
    vault.kept(ANNA, TEXT).await;
    vault.kept(ANNA, CARD).await;
    // The leaf of the stricter tier does not open any more.
    let broken =
        "UPDATE pages SET sealed = (SELECT sealed FROM pages WHERE tier = 'standard' AND level = 0)
        WHERE tier = 'restricted' AND level = 0";
    vault.ground().run(broken).await;
    let texts: Vec<String> = (0..24)
        .map(|number| match number {
            7 => CARD.to_owned(),
            number => format!("{TEXT}, {number}"),
        })
        .collect();
    let answers = join_all(texts.iter().map(|text| vault.texts(ANNA, text))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let expected: Vec<u16> = texts
        .iter()
        .map(|text| if text == CARD { 503 } else { 200 })
        .collect();
    assert_eq!(statuses, expected);
    assert_eq!(vault.messages().await.len(), 25);
}

async fn a_message_that_no_purpose_opens_is_never_sealed(database: Database) {
    let policy = keeping(&policy()).replace(
        "tiers = [\"standard\", \"sensitive\", \"restricted\"]",
        "tiers = [\"standard\", \"sensitive\"]",
    );
    let vault = Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let texts = [TEXT, CARD, "and another"];
    let answers = join_all(texts.iter().map(|text| vault.texts(ANNA, text))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let mut states: Vec<String> = vault.messages().await.iter().map(state_of).collect();
    states.sort();
    assert_eq!(states, ["sealed", "sealed", "shredded"]);
    assert_eq!(vault.count("recording.sealed").await, 2);
}

fn state_of(message: &Value) -> String {
    message["state"].as_str().unwrap().to_owned()
}

on_both_databases!(
    a_message_that_no_purpose_opens_is_never_sealed,
    a_revocation_that_commits_at_the_moment_of_a_message_takes_it,
    a_statement_waits_for_messages_that_are_being_entered,
    a_message_that_cannot_be_entered_costs_no_other,
);
