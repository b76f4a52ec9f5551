//! Signed requests of each kind, with the signatures that they must have.
//!
//! In a value, a short name such as `AC` stands for an id: its letters and one digit 32 times.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::{
    account::{AccountSettings, TwilioSettings},
    signature::{self, Delivery, Rejection, SignedRequest, Verified},
};
use crate::secret::SecretText;

/// A form, and its signature by the token `12345`.
pub(super) struct FormVector {
    pub(super) name: &'static str,
    /// The last part of the URL.
    path: &'static str,
    /// `@x` includes a set; a later value replaces an earlier one.
    fields: &'static str,
    signature: &'static str,
}

const IDS: &[(&str, &str, &str)] = &[
    ("AC", "AC", "0"),
    ("SM", "SM", "3"),
    ("MM", "MM", "4"),
    ("MG", "MG", "5"),
    ("CH", "CH", "6"),
    ("IM", "IM", "7"),
    ("MB", "MB", "8"),
    ("IS", "IS", "9"),
    ("DY", "DY", "a"),
    ("XE", "XE", "d"),
    ("RL", "RL", "e"),
    ("MEb", "ME", "b"),
    ("MEc", "ME", "c"),
    ("KS", "KS", "1"),
    ("KC", "KC", "2"),
    ("KI", "KI", "3"),
    ("KPa", "KP", "4"),
    ("KPb", "KP", "5"),
    ("CA1", "CA", "1"),
    ("CA2", "CA", "2"),
    ("SMf", "SM", "f"),
    ("RM", "RM", "1"),
    ("RT", "RT", "2"),
    ("PA", "PA", "3"),
    ("MT", "MT", "4"),
    ("CJ", "CJ", "5"),
    ("HK", "HK", "6"),
    ("EZ", "EZ", "1"),
];

const TEXTS: &[(&str, &str)] = &[
    ("N1", "+15005550001"),
    ("N6", "+15005550006"),
    ("D1", "2026-11-29T18:00:58.111Z"),
    ("D2", "2026-11-29T18:05:00.000Z"),
    ("D3", "2026-11-29T18:08:00.000Z"),
    (
        "U",
        "https://api.twilio.com/2010-04-01/Accounts/AC/Messages/MM/Media",
    ),
];

const SETS: &[(&str, &str)] = &[
    (
        "@m",
        "AccountSid=AC; MessageSid=SM; From=N1; To=N6; NumSegments=1; NumMedia=0",
    ),
    (
        "@s",
        "AccountSid=AC; MessageSid=SM; SmsSid=SM; From=N6; To=N1",
    ),
    (
        "@cm",
        "@c; MessageSid=IM; Attributes={}; Index=35; Author=dave; ParticipantSid=MB; Body=two",
    ),
    (
        "@c",
        "AccountSid=AC; ConversationSid=CH; Source=API; DateCreated=D1",
    ),
    (
        "@p",
        "interactionAccountSid=AC; interactionServiceSid=KS; interactionSessionSid=KC; \
         interactionSid=KI; inboundParticipantSid=KPa; outboundParticipantSid=KPb",
    ),
    (
        "@v",
        "AccountSid=AC; RoomSid=RM; RoomName=visit-1; RoomType=group; \
         Timestamp=2026-11-29T18:10:05.839174Z; ParticipantSid=PA; SourceSid=MT; RecordingSid=RT",
    ),
    ("@k", "AccountSid=AC; RoomSid=RM; HookSid=HK; Timestamp=D3"),
];

macro_rules! vectors {
    ($($name:literal $path:literal $fields:literal => $signature:literal)*) => {
        /// Every form.
        pub(super) const FORMS: &[FormVector] = &[$(FormVector {
            name: $name, path: $path, fields: $fields, signature: $signature,
        }),*];
    };
}

vectors! {
    "M1" "messages" "@m; Body=Hi, is 5 pm ok?; SmsStatus=received; ApiVersion=2010-04-01"
        => "yTeo3ujEdphzpZlOgtgZRsLhZo4="
    "M2" "messages" "@m; Body=; MessageSid=MM; NumMedia=2; MediaContentType0=image/jpeg; MediaUrl0=U/MEb; MediaContentType1=text/vcard; MediaUrl1=U/MEc"
        => "TbGa7AnYnY4vTiNj7pXWhyxhZ98="
    "M3" "messages" "@m; From=whatsapp:US.ABC123XYZ; To=whatsapp:N6; ExternalUserId=US.ABC123XYZ; ProfileName=Zoë; Body=ok 👍"
        => "m9dDKlvFP26ObkvoxE/GOoDkjyc="
    "M4" "messages" "@m; MessagingServiceSid=MG; Body=stop; OptOutType=STOP"
        => "rULQw4tnskQRdGLFFTzoXIODYvI="
    "M5" "status" "@s; MessageStatus=delivered; SmsStatus=delivered; RawDlrDoneDate=2611291841"
        => "YV2XJRBRI/ts4/nhtLexnLejJWc="
    "M6" "status" "@s; From=whatsapp:N6; To=whatsapp:N1; MessageStatus=read; SmsStatus=read; EventType=READ; ChannelPrefix=whatsapp; ChannelInstallSid=XE"
        => "nz9iRJU1HxIPCw44fDRTE3zForQ="
    "C1" "conversations" "@cm; EventType=onMessageAdded; Source=SDK; ClientIdentity=dave; RetryCount=0"
        => "7AGznJ6T/rMa5YLBgKu0VVeQy8g="
    "C2" "conversations" "@cm; EventType=onMessageAdded; Source=SMS; Author=N1; Body=; MessagingServiceSid=MG; Media=[{\"Sid\":\"MEb\",\"Category\":\"media\",\"Filename\":\"a b.jpg\",\"ContentType\":\"image/jpeg\",\"Size\":92724}]"
        => "saam4FZcebeJSjtOHpSPI5FAseQ="
    "C3" "conversations" "@cm; EventType=onMessageUpdated; Body=two (edited); DateUpdated=D2"
        => "3kGp4Nlv9BFVaX0B2YJkUN+a1+s="
    "C4" "conversations" "@cm; EventType=onMessageRemoved; DateUpdated=D2; DateRemoved=D3"
        => "NXgow0F5v9Jk4boSmVrW70NpnK0="
    "C5" "conversations" "@c; EventType=onParticipantAdded; ParticipantSid=MB; RoleSid=RL; MessagingBinding.Type=SMS; MessagingBinding.Address=N1; MessagingBinding.ProxyAddress=N6"
        => "Bjswr7J0kBjClTLMAy8noeAe73o="
    "C6" "conversations" "@c; EventType=onConversationRemoved; ChatServiceSid=IS; State=closed; DateUpdated=D2; DateRemoved=D3"
        => "/sRS+JbqREEUjy9tl6Pbio54tPE="
    "C7" "conversations" "@c; EventType=onDeliveryUpdated; ChatServiceSid=IS; MessageSid=IM; DeliveryReceiptSid=DY; ChannelMessageSid=SM; ParticipantSid=MB; Status=delivered; ErrorCode=0; DateUpdated=D2"
        => "y2d0+KXGSJXp6EmLPfA5YQWYd1s="
    "P1" "proxy" "@p; interactionType=Message; interactionData={\"body\":\"hi\"}; interactionNumMedia=0; inboundResourceType=message; inboundResourceSid=SM; inboundResourceStatus=received; outboundResourceSid=SMf; outboundResourceStatus=sent"
        => "v7WrWqsZHgPMHEtng9Bu4imhN38="
    "P2" "proxy" "@p; interactionType=Voice; interactionData={\"duration\":\"5\"}; inboundResourceType=call; inboundResourceSid=CA1; inboundResourceStatus=completed; outboundResourceSid=CA2"
        => "IVRT80K7rSCXStIcgWdG1I/MvC8="
    "V1" "video" "@v; StatusCallbackEvent=recording-completed; ParticipantIdentity=alice; TrackName=camera; MediaUri=/v1/Recordings/RT/Media; Container=mkv; Codec=vp8; Size=105956; Duration=3; OffsetFromTwilioVideoEpoch=155137307765"
        => "WDlLsW6uiE0HwtfRg22IjJI2XdA="
    "V2" "video" "@v; StatusCallbackEvent=recording-failed; FailedOperation=RecordingUpload"
        => "YUwIBKxNwxM3I62KBwcEljNawg8="
    "V3" "video" "@k; StatusCallbackEvent=composition-available; CompositionSid=CJ; MediaUri=/v1/Compositions/CJ/Media; Duration=61; Size=4096000"
        => "ZnUs2ghGQhvlLEvLAABFa1aCabA="
    "V4" "video" "@k; StatusCallbackEvent=composition-hook-failed; HookFriendlyName=all; ErrorMessage=no matching tracks"
        => "1nXcWszm9TwwlcZx7yZPtKKdiW4="
}

/// Returns the id of a short name.
pub(super) fn id(short: &str) -> String {
    let (_, prefix, digit) = IDS.iter().find(|(name, ..)| *name == short).unwrap();
    format!("{prefix}{}", digit.repeat(32))
}

/// Replaces every short name that stands alone.
pub(super) fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        let known = IDS.iter().any(|(name, ..)| *name == word);
        let long = TEXTS.iter().find(|(name, _)| *name == word);
        match long {
            Some((_, long)) if word == "U" => out.push_str(&expanded(long)),
            Some((_, long)) => out.push_str(long),
            None if known => out.push_str(&id(&word)),
            None => out.push_str(&word),
        }
        word.clear();
        if letter != '\0' {
            out.push(letter);
        }
    }
    out
}

fn add(fields: &str, params: &mut Vec<(String, String)>) {
    for field in fields.split("; ") {
        match field.split_once('=') {
            Some((name, value)) => {
                params.retain(|(held, _)| held != name);
                params.push((name.to_owned(), expanded(value)));
            }
            None => add(
                SETS.iter().find(|(set, _)| *set == field).unwrap().1,
                params,
            ),
        }
    }
}

impl FormVector {
    /// Returns the vector of this name.
    pub(super) fn named(name: &str) -> &'static Self {
        FORMS.iter().find(|vector| vector.name == name).unwrap()
    }

    pub(super) fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        add(self.fields, &mut params);
        params
    }

    /// Returns the request, verified with the signature of the vector.
    pub(super) fn verified(&self) -> Verified {
        let params = self.params();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&params)
            .finish();
        let delivery = Delivery::Body {
            content_type: Some("application/x-www-form-urlencoded"),
            bytes: body.as_bytes(),
        };
        verify(&format!("/twilio/{}", self.path), self.signature, delivery)
    }
}

/// Returns the verified request of a form with other values; empty ones are left out.
pub(super) fn changed(name: &str, changes: &[(&str, &str)]) -> Verified {
    let mut params = FormVector::named(name).params();
    params.retain(|(held, _)| changes.iter().all(|(changed, _)| changed != held));
    for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
        params.push(((*name).to_owned(), expanded(value)));
    }
    super::signed::post_form("/x", &params)
}

pub(super) fn verify(path: &str, signature: &str, delivery: Delivery<'_>) -> Verified {
    verified(path, signature, delivery).unwrap()
}

/// Verifies a request of the account `AC`.
pub(super) fn verified(
    path: &str,
    signature: &str,
    delivery: Delivery<'_>,
) -> Result<Verified, Rejection> {
    let account = AccountSettings::new(
        id("AC").parse().unwrap(),
        vec![SecretText::new("12345".into())],
    );
    let accounts = TwilioSettings {
        accounts: vec![account],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap();
    let request = SignedRequest {
        path_and_query: path,
        signature: Some(signature),
        settings: None,
        delivery,
    };
    signature::verify(
        &accounts,
        &"https://vault.example".parse().unwrap(),
        &request,
    )
}

/// Any JSON.
pub(super) fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-zA-Z_]{1,8}|sid|type", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn every_form_has_its_signature() {
    assert_eq!(FORMS.len(), 19);
    for vector in FORMS {
        let url = format!("https://vault.example/twilio/{}", vector.path);
        let made = signature::sign(&SecretText::new("12345".into()), &url, &vector.params());
        assert_eq!(made, vector.signature, "{}", vector.name);
        assert_eq!(
            vector.verified().account().as_str(),
            id("AC"),
            "{}",
            vector.name
        );
    }
}
