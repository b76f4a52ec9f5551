//! Every answer to a deletion, and to the redaction of a message.

use serde_json::json;

use super::*;
use crate::{model::sid::MessageSid, twilio::rest::Deletion};

fn message() -> MessageSid {
    format!("SM{}", "3".repeat(32)).parse().unwrap()
}

#[tokio::test]
async fn each_answer_to_a_deletion_says_what_became_of_it() {
    let other = Other::start().await;
    let refused = |status, code| Ok(Deletion::Refused { status, code });
    for (status, body, expected) in [
        (204, "", Ok(Deletion::Deleted)),
        (200, "{}", refused(200, None)),
        (202, "", refused(202, None)),
        (302, "", refused(302, None)),
        (307, r#"{"code":20404}"#, refused(307, Some(20404))),
        (404, r#"{"code":20404,"status":404}"#, Ok(Deletion::Gone)),
        (404, "", refused(404, None)),
        (404, "<html>not found</html>", refused(404, None)),
        (404, r#"{"code":20008}"#, refused(404, Some(20008))),
        (409, r#"{"code":20009,"status":409}"#, Ok(Deletion::NotYet)),
        (409, r#"{"code":20010}"#, refused(409, Some(20010))),
        (401, r#"{"code":20003}"#, refused(401, Some(20003))),
        (
            429,
            r#"{"code":20429}"#,
            Err(RestError::Throttled { retry_after: None }),
        ),
        (
            503,
            "",
            Err(RestError::Transient {
                cause: TransientFailure::Status(503),
            }),
        ),
    ] {
        other.tells(status, body);
        let told = other
            .client
            .delete_message(other.account(), &message())
            .await;
        assert_eq!(told, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_message_is_redacted_where_the_answer_has_no_text() {
    let other = Other::start().await;
    let still = Err(RestError::Shape("the message still has its text"));
    let answer = |sid: &str, body: Value| json!({ "sid": sid, "body": body }).to_string();
    let (own, strange) = (message().to_string(), format!("SM{}", "9".repeat(32)));
    for (status, body, expected) in [
        (200, answer(&own, "".into()), Ok(Deletion::Deleted)),
        (200, answer(&own, "hello".into()), still.clone()),
        (200, answer(&own, Value::Null), still.clone()),
        (200, answer(&strange, "".into()), still.clone()),
        (409, r#"{"code":20009}"#.to_owned(), Ok(Deletion::NotYet)),
        (404, r#"{"code":20404}"#.to_owned(), Ok(Deletion::Gone)),
        (
            400,
            r#"{"code":30400}"#.to_owned(),
            Ok(Deletion::Refused {
                status: 400,
                code: Some(30400),
            }),
        ),
    ] {
        other.tells(status, body.clone());
        let told = other
            .client
            .redact_message(other.account(), &message())
            .await;
        assert_eq!(told, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_message_or_file_of_another_is_refused() {
    let other = Other::start().await;
    let strange = json!({ "sid": format!("SM{}", "9".repeat(32)), "body": "hi" });
    other.tells(200, strange.to_string());
    let told = other.client.message(other.account(), &message()).await;
    assert_eq!(
        told,
        Err(RestError::Shape("the answer is about another message"))
    );
    let media = json!({ "sid": format!("ME{}", "1".repeat(32)), "parent_sid": format!("SM{}", "9".repeat(32)) });
    other.tells(200, json!({ "media_list": [media] }).to_string());
    let told = other
        .client
        .message_media_list(other.account(), &message())
        .await;
    assert_eq!(told, Err(RestError::Shape("a file is of another message")));
}
