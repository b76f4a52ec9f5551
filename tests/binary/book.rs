//! The external record of the vault: the requests and their answers. Every answer must stay true
//! forever.

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

/// The external record of one recording.
pub(crate) struct Entry {
    pub(crate) sid: RecordingSid,
    pub(crate) id: RecordingId,
    pub(crate) wav: Bytes,
    /// Whether its callback was answered 2xx.
    pub(crate) is_acknowledged: AtomicBool,
    /// Whether its shred was requested, answered or not.
    pub(crate) is_condemned: AtomicBool,
    /// The receipt of the shred.
    pub(crate) receipt: OnceLock<String>,
    /// The audio path of a grant from before the shred.
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

    /// Creates recordings of `seconds`, each with different audio.
    pub(crate) fn several(world: &World, count: u32, seconds: u32) -> Vec<Self> {
        (0..count)
            .map(|mark| Self::new(world, sound(mark, seconds)))
            .collect()
    }

    /// Announces it, and records an answer of 204. Any other status means a later retry.
    pub(crate) async fn announce(&self, world: &World, client: &Client) -> reqwest::Result<u16> {
        let status = world.announce(client, &self.sid).await?;
        assert!(matches!(status, 204 | 503), "{status}");
        self.is_acknowledged.fetch_or(status == 204, SeqCst);
        Ok(status)
    }

    /// Requests a grant for use after the shred.
    pub(crate) async fn prepare_to_listen(&self, client: &Client) -> reqwest::Result<()> {
        if let (201, Some(path)) = client.grant(self.id).await? {
            let _ = self.audio.set(path);
        }
        Ok(())
    }

    /// Shreds it, and records the answer.
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

    /// Plays it with the grant from before the shred. A complete answer must be the audio, and
    /// after an answered shred there must be none.
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
            // Between the decision and the key the tombstone was written, or the process is
            // stopping.
            other => assert!(matches!(other, 404 | 503), "{other}"),
        }
        Ok(())
    }

    /// Brings this recording to its final state at a running service, and checks the vault against
    /// every earlier answer.
    async fn settle(&self, world: &World, client: &Client) {
        let mut state = client.state(self.id).await.unwrap();
        assert!(
            state.is_some() || !self.is_acknowledged.load(SeqCst),
            "{} was answered 204 and is lost",
            self.id
        );
        // Twilio repeats a callback that was not answered.
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

    /// Checks that nothing opens it.
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

    /// Checks the receipt of a shred, and that it closes after the epoch has turned.
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

/// Brings every recording to its final state, see [`Entry::settle`], and turns the epoch as the
/// operator for the shredded ones.
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
