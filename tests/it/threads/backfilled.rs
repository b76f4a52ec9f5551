//! The messages of an existing account, day by day.

use std::time::Duration;

use recvault::{
    demo::stand_in::{Call, MessageFacts, StandInAccount},
    flow::{AccountBackfilled, Backfilling},
    model::{media::MediaKind, sid::AccountSid, time::Timestamp},
};

use super::{ANNA, BEN, LINE, id_of, picture, vault_on};
use crate::{
    transcribing::work,
    world::{Database, TestVault, digits},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl TestVault {
    fn ago(&self, days: u32) -> Timestamp {
        self.clock.now().before(DAY * days)
    }

    /// Adds a subaccount of the main account, at Twilio and to the settings.
    pub(crate) async fn opens_subaccount(&self) -> AccountSid {
        let (sub, token): (AccountSid, String) =
            (format!("AC{}", digits()).parse().unwrap(), digits());
        let below = StandInAccount::below(&self.account, sub.clone(), token.clone());
        self.stand_in.add_account(below);
        std::fs::write(self.folder().join("secrets/sub"), &token).unwrap();
        let entry = format!(
            "[[twilio.accounts]]\nsid = \"{sub}\"\nparent = \"{}\"\nauth_token_files = [\"secrets/sub\"]\n[work]",
            self.account
        );
        self.reconfigure("[work]", &entry).await;
        sub
    }

    /// Lists the main account and its subaccount; returns the results for messages.
    async fn lists_messages(&self, since: Timestamp) -> Vec<AccountBackfilled> {
        let backfills = &self.process.flow.backfills;
        let wanted = Backfilling {
            account: None,
            since,
            until: None,
            dry_run: false,
            restart: false,
            hold_back: None,
        };
        let plan = backfills.plan(&wanted).await.unwrap();
        let mut all = backfills.run(&plan, &|_| ()).await.unwrap();
        assert!(all.iter().all(|one| one.fault.is_none()), "{all:?}");
        all.retain(|one| one.kind == MediaKind::Message);
        all
    }
}

async fn what_twilio_still_shows_of_an_account_and_its_subaccount_is_sealed(database: Database) {
    let vault = vault_on(database).await;
    let below = vault.opens_subaccount().await;
    let sent = |days: u32, facts: MessageFacts| MessageFacts {
        sent: Some(vault.ago(days)),
        ..facts
    };
    let add = |facts| vault.stand_in.add_message(&vault.account, facts);
    add(sent(399, MessageFacts::inbound(ANNA, LINE, "long ago")));
    add(sent(40, MessageFacts::outbound(LINE, ANNA, "an answer")));
    add(MessageFacts {
        media: vec![picture(b"\xff\xd8old")],
        ..sent(39, MessageFacts::inbound(BEN, LINE, "a picture"))
    });
    let theirs = sent(3, MessageFacts::inbound(BEN, LINE, "theirs"));
    vault.stand_in.add_message(&below, theirs);
    // Its webhook may still come.
    add(MessageFacts::inbound(BEN, LINE, "now"));

    let since = vault.ago(3 * 365);
    let asked = vault.stand_in.requests(Call::MessageList);
    let done = vault.lists_messages(since).await;
    let counts = |done: &[AccountBackfilled]| {
        let mut counts: Vec<_> = done.iter().map(|one| (one.listed, one.announced)).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(counts(&done), [(0, 0), (1, 1), (3, 3)], "{done:?}");
    let asked = vault.stand_in.requests(Call::MessageList) - asked;
    assert!(
        asked <= 3 * 402,
        "no day that Twilio does not show: {asked}"
    );
    work(&vault).await;
    let mut texts = Vec::new();
    for message in vault.messages().await {
        assert_eq!(message["state"], "sealed", "{message}");
        texts.push(vault.reads(id_of(&message)).await);
    }
    texts.sort();
    assert_eq!(texts, ["a picture", "an answer", "long ago", "theirs"]);
    assert_eq!(vault.count("file.sealed").await, 1);

    // Later the same command goes on, and finds the last hour of then.
    vault.clock.advance(DAY);
    let asked = vault.stand_in.requests(Call::MessageList);
    let done = vault.lists_messages(since).await;
    assert_eq!(counts(&done), [(0, 0), (0, 0), (1, 1)], "{done:?}");
    assert!(vault.stand_in.requests(Call::MessageList) - asked <= 3 * 2);
}

on_both_databases!(what_twilio_still_shows_of_an_account_and_its_subaccount_is_sealed);
