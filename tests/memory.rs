//! Secrets in memory: a vault is used in this very process, and afterwards its whole memory is
//! searched for data that must not be in it any more.
//!
//! A separate binary, because every other test in the same process would leave its own texts in
//! memory. The needles are kept masked, so that the test does not find itself. If the system does
//! not permit a process to read its own memory, the test prints a note and proves nothing.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::{
    convert::Infallible,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures_util::stream;
use recvault::{
    app::{self, App},
    config::Config,
    custody::RootName,
    db::{
        Term,
        accept::Announcement,
        epochs, keys, parties, recordings,
        work::{self, WorkKind},
    },
    flow::Flow,
    keyring::{self, RootKey, tree},
    model::{
        actor::Initiator,
        artefact::{Artefact, Leg},
        details::Participant,
        id::{HolderId, RecordingId},
        media::SourceRef,
        recording::{DiscoveredBy, Recording},
        subject::{Address, Conversation, PartyScope},
        time::Clock,
        transcript::{Said, Sentence, Transcript},
    },
    policy::{Permit, action},
    secret::{Key, SecretBuffer},
    vault::{DepositOptions, Keeping, UtteranceId},
};
use zeroize::Zeroizing;

const MASK: u8 = 0xa5;

/// Something that must not be found, masked.
struct Needle {
    what: &'static str,
    masked: Vec<u8>,
}

impl Needle {
    fn of(what: &'static str, bytes: &[u8]) -> Self {
        Self {
            what,
            masked: bytes.iter().map(|byte| byte ^ MASK).collect(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.masked.iter().map(|byte| byte ^ MASK).collect()).unwrap()
    }
}

/// Text that is in the program only in masked form: its bytes in hex, each XORed with [`MASK`].
fn masked(what: &'static str, hex: &str) -> Needle {
    Needle {
        what,
        masked: hex::decode(hex).unwrap(),
    }
}

/// Returns the needles that are in this process's memory.
fn found(needles: &[Needle]) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let longest = needles
        .iter()
        .map(|needle| needle.masked.len())
        .max()
        .unwrap();
    // Twice the length of a read, so that nothing is missed between two pieces.
    let mut buffer = vec![0u8; 1 << 20];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let range = fields.next().unwrap();
        let rights = fields.next().unwrap();
        let name = fields.nth(3).unwrap_or("");
        if !rights.starts_with("rw") || name.starts_with("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(from, 16).unwrap();
        let end = u64::from_str_radix(to, 16).unwrap();
        while at < end {
            let wanted = usize::try_from((end - at).min(buffer.len() as u64)).unwrap();
            let read = memory
                .seek(SeekFrom::Start(at))
                .and_then(|_| memory.read(&mut buffer[..wanted]))
                .unwrap_or(0);
            if read == 0 {
                break;
            }
            for needle in needles {
                let first = needle.masked[0] ^ MASK;
                for start in 0..read.saturating_sub(needle.masked.len() - 1) {
                    if buffer[start] == first
                        && !own.contains(&(at + start as u64))
                        && buffer[start..start + needle.masked.len()]
                            .iter()
                            .zip(&needle.masked)
                            .all(|(byte, masked)| byte ^ MASK == *masked)
                    {
                        found.push(format!(
                            "{} at {:x} ({name})",
                            needle.what,
                            at + start as u64
                        ));
                    }
                }
            }
            at += if at + read as u64 >= end {
                read as u64
            } else {
                (read - longest) as u64
            };
        }
    }
    buffer.fill(0);
    found
}

fn announcement(flow: &Flow, conversation: &Conversation) -> Announcement {
    let account = "AC00000000000000000000000000000001".parse().unwrap();
    let source_sid = "RE00000000000000000000000000000001";
    let source_ref = SourceRef::parse(account, source_sid).unwrap();
    let Conversation::Call(call) = conversation.clone() else {
        panic!("a call")
    };
    let rules = flow.rulebook.current();
    Announcement {
        id: source_ref.recording_id(flow.vault.id()),
        source_ref,
        call: Some(call),
        conference: None,
        thread: None,
        author: None,
        files: 0,
        source: None,
        source_status: "completed".into(),
        error_code: None,
        duration_s: None,
        channels: None,
        tier: "standard".parse().unwrap(),
        policy_version: rules.version().to_owned(),
        policy_digest: rules.digest().to_owned(),
        started_at: None,
        labels: Default::default(),
        heard_by: DiscoveredBy::Callback,
        encryption: None,
    }
}

/// Returns the record key, as derived from the root.
async fn record_key(app: &App, flow: &Flow, recording: &Recording) -> Key {
    let mut tx = app.db.read().await.unwrap();
    let row = epochs::current(&mut tx).await.unwrap().unwrap();
    let key = app
        .custody
        .open(
            RootName {
                vault: flow.vault.id(),
                epoch: row.epoch,
            },
            &row.root_sealed,
        )
        .await
        .unwrap();
    let root = RootKey {
        epoch: row.epoch,
        key,
    };
    let entry = keys::find_entry(&mut tx, recording.id, Leg::All)
        .await
        .unwrap()
        .unwrap();
    let path = keys::path(&mut tx, entry.place.page).await.unwrap();
    tree::walk(path, &root, flow.vault.id())
        .unwrap()
        .page
        .key(entry.place.slot)
        .unwrap()
}

#[test]
fn nothing_of_a_shredded_recording_is_left_in_memory_after_the_turn() {
    if File::open("/proc/self/mem").is_err() {
        eprintln!("this process may not read its own memory: nothing is proved");
        return;
    }
    let words = masked(
        "words",
        "f1cdc085d6c0c6d7c0d185d2cad7c185ccd685d6cdd7c0c1c1c0c1",
    );
    let number = masked("number", "8e919c96959796949790959494");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (key, artefact) = runtime.block_on(story(&words, &number));
    drop(runtime);

    let planted = Needle::of("what is planted", b"a needle that is there to be found");
    let there = planted.text();
    assert!(!found(&[planted]).is_empty(), "the search is blind");
    drop(there);

    let encoded = {
        let bytes = Zeroizing::new(
            key.masked
                .iter()
                .map(|byte| byte ^ MASK)
                .collect::<Vec<u8>>(),
        );
        Needle::of(
            "record key in base64",
            Zeroizing::new(BASE64.encode(bytes.as_slice())).as_bytes(),
        )
    };
    let left = found(&[key, artefact, encoded, words, number]);
    assert!(left.is_empty(), "{left:#?}");
}

async fn story(words: &Needle, number: &Needle) -> (Needle, Needle) {
    let folder = tempfile::tempdir().unwrap();
    let made = app::init(&app::InitPlan::in_folder(folder.path()), Clock::System)
        .await
        .unwrap();
    let mut app = App::open(Config::read(&made.config).unwrap(), Clock::System)
        .await
        .unwrap();
    let (flow, committer) = app.flow().await.unwrap();
    let vault = &flow.vault;
    let call: Conversation = "CA00000000000000000000000000000001".parse().unwrap();

    // Waiting data goes through a turn.
    let told = || {
        let text = Zeroizing::new(number.text());
        vec![Participant {
            address: Some(Address::parse(&text).unwrap()),
            ..Participant::at("caller".parse().unwrap())
        }]
    };
    let transcription = "GT00000000000000000000000000000001".parse().unwrap();
    let account = "AC00000000000000000000000000000001".parse().unwrap();
    let piece = UtteranceId {
        account: &account,
        transcription: &transcription,
        track: "inbound_track",
        sequence: 1,
    };
    let text = Zeroizing::new(words.text());
    let named = app.db.unit("named", async |mut unit| {
        unit.without_entry("a test");
        vault.hold_epoch(&mut unit).await.unwrap();
        let party = recvault::model::subject::Party {
            leg: "caller".parse().unwrap(),
            subject: told()[0]
                .address
                .as_ref()
                .map(|address| vault.subject(address)),
            channel: None,
            presence: recvault::model::subject::Presence::ALWAYS,
        };
        let vouched = parties::Vouched::by(
            Permit::of_vault(action::Consent)
                .also(action::Revoke)
                .as_ref(),
        );
        parties::name(
            &mut unit,
            &call,
            &PartyScope::Every,
            &[party],
            &vouched,
            app.clock.now(),
        )
        .await
        .unwrap();
        assert!(
            vault
                .keep_details(
                    &mut unit,
                    (&call, &PartyScope::Every),
                    &told(),
                    Keeping::Waits,
                    app.clock.now()
                )
                .await
                .unwrap()
        );
        vault
            .keep_utterance(&mut unit, piece, Some(&text), app.clock.now())
            .await
            .unwrap();
        Ok::<_, recvault::db::Error>(())
    });
    named.await.unwrap();
    vault.turn(Initiator::Operator).await.unwrap().unwrap();
    assert!(
        vault.utterances(&account, &transcription).await.unwrap()[0]
            .1
            .as_ref()
            .unwrap()
            .contains(Zeroizing::new(words.text()).as_str())
    );

    // Announced, deposited, transcribed, opened, journaled, in a snapshot.
    let announced = announcement(&flow, &call);
    let (acceptor, committing) = recvault::db::accept::channel(app.db.clone());
    tokio::join!(committing.run(|| Clock::System.now()), async {
        acceptor.accept(announced).await.unwrap();
        drop(acceptor);
    });
    drop(committer);
    let holder = HolderId::random(&mut rand::rng());
    let leased = app.db.unit("leased", async |mut unit| {
        unit.without_entry("a test");
        let term = Term::begin(&mut unit, Duration::from_secs(60)).await?;
        work::lease(&mut unit, &[WorkKind::FetchMedia], holder, term, 1).await
    });
    let [lease] = leased.await.unwrap().try_into().unwrap();
    let lease = lease.parsed::<RecordingId>().unwrap();
    let recording = recordings::find(&mut app.db.read().await.unwrap(), lease.subject)
        .await
        .unwrap()
        .unwrap();
    let sound = {
        let mut sound = SecretBuffer::default();
        sound.extend_from_slice(b"RIFF\x05\0\0\0WAVE");
        // Longer than a segment, and not a whole number of them.
        for _ in 0..9_000 {
            sound.extend_from_slice(Zeroizing::new(words.text()).as_bytes());
        }
        Bytes::from_owner(sound)
    };
    let chunks: Vec<_> = (0..sound.len())
        .step_by(50_000)
        .map(|at| Ok::<_, Infallible>(sound.slice(at..(at + 50_000).min(sound.len()))))
        .collect();
    drop(sound);
    let stored = vault
        .store_media(&recording, Leg::All, "audio/wav", stream::iter(chunks))
        .await
        .unwrap();
    let options = DepositOptions::default();
    let entered = vault.unit("entered", async |mut unit| {
        vault
            .enter(&mut unit, &recording, &stored, &options)
            .await?;
        work::finish(&mut unit, &lease).await?;
        Ok::<_, recvault::vault::Error>(())
    });
    entered.await.unwrap();
    drop(stored);
    let recording = recordings::find(&mut app.db.read().await.unwrap(), recording.id)
        .await
        .unwrap()
        .unwrap();
    let said = |at: u64| Sentence {
        leg: None,
        start_ms: at,
        end_ms: at + 1,
        text: Said::new(words.text()),
        confidence: None,
        words: Vec::new(),
    };
    let transcript = Transcript::new(
        "en-US".into(),
        "test".into(),
        (0..2_000).map(said).collect(),
    )
    .unwrap();
    let stored = vault
        .store_transcript(recording.id, "application/json", &transcript.to_json())
        .await
        .unwrap();
    drop(transcript);
    let entered = vault.unit("transcribed", async |mut unit| {
        recordings::lock_sealed(&mut unit, recording.id).await?;
        vault
            .enter_transcript(&mut unit, &stored, Initiator::Operator)
            .await
    });
    entered.await.unwrap();
    vault.read_back(&recording).await.unwrap();
    let (key, artefact) = {
        let key = record_key(&app, &flow, &recording).await;
        let artefact = keyring::artefact_key(&key, Leg::All, Artefact::Transcript);
        (
            Needle::of("record key", key.expose()),
            Needle::of("artefact key", artefact.expose()),
        )
    };
    vault.journal_all().await.unwrap();
    vault.snapshot().await.unwrap();

    // Shredded, and turned.
    flow.shredding
        .shred(
            &Permit::of_operator(action::Shred),
            recording.id,
            &"test".parse().unwrap(),
        )
        .await
        .unwrap();
    vault.turn(Initiator::Operator).await.unwrap().unwrap();
    drop(flow);
    app.db.close().await;
    (key, artefact)
}
