//! Twilio: accounts, signatures, callbacks, media, participants.
//!
//! Owns Twilio's rules: the signature of a request, the parameters of a callback, the retrieval of
//! media, and its errors. Refuses to know the database, the vault and the policy: it returns plain
//! values and streams.
//!
//! INVARIANT: a callback is parsed only from [`signature::Verified`], and credentials are sent only
//! to the configured interface.

pub mod account;
mod bucket;
pub mod callback;
mod client;
mod container;
pub mod conversations;
pub mod encryption;
pub mod events;
mod fetch_error;
mod fields;
pub mod form;
pub mod media;
pub mod message;
mod own_query;
mod params;
pub mod parties;
pub mod personal;
pub mod proxy;
pub mod public_url;
mod rate_limit;
pub mod received_form;
pub mod rest;
pub mod signature;
#[cfg(test)]
mod signed;
pub mod transcription;
pub mod twiml;
#[cfg(test)]
mod vectors;
pub mod video;
pub mod voice;

pub use account::{Account, Accounts, Connect, CurrentAccounts, DeleteSource, ReconcilePlan};
pub use callback::RecordingCallback;
pub use client::{ClientError, TwilioClient};
pub use container::FileContainer;
pub use conversations::{ChatEvent, ConversationCallback};
pub use events::{EventBatch, EventFault, StreamEvent, StreamEventKind, StreamedMessage};
pub use fetch_error::{FetchError, FetchRefusal, MAX_REDIRECTS, TransientFailure};
pub use message::{IncomingMessage, MessageAddress, MessageMedia, MessageStatusCallback};
pub use params::CallbackError;
pub use parties::CallbackParties;
pub use personal::PersonalText;
pub use proxy::{
    Interaction, InteractionCallback, InteractionKind, InteractionSide, ProxyParticipant,
    ProxySession,
};
pub use public_url::PublicUrl;
pub use received_form::ReceivedForm;
pub use rest::{
    Deletion, MessageListing, MessageResource, RecordingResource, RestError, SentenceResource,
};
pub use signature::{
    Delivery, HEADER as SIGNATURE_HEADER, Malformed, Rejection,
    SETTINGS_HEADER as SIGNATURE_SETTINGS_HEADER, SignedRequest, verify,
};
pub use transcription::{IntelligenceEvent, RealTimeEvent, TranscriptionCallback};
pub use video::VideoCallback;
pub use voice::VoiceRequest;
