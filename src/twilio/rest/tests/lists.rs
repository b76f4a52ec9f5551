//! Lists: read to their end, and those that lead elsewhere or never end.

use serde_json::json;

use super::{super::*, Other, recording, resource, sid};
use crate::model::time::Timestamp;

#[tokio::test]
async fn a_list_is_walked_to_its_end_by_the_pages_that_the_other_side_names() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", sid());
    let next = format!("{path}?PageSize=1&Page=1&PageToken=PARE1");
    other.tells(
        200,
        json!({ "recordings": [resource()], "next_page_uri": next }).to_string(),
    );
    other.tells(
        200,
        json!({ "recordings": [], "next_page_uri": null }).to_string(),
    );
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let listing = Listing {
        since,
        until: Some(since),
        page_size: 1,
        with_deleted: false,
    };
    let mut pages = other.client.recordings(other.account(), &listing);
    let first = pages
        .next(&other.client, other.account())
        .await
        .unwrap()
        .unwrap();
    let second = pages
        .next(&other.client, other.account())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.items.len(), second.items.len()), (1, 0));
    assert!(
        pages
            .next(&other.client, other.account())
            .await
            .unwrap()
            .is_none()
    );
    let range = "DateCreated%3E=2026-01-01T00%3A00%3A00Z&DateCreated%3C=2026-01-01T00%3A00%3A00Z";
    assert_eq!(other.asked(), [format!("{path}?PageSize=1&{range}"), next]);
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_nowhere_is_left() {
    let other = Other::start().await;
    let path = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}/Transcriptions.json",
        sid(),
        recording()
    );
    let own = format!("{path}?PageSize=100");
    for (next, why) in [
        (
            "http://evil.example/x",
            "the address of the next page leads to another place",
        ),
        (
            "/2010-04-01/Accounts/ACother/Transcriptions.json",
            "the address of the next page leads to another place",
        ),
        ("http://[", "the next page has no readable address"),
        (own.as_str(), "the list leads back to an earlier page"),
    ] {
        other.tells(
            200,
            json!({ "transcriptions": [], "next_page_uri": next }).to_string(),
        );
        assert_eq!(
            other
                .client
                .transcriptions_of(other.account(), &recording())
                .await
                .unwrap_err(),
            RestError::Shape(why),
            "{next}"
        );
    }
    other.tells(200, "{}");
    let none = other
        .client
        .transcriptions_of(other.account(), &recording())
        .await
        .unwrap_err();
    assert_eq!(
        none,
        RestError::Shape("the list lacks its documented envelope")
    );
    for page in 0..50 {
        other.tells(
            200,
            json!({ "transcriptions": [], "next_page_uri": format!("{path}?Page={page}") })
                .to_string(),
        );
    }
    let endless = other
        .client
        .transcriptions_of(other.account(), &recording())
        .await
        .unwrap_err();
    assert_eq!(endless, RestError::Shape("the list does not end"));
}

#[tokio::test]
async fn a_list_of_the_other_envelope_is_walked_on_our_root_whatever_it_calls_itself() {
    let other = Other::start().await;
    let next = "https://intelligence.twilio.com/v2/Transcripts?PageSize=100&Page=1&PageToken=x";
    let transcript = json!({ "sid": format!("GT{}", "4".repeat(32)), "status": "completed" });
    other.tells(
        200,
        json!({ "transcripts": [transcript], "meta": { "next_page_url": next } }).to_string(),
    );
    other.tells(
        200,
        json!({ "transcripts": [transcript], "meta": { "next_page_url": null } }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcripts_of(other.account(), &recording())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    assert_eq!(
        other.asked().last().unwrap(),
        "/v2/Transcripts?PageSize=100&Page=1&PageToken=x"
    );
}

#[tokio::test]
async fn only_nothing_is_the_end_of_a_list() {
    let other = Other::start().await;
    let transcriptions = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}/Transcriptions.json",
        sid(),
        recording()
    );
    let base = other.accounts.iter().next().unwrap().account_url("").url;
    // Absolute, on the same root: some servers send that.
    let absolute = base.join(&format!("{transcriptions}?Page=1")).unwrap();
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": absolute.as_str() }).to_string(),
    );
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": "" }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcriptions_of(other.account(), &recording())
            .await,
        Ok(List::default())
    );
    assert_eq!(
        other.asked().last().unwrap(),
        &format!("{transcriptions}?Page=1")
    );
    for end in [
        json!({}),
        json!({ "next_page_url": null }),
        json!({ "next_page_url": "" }),
    ] {
        other.tells(200, json!({ "transcripts": [], "meta": end }).to_string());
        assert_eq!(
            other
                .client
                .transcripts_of(other.account(), &recording())
                .await,
            Ok(List::default()),
            "{end}"
        );
    }
    let unreadable = "the next page has no readable address";
    for (meta, why) in [
        (
            json!({ "next_page_url": "/v2/Transcripts?PageSize=100&Page=1&PageToken=x" }),
            unreadable,
        ),
        (json!({ "next_page_url": 7 }), unreadable),
        (
            json!({ "next_page_url": "https://intelligence.twilio.com/v2/Services?Page=1" }),
            "the address of the next page leads to another place",
        ),
        (json!(null), "the list lacks its documented envelope"),
    ] {
        other.tells(200, json!({ "transcripts": [], "meta": meta }).to_string());
        let told = other
            .client
            .transcripts_of(other.account(), &recording())
            .await;
        assert_eq!(told, Err(RestError::Shape(why)), "{meta}");
    }
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": 7 }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcriptions_of(other.account(), &recording())
            .await,
        Err(RestError::Shape(unreadable))
    );
}

#[tokio::test]
async fn a_list_that_goes_round_or_on_for_ever_ends_with_an_error_behind_what_was_told() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", sid());
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let listing = Listing {
        since,
        until: None,
        page_size: 1,
        with_deleted: false,
    };
    // There and back.
    for to in ["1", "2", "1"] {
        other.tells(
            200,
            json!({ "recordings": [resource()], "next_page_uri": format!("{path}?Page={to}") })
                .to_string(),
        );
    }
    let mut pages = other.client.recordings(other.account(), &listing);
    for _ in 0..3 {
        assert_eq!(
            pages
                .next(&other.client, other.account())
                .await
                .unwrap()
                .unwrap()
                .items
                .len(),
            1
        );
    }
    let circle = RestError::Shape("the list leads back to an earlier page");
    assert_eq!(
        pages
            .next(&other.client, other.account())
            .await
            .unwrap_err(),
        circle
    );
    // Always another page, with no items.
    let before = other.asked().len();
    for page in 0..60 {
        other.tells(
            200,
            json!({ "recordings": [], "next_page_uri": format!("{path}?Page={page}") }).to_string(),
        );
    }
    let mut pages = other.client.recordings(other.account(), &listing);
    let endless = loop {
        match pages.next(&other.client, other.account()).await {
            Ok(page) => assert!(page.unwrap().items.is_empty()),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (endless, other.asked().len() - before),
        (RestError::Shape("the list does not end"), 50)
    );
}
