//! Tests without a server; `demo::stand_in` tests the whole exchange.

use std::path::Path;

use futures_util::TryStreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    model::sid::AccountSid,
    secret::SecretText,
    twilio::{
        account::{AccountSettings, TwilioSettings},
        fetch_error::TransientFailure,
    },
};

#[test]
fn sound_is_audio_or_unnamed_octets() {
    for kind in [
        "audio/x-wav",
        "audio/wav",
        "audio/wave",
        "audio/vnd.wave",
        "application/octet-stream",
        "binary/octet-stream",
    ] {
        assert!(is_sound(kind), "{kind}");
    }
    for kind in [
        "",
        "audio",
        "application/xml",
        "text/xml",
        "application/json",
        "text/html",
        "text/plain",
        "video/mp4",
    ] {
        assert!(!is_sound(kind), "{kind}");
    }
}

/// A body that ends with its connection has no length that HTTP could check; only the RIFF header
/// shows that it is truncated.
#[tokio::test]
async fn a_cut_that_http_does_not_notice_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.unwrap());
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nConnection: close\r\n\r\n";
        let wav = [b"RIFF".as_slice(), &92_u32.to_le_bytes(), b"WAVE", &[0; 60]].concat();
        connection
            .write_all(&[head.as_slice(), &wav].concat())
            .await
            .unwrap();
    };
    let sid: AccountSid = format!("AC{}", "0".repeat(32)).parse().unwrap();
    let account = AccountSettings::new(sid.clone(), vec![SecretText::new("t".into())]);
    let accounts = TwilioSettings {
        api_base: base,
        accounts: vec![account],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap();
    let fetch = async {
        let client = TwilioClient::new(&accounts).unwrap();
        let recording = format!("RE{}", "0".repeat(32)).parse().unwrap();
        let media = client
            .media(accounts.get(&sid).unwrap(), &recording, Some(2))
            .await
            .unwrap();
        assert_eq!(media.content_length, None);
        media.body.try_collect::<Vec<_>>().await
    };
    let ((), fetched) = tokio::join!(serve, fetch);
    assert_eq!(
        fetched.unwrap_err(),
        TransientFailure::Length {
            received: 72,
            expected: 100
        }
        .into()
    );
}
