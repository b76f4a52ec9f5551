//! Answers that the specification permits but are awkward, and lists that no specification permits.

use recvault::{
    demo::stand_in::Endless,
    flow::{AccountReconciled, Reconciling},
    model::sid::AccountSid,
};

use crate::world::Recipe;

#[tokio::test]
async fn an_account_whose_list_never_ends_stops_no_other() {
    for (endless, announced, why) in [
        (Endless::Circle, 1, "the list leads back to an earlier page"),
        (Endless::Empty, 0, "the list does not end"),
    ] {
        let vault = Recipe::default().by_hand().await;
        let of_one = vault.record();
        let of_other = vault.record_for(&vault.other_account, vault.record().wav);
        vault
            .stand_in
            .behave(|behaviour| behaviour.endless = Some((vault.account.clone(), endless)));
        let all = vault
            .process
            .flow
            .reconciliation
            .reconcile(&Reconciling::default())
            .await
            .unwrap();
        let of = |sid: &AccountSid| -> &AccountReconciled {
            all.iter().find(|done| done.account == *sid).unwrap()
        };
        let one = of(&vault.account);
        let other = of(&vault.other_account);
        assert!(
            one.fault
                .as_deref()
                .is_some_and(|fault| fault.contains(why)),
            "{one:?}"
        );
        assert_eq!((other.found.announced, &other.fault), (1, &None));
        assert!(vault.has_row(of_other.id).await);
        assert_eq!(
            vault.has_row(of_one.id).await,
            announced > 0,
            "what was listed until then is known: {endless:?}"
        );
    }
}

#[tokio::test]
async fn whatever_twilio_leaves_out_every_recording_is_found() {
    let vault = Recipe {
        requests_per_s: 1000,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(vault.record());
    }
    vault
        .stand_in
        .behave(|behaviour| behaviour.null_per_cent = 25);
    for _ in 0..60 {
        let done = vault.reconcile().await;
        assert_eq!(done.fault, None);
        vault.later().await;
        let mut sealed = 0;
        for recorded in &all {
            sealed += usize::from(
                vault.has_row(recorded.id).await && vault.state(recorded.id).await == "sealed",
            );
        }
        if sealed == all.len() {
            return;
        }
    }
    panic!("not all of them are sealed");
}
