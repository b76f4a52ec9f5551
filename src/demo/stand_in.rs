//! A Twilio in this process, for tests, benches and the demo.
//!
//! Owns the part of Twilio that the vault uses: media behind Basic authentication, the REST
//! resources around a recording, signed callbacks, and their failures, on demand. Refuses to know
//! the vault: it only speaks HTTP on a loopback port.
//!
//! INVARIANT: its behaviour without a [`MediaFault`] or a [`RequestFault`] is the documented one of
//! Twilio, and where Twilio documents nothing, that of [`Behaviour`]; it stops on drop.

mod account;
mod add_ons;
mod answer;
mod behaviour;
mod callback;
mod calls;
mod chat;
mod chat_callback;
mod chats;
mod conferences;
mod delivery;
mod encrypted;
mod encryption_facts;
mod events;
mod fault;
mod foreign;
mod hours;
mod media;
mod message;
mod message_callback;
mod message_media;
mod messages;
mod numbers;
mod page;
mod proxy;
mod recording;
mod recording_update;
mod recordings;
mod request;
mod rest;
mod route;
mod sentence;
mod sentences;
mod server;
mod spoil;
mod storage;
mod subscription;
mod transcriptions;
mod transcripts;
mod video;
mod video_rest;
mod wrong;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{
    account::StandInAccount,
    add_ons::AddOnFacts,
    behaviour::{Behaviour, Endless, MediaRedirect, RateLimit, TwilioProblem},
    callback::{SignedCallback, SignedGet, SignedJson},
    calls::CallFacts,
    chat::{ChatDeliveryFacts, ChatFacts, ChatFile, ChatMessageFacts, ChatParticipantFacts},
    conferences::{ConferenceFacts, ParticipantFacts},
    delivery::PendingCallback,
    encrypted::encrypted_film,
    encryption_facts::Spelling,
    events::{GatherAnswer, RealTime},
    fault::MediaFault,
    foreign::ForeignHost,
    message::{MessageFacts, MessageFile, RemainingMessage},
    numbers::NumberFacts,
    proxy::{InteractionFacts, ProxyParticipantFacts, ProxySessionFacts},
    recording::{RecordingFacts, RemainingCopies},
    sentence::{SentenceFacts, WordFacts},
    transcriptions::TranscriptionFacts,
    transcripts::{TranscriptFacts, TranscriptParticipant},
    video::{CompositionFacts, RoomParticipantFacts, TrackFacts, matroska, mpeg_4},
    wrong::{Call, RequestFault},
};
use self::{
    fault::PendingFaults, hours::Hours, recording::HeldRecording, server::Server, storage::Storage,
    subscription::Subscription, wrong::Wrongs,
};
use crate::{
    model::{
        sid::{
            AccountSid, CallSid, ChatSid, CompositionSid, ConferenceSid, MessageSid,
            ProxySessionSid, RecordingSid, RoomParticipantSid, TrackRecordingSid,
        },
        time::{Clock, Timestamp},
    },
    secret::SecretText,
    twilio::account::{AccountSettings, ProductSettings, TwilioSettings},
};

/// A running stand-in.
pub struct StandIn {
    server: Server,
    world: Arc<World>,
}

impl StandIn {
    /// Listens on a loopback port that the system chooses.
    ///
    /// Must be called inside a tokio runtime. The first account owns recordings that were not
    /// added.
    pub async fn start(accounts: Vec<StandInAccount>) -> io::Result<Self> {
        Self::start_at(accounts, Clock::System).await
    }

    /// Starts with another clock, which may be the vault's; see also [`Self::advance`].
    pub async fn start_at(accounts: Vec<StandInAccount>, clock: Clock) -> io::Result<Self> {
        let world = Arc::new(World::new(accounts, clock, Storage::start().await?));
        let server = server::start(|stop| rest::router(Arc::clone(&world), stop)).await?;
        Ok(Self { server, world })
    }

    /// `http://127.0.0.1:<port>`: the service's `twilio.api_base`, and also its
    /// `twilio.intelligence_base` and every root of `twilio.products`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Returns the settings of a service that uses this stand-in, with every account.
    pub fn settings(&self) -> TwilioSettings {
        let account = |account: &StandInAccount| {
            let mut settings = AccountSettings::new(
                account.sid.clone(),
                vec![SecretText::new(account.auth_token.clone())],
            );
            if let Some((sid, secret)) = &account.api_key {
                settings.api_key_sid =
                    Some(sid.parse().expect("the stand-in makes keys as Twilio does"));
                settings.api_key_secret = Some(SecretText::new(secret.clone()));
            }
            settings
        };
        let accounts = self.world.accounts().iter().map(account).collect();
        // All base URLs of the service are this one port.
        TwilioSettings {
            api_base: self.base_url(),
            intelligence_base: self.base_url(),
            products: ProductSettings::at(&self.base_url()),
            accounts,
            ..TwilioSettings::default()
        }
    }

    /// Makes the next request for this recording's media fail. Faults are queued and occur in
    /// order.
    pub fn fail(&self, sid: &RecordingSid, fault: MediaFault) {
        self.world.faults().add(Some(sid.clone()), fault);
    }

    /// Makes the next request for any media fail, unless its recording has a fault of its own.
    pub fn fail_any(&self, fault: MediaFault) {
        self.world.faults().add(None, fault);
    }

    /// Makes the next request of this kind fail. Faults are queued per kind and occur in order,
    /// after authentication.
    pub fn fail_call(&self, call: Call, wrong: RequestFault) {
        self.world.wrongs().add(call, wrong);
    }

    /// Returns the number of requests of this kind, including failed ones.
    pub fn requests(&self, call: Call) -> u64 {
        self.world.wrongs().requests(call)
    }

    /// Returns the number of requests for media, including failed ones.
    pub fn media_requests(&self) -> u64 {
        self.world.media_requests.load(Ordering::SeqCst)
    }

    /// Returns the number of requests without a credential or with a wrong one.
    pub fn unauthorised_requests(&self) -> u64 {
        self.world.unauthorised.load(Ordering::SeqCst)
    }

    /// Changes the behaviour of the stand-in where that of Twilio is not certain.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.world.state().behaviour);
    }

    /// Advances the stand-in's own time, whatever clock it was started with.
    pub fn advance(&self, by: std::time::Duration) {
        self.world.hours.advance(by);
    }

    /// Returns the stand-in's present time.
    pub fn now(&self) -> Timestamp {
        self.world.hours.now()
    }
}

/// The state of the stand-in, shared with its connections.
struct World {
    accounts: Mutex<Vec<StandInAccount>>,
    hours: Hours,
    storage: Storage,
    state: Mutex<State>,
    faults: Mutex<PendingFaults>,
    wrongs: Mutex<Wrongs>,
    media_requests: AtomicU64,
    unauthorised: AtomicU64,
}

/// The state that requests read and change.
#[derive(Default)]
struct State {
    behaviour: Behaviour,
    recordings: HashMap<RecordingSid, HeldRecording>,
    calls: BTreeMap<CallSid, Owned<CallFacts>>,
    conferences: BTreeMap<ConferenceSid, Owned<ConferenceFacts>>,
    participants: Vec<(ConferenceSid, ParticipantFacts)>,
    transcriptions: BTreeMap<String, Owned<TranscriptionFacts>>,
    add_ons: BTreeMap<String, Owned<AddOnFacts>>,
    transcripts: BTreeMap<String, Owned<TranscriptFacts>>,
    numbers: Vec<Owned<NumberFacts>>,
    messages: BTreeMap<MessageSid, Owned<MessageFacts>>,
    chats: BTreeMap<ChatSid, Owned<ChatFacts>>,
    sessions: BTreeMap<ProxySessionSid, Owned<ProxySessionFacts>>,
    tracks: BTreeMap<TrackRecordingSid, Owned<TrackFacts>>,
    compositions: BTreeMap<CompositionSid, Owned<CompositionFacts>>,
    room_participants: BTreeMap<RoomParticipantSid, Owned<RoomParticipantFacts>>,
    subscriptions: HashMap<AccountSid, Subscription>,
    pending: Vec<PendingCallback>,
    window: Option<(Timestamp, u32)>,
}

/// An object of an account.
#[derive(Clone)]
struct Owned<T> {
    account: AccountSid,
    created: Timestamp,
    facts: T,
}

impl World {
    fn new(accounts: Vec<StandInAccount>, clock: Clock, storage: Storage) -> Self {
        Self {
            accounts: Mutex::new(accounts),
            hours: Hours::new(clock),
            storage,
            state: Mutex::default(),
            faults: Mutex::default(),
            wrongs: Mutex::default(),
            media_requests: AtomicU64::new(0),
            unauthorised: AtomicU64::new(0),
        }
    }

    fn accounts(&self) -> MutexGuard<'_, Vec<StandInAccount>> {
        lock(&self.accounts)
    }

    fn account(&self, sid: &str) -> Option<StandInAccount> {
        self.accounts()
            .iter()
            .find(|account| account.sid.as_str() == sid)
            .cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn faults(&self) -> MutexGuard<'_, PendingFaults> {
        lock(&self.faults)
    }

    fn wrongs(&self) -> MutexGuard<'_, Wrongs> {
        lock(&self.wrongs)
    }

    fn own<T>(&self, account: &AccountSid, facts: T) -> Owned<T> {
        Owned {
            account: account.clone(),
            created: self.hours.lately(),
            facts,
        }
    }
}

/// Data behind a lock that a failed test poisoned may still be read by the next test.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a new SID: the prefix and 32 random hex digits.
fn new_sid(prefix: &str) -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes);
    format!("{prefix}{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests;
