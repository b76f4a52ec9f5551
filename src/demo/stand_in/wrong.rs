//! Faults of requests, per kind of request; and the number of requests of each kind.

use std::collections::{HashMap, VecDeque};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `GET Accounts/{AC}.json`.
    Account,
    /// `GET Accounts.json`.
    AccountList,
    /// `GET Recordings.json`, also below a call or a conference.
    RecordingList,
    /// `GET Recordings/{RE}.json`, also below a call or a conference.
    RecordingFetch,
    /// `DELETE Recordings/{RE}.json`, also below a call or a conference.
    RecordingDelete,
    /// `POST Calls/{CA}/Recordings/{RE}.json`, and of a conference: stop, pause, resume.
    RecordingUpdate,
    /// `POST Calls/{CA}/Recordings.json`: start a recording.
    RecordingStart,
    /// `GET Recordings/{RE}` and `.wav`.
    Media,
    /// `GET Transcriptions.json`, also below a recording.
    TranscriptionList,
    /// `GET Transcriptions/{TR}.json`, also below a recording.
    TranscriptionFetch,
    /// `DELETE Transcriptions/{TR}.json`, also below a recording.
    TranscriptionDelete,
    /// `GET Recordings/{RE}/AddOnResults.json`.
    AddOnList,
    /// `GET Recordings/{RE}/AddOnResults/{XR}.json`.
    AddOnFetch,
    /// `DELETE Recordings/{RE}/AddOnResults/{XR}.json`.
    AddOnDelete,
    /// `GET Calls/{CA}.json`.
    CallFetch,
    /// `GET Calls.json`, such as the children of a call.
    CallList,
    /// `GET Conferences/{CF}.json`.
    ConferenceFetch,
    /// `GET Conferences/{CF}/Participants.json`.
    ParticipantList,
    /// `GET IncomingPhoneNumbers.json`.
    NumberList,
    /// `GET /v2/Transcripts`.
    TranscriptList,
    /// `GET /v2/Transcripts/{GT}`.
    TranscriptFetch,
    /// `GET /v2/Transcripts/{GT}/Sentences`.
    TranscriptSentences,
    /// `DELETE /v2/Transcripts/{GT}`.
    TranscriptDelete,
    /// `GET Messages.json`.
    MessageList,
    /// `GET Messages/{SM}.json`.
    MessageFetch,
    /// `POST Messages.json`: send.
    MessageCreate,
    /// `POST Messages/{SM}.json`: redact.
    MessageUpdate,
    /// `DELETE Messages/{SM}.json`.
    MessageDelete,
    /// `GET Messages/{SM}/Media.json`.
    MessageMediaList,
    /// `GET Messages/{SM}/Media/{ME}.json`.
    MessageMediaFetch,
    /// `DELETE Messages/{SM}/Media/{ME}.json`.
    MessageMediaDelete,
    /// `GET Messages/{SM}/Media/{ME}`: the file.
    MessageFile,
    /// `GET /v1/Conversations`, also below a service.
    ChatList,
    /// `GET /v1/Conversations/{CH}`.
    ChatFetch,
    /// `DELETE /v1/Conversations/{CH}`.
    ChatDelete,
    /// `GET /v1/Conversations/{CH}/Messages`.
    ChatMessageList,
    /// `GET /v1/Conversations/{CH}/Messages/{IM}`.
    ChatMessageFetch,
    /// `DELETE /v1/Conversations/{CH}/Messages/{IM}`.
    ChatMessageDelete,
    /// `GET /v1/Conversations/{CH}/Messages/{IM}/Receipts`.
    ChatReceiptList,
    /// `GET /v1/Conversations/{CH}/Participants`.
    ChatParticipantList,
    /// `DELETE /v1/Conversations/{CH}/Participants/{MB}`.
    ChatParticipantDelete,
    /// `GET …/Conversations/{CH}/Participants/{MB}`.
    ChatParticipantFetch,
    /// `GET /v1/ParticipantConversations`.
    ParticipantConversationList,
    /// `GET /v1/Services/{IS}/Media/{ME}`.
    ChatMedia,
    /// `GET /v1/Services`.
    ProxyServiceList,
    /// `GET /v1/Services/{KS}/Sessions`.
    ProxySessionList,
    /// `GET /v1/Services/{KS}/Sessions/{KC}`.
    ProxySessionFetch,
    /// `DELETE /v1/Services/{KS}/Sessions/{KC}`.
    ProxySessionDelete,
    /// `GET /v1/Services/{KS}/Sessions/{KC}/Participants`.
    ProxyParticipantList,
    /// `DELETE /v1/Services/{KS}/Sessions/{KC}/Participants/{KP}`.
    ProxyParticipantDelete,
    /// `GET /v1/Services/{KS}/Sessions/{KC}/Interactions`.
    InteractionList,
    /// `GET /v1/Services/{KS}/Sessions/{KC}/Interactions/{KI}`.
    InteractionFetch,
    /// `DELETE /v1/Services/{KS}/Sessions/{KC}/Interactions/{KI}`.
    InteractionDelete,
    /// `GET /v1/Recordings`, also below a room.
    TrackList,
    /// `GET /v1/Recordings/{RT}`.
    TrackFetch,
    /// `DELETE /v1/Recordings/{RT}`.
    TrackDelete,
    /// `GET /v1/Recordings/{RT}/Media`.
    TrackMedia,
    /// `GET /v1/Compositions`.
    CompositionList,
    /// `GET /v1/Compositions/{CJ}`.
    CompositionFetch,
    /// `DELETE /v1/Compositions/{CJ}`.
    CompositionDelete,
    /// `GET /v1/Compositions/{CJ}/Media`.
    CompositionMedia,
    /// `GET /v1/Rooms/{RM}/Participants`.
    RoomParticipantList,
    /// `POST /v1/Rooms/{RM}/Participants/{PA}/Anonymize`.
    RoomParticipantAnonymize,
}

impl Call {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Account,
        Self::AccountList,
        Self::RecordingList,
        Self::RecordingFetch,
        Self::RecordingDelete,
        Self::RecordingUpdate,
        Self::RecordingStart,
        Self::Media,
        Self::TranscriptionList,
        Self::TranscriptionFetch,
        Self::TranscriptionDelete,
        Self::AddOnList,
        Self::AddOnFetch,
        Self::AddOnDelete,
        Self::CallFetch,
        Self::CallList,
        Self::ConferenceFetch,
        Self::ParticipantList,
        Self::NumberList,
        Self::TranscriptList,
        Self::TranscriptFetch,
        Self::TranscriptSentences,
        Self::TranscriptDelete,
        Self::MessageList,
        Self::MessageFetch,
        Self::MessageCreate,
        Self::MessageUpdate,
        Self::MessageDelete,
        Self::MessageMediaList,
        Self::MessageMediaFetch,
        Self::MessageMediaDelete,
        Self::MessageFile,
        Self::ChatList,
        Self::ChatFetch,
        Self::ChatDelete,
        Self::ChatMessageList,
        Self::ChatMessageFetch,
        Self::ChatMessageDelete,
        Self::ChatReceiptList,
        Self::ChatParticipantList,
        Self::ChatParticipantDelete,
        Self::ChatParticipantFetch,
        Self::ParticipantConversationList,
        Self::ChatMedia,
        Self::ProxyServiceList,
        Self::ProxySessionList,
        Self::ProxySessionFetch,
        Self::ProxySessionDelete,
        Self::ProxyParticipantList,
        Self::ProxyParticipantDelete,
        Self::InteractionList,
        Self::InteractionFetch,
        Self::InteractionDelete,
        Self::TrackList,
        Self::TrackFetch,
        Self::TrackDelete,
        Self::TrackMedia,
        Self::CompositionList,
        Self::CompositionFetch,
        Self::CompositionDelete,
        Self::CompositionMedia,
        Self::RoomParticipantList,
        Self::RoomParticipantAnonymize,
    ];
}

/// A fault of a request. Unless noted, the request has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// 404, code 20404.
    NotFound,
    /// 401, code 20003.
    Unauthorised,
    /// 403, code 20005.
    Forbidden,
    /// 429, code 20429.
    TooMany {
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 500, code 20500.
    ServerError,
    /// Any other error.
    Refused {
        /// HTTP status.
        status: u16,
        /// Twilio's code.
        code: u32,
    },
    /// The connection stays open without an answer.
    Silence,
    /// 200 and the beginning of a JSON document; then the connection breaks.
    CutBody,
    /// 200 and HTML.
    NotJson,
    /// 200 and a JSON document of 256 MiB, without a `Content-Length`.
    HugeBody,
    /// 200 and JSON of another form than documented.
    WrongShape,
    /// 204 without an effect.
    NothingDone,
    /// 307 to another host, which records the requests:
    /// [`super::StandIn::saw_authorization_elsewhere`].
    RedirectAway,
    /// The request takes effect, and the answer is 500.
    DoneThenServerError,
    /// The request takes effect, and there is no answer.
    DoneThenSilence,
}

impl RequestFault {
    /// Returns one fault of each kind.
    pub fn all() -> Vec<Self> {
        vec![
            Self::NotFound,
            Self::Unauthorised,
            Self::Forbidden,
            Self::TooMany { retry_after: None },
            Self::TooMany {
                retry_after: Some(1),
            },
            Self::ServerError,
            Self::Refused {
                status: 400,
                code: 20001,
            },
            Self::Silence,
            Self::CutBody,
            Self::NotJson,
            Self::HugeBody,
            Self::WrongShape,
            Self::NothingDone,
            Self::RedirectAway,
            Self::DoneThenServerError,
            Self::DoneThenSilence,
        ]
    }
}

/// The queued faults, and the numbers of requests.
#[derive(Default)]
pub(super) struct Wrongs {
    queues: HashMap<Call, VecDeque<RequestFault>>,
    asked: HashMap<Call, u64>,
}

impl Wrongs {
    pub(super) fn add(&mut self, call: Call, wrong: RequestFault) {
        self.queues.entry(call).or_default().push_back(wrong);
    }

    /// Returns the fault of this request.
    pub(super) fn next(&mut self, call: Call) -> Option<RequestFault> {
        self.queues.get_mut(&call)?.pop_front()
    }

    pub(super) fn count(&mut self, call: Call) {
        *self.asked.entry(call).or_default() += 1;
    }

    pub(super) fn requests(&self, call: Call) -> u64 {
        self.asked.get(&call).copied().unwrap_or_default()
    }
}
