//! What the world outside remembers of the vault: what was asked, what was answered. Whatever was
//! answered must be true for ever.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use recvault::{
    evidence::{KeySet, Receipt, ReceiptState},
    model::{id::RecordingId, sid::RecordingSid},
};

use crate::{
    client::{Client, eventually},
    world::{World, sound},
};

/// One recording as the world outside remembers it.
pub(crate) struct Entry {
    pub(crate) sid: RecordingSid,
    pub(crate) id: RecordingId,
    pub(crate) wav: Bytes,
    /// Its callback was answered 2xx.
    pub(crate) is_acknowledged: AtomicBool,
    /// Somebody asked to shred it, answered or not.
    pub(crate) is_condemned: AtomicBool,
    /// The receipt that was given for the shred.
    pub(crate) receipt: OnceLock<String>,
    /// Where a grant from before the shred lets one listen.
    pub(crate) audio: OnceLock<String>,
}

impl Entry {
    pub(crate) fn new(world: &World, wav: Bytes) -> Self {
        let (sid, id) = world.record(wav.clone());
        let no = || AtomicBool::new(false);
        let unset = OnceLock::new;
        Self {
            sid,
            id,
            wav,
            is_acknowledged: no(),
            is_condemned: no(),
            receipt: unset(),
            audio: unset(),
        }
    }

    /// Recordings of `seconds`, each with a sound of its own.
    pub(crate) fn several(world: &World, count: u32, seconds: u32) -> Vec<Self> {
        (0..count)
            .map(|mark| Self::new(world, sound(mark, seconds)))
            .collect()
    }

    /// Announces it; an answer is remembered. Anything but 204 is a "not now".
    pub(crate) async fn announce(&self, world: &World, client: &Client) -> reqwest::Result<u16> {
        let status = world.announce(client, &self.sid).await?;
        assert!(matches!(status, 204 | 503), "{status}");
        self.is_acknowledged.fetch_or(status == 204, SeqCst);
        Ok(status)
    }

    /// Gets a grant to come back with after the shred.
    pub(crate) async fn prepare_to_listen(&self, client: &Client) -> reqwest::Result<()> {
        if let (201, Some(path)) = client.grant(self.id).await? {
            let _ = self.audio.set(path);
        }
        Ok(())
    }

    /// Shreds it; an answer is remembered.
    pub(crate) async fn shred(&self, client: &Client) -> reqwest::Result<()> {
        self.is_condemned.store(true, SeqCst);
        let (status, receipt) = client.shred(self.id).await?;
        assert!(matches!(status, 200 | 503), "{status}");
        if let (200, Some(receipt)) = (status, receipt) {
            assert_eq!(
                *self.receipt.get_or_init(|| receipt.clone()),
                receipt,
                "a shred has one receipt, however often it is asked for"
            );
        }
        Ok(())
    }

    /// Listens where the grant from before the shred led. What comes complete must be the sound,
    /// and after the shred was answered nothing may.
    pub(crate) async fn listen_again(&self, client: &Client) -> reqwest::Result<()> {
        let Some(path) = self.audio.get() else {
            return Ok(());
        };
        let was_shredded = self.receipt.get().is_some();
        let (status, body) = client.get(path).await?;
        match status {
            200 if was_shredded => panic!("{} was heard after its shred was answered", self.id),
            200 => assert_eq!(body, self.wav, "what is heard is what was recorded"),
            410 => assert!(
                self.is_condemned.load(SeqCst),
                "nobody shredded {}",
                self.id
            ),
            // Between the decision and the key the tombstone came down, or the process is going away.
            other => assert!(matches!(other, 404 | 503), "{other}"),
        }
        Ok(())
    }

    /// Brings this recording to its end at a service that stays up, and holds the vault to every
    /// answer it ever gave.
    async fn settle(&self, world: &World, client: &Client) {
        let mut state = client.state(self.id).await.unwrap();
        assert!(
            state.is_some() || !self.is_acknowledged.load(SeqCst),
            "{} was answered 204 and is lost",
            self.id
        );
        // Twilio sends again what was not answered.
        if !self.is_acknowledged.load(SeqCst) {
            assert_eq!(self.announce(world, client).await.unwrap(), 204);
            state = client.state(self.id).await.unwrap();
        }
        let is_shredded = state.as_deref() == Some("shredded");
        assert!(
            is_shredded || self.receipt.get().is_none(),
            "the shred of {} was answered and does not stand",
            self.id
        );
        assert!(
            !is_shredded || self.is_condemned.load(SeqCst),
            "nobody shredded {}",
            self.id
        );
        if !is_shredded {
            client.until(self.id, "sealed").await;
            assert_eq!(
                client.hear(self.id).await,
                self.wav,
                "{} is not what was recorded",
                self.id
            );
            self.prepare_to_listen(client).await.unwrap();
        }
        if self.is_condemned.load(SeqCst) {
            self.shred(client).await.unwrap();
            assert!(
                self.receipt.get().is_some(),
                "a service that stays up answers the shred of {}",
                self.id
            );
            self.is_gone(client).await;
        }
    }

    /// Nothing opens it.
    async fn is_gone(&self, client: &Client) {
        if let Some(path) = self.audio.get() {
            assert_eq!(
                client.get(path).await.unwrap().0,
                410,
                "an old grant to {}",
                self.id
            );
        }
        assert_eq!(
            client.grant(self.id).await.unwrap().0,
            410,
            "a new grant to {}",
            self.id
        );
    }

    /// The receipt of a shred holds, and closes after the epoch has turned.
    async fn closes(&self, client: &Client, keys: &KeySet) {
        let receipt = self.receipt.get().expect("the shred was answered");
        let closed = eventually(async || {
            let (status, jws) = client
                .get(&format!("/v1/receipts/{receipt}"))
                .await
                .unwrap();
            assert_eq!(status, 200);
            let receipt = Receipt::verify(std::str::from_utf8(&jws).unwrap(), keys).unwrap();
            assert_eq!(receipt.recording(), self.id);
            receipt.state() == ReceiptState::Closed
        });
        assert!(closed.await, "the receipt of {} does not close", self.id);
    }
}

/// Brings every recording to its end, see [`Entry::settle`], and lets the operator turn the epoch
/// for what was shredded.
pub(crate) async fn settle(entries: &[Entry], world: &World, client: &Client) {
    let (_, keys) = client.get("/.well-known/jwks.json").await.unwrap();
    let keys: KeySet = std::str::from_utf8(&keys).unwrap().parse().unwrap();
    stream::iter(entries)
        .for_each_concurrent(8, |entry| entry.settle(world, client))
        .await;
    let shredded: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.receipt.get().is_some())
        .collect();
    if !shredded.is_empty() {
        world.turn();
        stream::iter(shredded)
            .for_each_concurrent(8, |entry| entry.closes(client, &keys))
            .await;
    }
}
