//! Access to accounts.

use super::{asking::*, *};

const KEY: &str = "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A parent, its subaccount and a stranger; caller, account, and the answer.
#[tokio::test]
async fn a_parent_opens_its_subaccounts_and_nobody_else_does() {
    let asking = Asking::begin().await;
    let [child, stranger]: [AccountSid; 2] =
        ['1', '2'].map(|digit| sid("AC", digit).parse().unwrap());
    let api_key = Some((KEY.to_owned(), KEY_SECRET.to_owned()));
    asking.twilio.add_account(StandInAccount {
        api_key,
        ..StandInAccount::below(&asking.account, child.clone(), "child")
    });
    asking
        .twilio
        .add_account(StandInAccount::new(stranger.clone(), "stranger"));
    let status = async |user: &str, password: &str, account: &AccountSid| {
        let url = asking.url(&format!("/2010-04-01/Accounts/{account}/Recordings.json"));
        asking
            .http
            .get(url)
            .basic_auth(user, Some(password))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let parent = asking.account.clone();
    for (user, password, account, expected) in [
        (parent.as_str(), TOKEN, &parent, 200),
        (parent.as_str(), TOKEN, &child, 200),
        (parent.as_str(), TOKEN, &stranger, 401),
        (child.as_str(), "child", &child, 200),
        (KEY, KEY_SECRET, &child, 200),
        (KEY, KEY_SECRET, &parent, 401),
        (KEY, "other", &child, 401),
        (child.as_str(), "child", &parent, 401),
        (parent.as_str(), "child", &child, 401),
    ] {
        assert_eq!(
            status(user, password, account).await,
            expected,
            "{user}:{password} at {account}"
        );
    }
    assert_eq!(asking.twilio.unauthorised_requests(), 5);

    let listed = asking.get("/2010-04-01/Accounts.json").await;
    assert_eq!(
        super::asking::sids(&listed, "accounts"),
        [parent.to_string(), child.to_string()]
    );
    let own = asking
        .get(&format!("/2010-04-01/Accounts/{child}.json"))
        .await;
    assert_eq!(
        (&own["owner_account_sid"], &own["status"]),
        (&parent.as_str().into(), &"active".into())
    );
}

#[tokio::test]
async fn a_standard_key_does_not_open_the_accounts_resource() {
    let asking = Asking::begin().await;
    let account: AccountSid = sid("AC", '1').parse().unwrap();
    let api_key = Some((KEY.to_owned(), KEY_SECRET.to_owned()));
    asking.twilio.add_account(StandInAccount {
        api_key,
        ..StandInAccount::new(account.clone(), "own")
    });
    let url = asking.url(&format!("/2010-04-01/Accounts/{account}.json"));
    let status = async || {
        asking
            .http
            .get(&url)
            .basic_auth(KEY, Some(KEY_SECRET))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status().await, 200);
    asking
        .twilio
        .behave(|behaviour| behaviour.key_opens_accounts = false);
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn a_promoted_token_takes_the_place_of_the_old_one() {
    let asking = Asking::begin().await;
    assert_eq!(asking.status("GET", "Recordings.json").await, 200);
    asking.twilio.promote_token(&asking.account, "next");
    let (status, error) = asking.ask("GET", "Recordings.json", &[]).await;
    assert_eq!(
        (status, &error["code"], &error["status"]),
        (401, &20003.into(), &401.into())
    );
    assert_eq!(
        error["more_info"],
        "https://www.twilio.com/docs/errors/20003"
    );
}

#[tokio::test]
async fn media_is_open_to_all_only_where_it_is_said() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    let url = asking.url(&format!("Recordings/{recording}"));
    let status = async |url: &str| asking.http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(&url).await, 401);
    asking
        .twilio
        .behave(|behaviour| behaviour.media_is_open = true);
    assert_eq!(status(&url).await, 200);
    assert_eq!(status(&format!("{url}.json")).await, 401);
}

#[tokio::test]
async fn a_suspended_account_shows_only_that_it_is_suspended() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    asking
        .twilio
        .set_account_status(&asking.account, "suspended");
    let (status, error) = asking
        .ask("GET", &format!("Recordings/{recording}.json"), &[])
        .await;
    assert_eq!((status, &error["code"]), (403, &20005.into()));
    assert_eq!(asking.status("GET", "/v2/Transcripts").await, 403);
    assert_eq!(
        asking
            .get(&format!("/2010-04-01/Accounts/{}.json", asking.account))
            .await["status"],
        "suspended"
    );
}
