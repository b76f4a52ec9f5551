//! The tables whose rows travel, and their columns as both databases have them.
//!
//! Owns these lists and nothing else; a conformance story holds them against what each database
//! says of itself, so that no column is forgotten. Not among them: what lives for minutes or a day
//! (grants, budgets, `outbox`, `turner`), what is found again at the source (`transcripts`,
//! `utterances`, `listings`, `reconciliations`), and the one number of `audit_head`.

/// A table whose rows travel. The order is the one in which they are written: what is referred to
/// comes first, except that key entries come before their pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    /// The one vault.
    Vault,
    /// Policy files that were in force.
    Policies,
    /// Lives of the root key.
    Epochs,
    /// Persons and services that act.
    Principals,
    /// Bearer tokens, as hashes.
    Tokens,
    /// The catalogue.
    Recordings,
    /// Where record keys are.
    KeyEntries,
    /// Pages of the key tree.
    Pages,
    /// Sealed objects.
    Artefacts,
    /// Who took part, sealed.
    Details,
    /// Copies at the source.
    Sources,
    /// The marks that keys are dead.
    Tombstones,
    /// Proofs of shreds.
    Receipts,
    /// Work to do, with its leases.
    Work,
    /// Who took part in a conversation.
    Parties,
    /// Statements of consent.
    Consents,
    /// Stops on shredding.
    Holds,
    /// Requests for the approval of a second person.
    Approvals,
    /// Revocations.
    Revocations,
    /// What a revocation did to each recording.
    Revoked,
    /// What a rebuilding went without.
    Gaps,
    /// The audit log.
    Audit,
}

impl Table {
    /// All of them, in order.
    pub const ALL: [Self; 22] = [
        Self::Vault,
        Self::Policies,
        Self::Epochs,
        Self::Principals,
        Self::Tokens,
        Self::Recordings,
        Self::KeyEntries,
        Self::Pages,
        Self::Artefacts,
        Self::Details,
        Self::Sources,
        Self::Tombstones,
        Self::Receipts,
        Self::Work,
        Self::Parties,
        Self::Consents,
        Self::Holds,
        Self::Approvals,
        Self::Revocations,
        Self::Revoked,
        Self::Gaps,
        Self::Audit,
    ];

    /// As the databases call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Policies => "policies",
            Self::Epochs => "epochs",
            Self::Principals => "principals",
            Self::Tokens => "tokens",
            Self::Recordings => "recordings",
            Self::KeyEntries => "key_entries",
            Self::Pages => "pages",
            Self::Artefacts => "artefacts",
            Self::Details => "details",
            Self::Sources => "sources",
            Self::Tombstones => "tombstones",
            Self::Receipts => "receipts",
            Self::Work => "work",
            Self::Parties => "parties",
            Self::Consents => "consents",
            Self::Holds => "holds",
            Self::Approvals => "approvals",
            Self::Revocations => "revocations",
            Self::Revoked => "revoked",
            Self::Gaps => "gaps",
            Self::Audit => "audit",
        }
    }

    /// The table of this name, if its rows travel.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its columns, in the databases' order.
    pub(in crate::db) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Vault => const { &[text("id"), int("created_at"), text("database_id")] },
            Self::Policies => {
                const {
                    &[
                        text("digest"),
                        text("version"),
                        text("source"),
                        int("in_force_at"),
                        maybe_text("jws"),
                    ]
                }
            }
            Self::Epochs => {
                const {
                    &[
                        int("epoch"),
                        bytes("root_sealed"),
                        int("began_at"),
                        maybe_text("snapshot"),
                        maybe_int("snapshot_at"),
                        maybe_int("previous_destroyed_at"),
                        maybe_int("finished_at"),
                    ]
                }
            }
            Self::Principals => {
                const {
                    &[
                        text("id"),
                        text("kind"),
                        text("issuer"),
                        text("subject"),
                        text("label"),
                        int("created_at"),
                    ]
                }
            }
            Self::Tokens => {
                const {
                    &[
                        text("id"),
                        text("hash"),
                        text("label"),
                        text("roles"),
                        text("accounts"),
                        int("created_at"),
                        int("expires_at"),
                        maybe_int("revoked_at"),
                        text("attributes"),
                        text("principal_id"),
                    ]
                }
            }
            Self::Recordings => RECORDINGS,
            Self::KeyEntries => {
                const {
                    &[
                        text("recording_id"),
                        text("leg"),
                        text("page_id"),
                        int("slot"),
                        text("fingerprint"),
                    ]
                }
            }
            Self::Pages => PAGES,
            Self::Artefacts => {
                const {
                    &[
                        text("recording_id"),
                        text("leg"),
                        text("artefact"),
                        text("object_id"),
                        int("plain_len"),
                        int("sealed_len"),
                        text("sealed_sha256"),
                        int("segment"),
                        text("content_type"),
                    ]
                }
            }
            Self::Details => const { &[text("recording_id"), bytes("sealed"), int("sealed_at")] },
            Self::Sources => SOURCES,
            Self::Tombstones => FENCES,
            Self::Receipts => {
                const {
                    &[
                        text("id"),
                        text("recording_id"),
                        text("state"),
                        text("jws"),
                        int("issued_at"),
                        maybe_int("epoch"),
                    ]
                }
            }
            Self::Work => {
                const {
                    &[
                        text("kind"),
                        text("subject"),
                        text("state"),
                        int("due_at"),
                        maybe_text("holder"),
                        int("token"),
                        int("attempts"),
                        maybe_text("last_error"),
                        int("enqueued_at"),
                    ]
                }
            }
            Self::Parties => PARTIES,
            Self::Consents => CONSENTS,
            Self::Holds => HOLDS,
            Self::Approvals => APPROVALS,
            Self::Revocations => REVOCATIONS,
            Self::Revoked => {
                const { &[text("recording_id"), text("revocation_id"), text("outcome")] }
            }
            Self::Gaps => const { &[int("first"), int("last"), int("accepted_at")] },
            Self::Audit => {
                const {
                    &[
                        int("seq"),
                        int("at"),
                        text("actor"),
                        text("event"),
                        maybe_text("recording_id"),
                        text("details"),
                    ]
                }
            }
        }
    }

    /// The columns of the primary key; they are the first ones.
    pub(in crate::db) fn key(self) -> &'static [Column] {
        let width = match self {
            Self::Artefacts | Self::Sources => 3,
            Self::KeyEntries
            | Self::Tombstones
            | Self::Work
            | Self::Parties
            | Self::Holds
            | Self::Revoked
            | Self::Gaps => 2,
            _ => 1,
        };
        self.columns().split_at(width).0
    }

    /// The column by which the rows of one recording, principal, token, policy, page, conversation, statement
    /// or revocation are found.
    pub(super) const fn subject(self) -> Option<&'static str> {
        match self {
            Self::Recordings
            | Self::Principals
            | Self::Tokens
            | Self::Pages
            | Self::Consents
            | Self::Revocations => Some("id"),
            Self::KeyEntries
            | Self::Artefacts
            | Self::Details
            | Self::Sources
            | Self::Tombstones
            | Self::Receipts
            | Self::Work
            | Self::Holds
            | Self::Approvals
            | Self::Revoked => Some("recording_id"),
            Self::Parties => Some("conversation"),
            Self::Policies => Some("digest"),
            Self::Vault | Self::Epochs | Self::Gaps | Self::Audit => None,
        }
    }

    /// Which of its rows travel, as a condition. Of work, what is about a recording, and revocations:
    /// transcripts are found again at the source, and whose turn something is does not outlive the
    /// database.
    pub(super) const fn travels(self) -> &'static str {
        match self {
            Self::Work => {
                "kind IN ('fetch', 'delete-ciphertext', 'delete-at-source', 'revocation')"
            }
            _ => "1 = 1",
        }
    }

    /// Whether rows are never changed or removed, which the databases themselves see to.
    pub(super) const fn only_grows(self) -> bool {
        matches!(self, Self::Tombstones | Self::Audit | Self::Consents)
    }
}

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::db) struct Column {
    /// As the databases call it.
    pub(in crate::db) name: &'static str,
    /// What it holds.
    pub(in crate::db) kind: ColumnKind,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::db) enum ColumnKind {
    Text,
    MaybeText,
    Int,
    MaybeInt,
    Bytes,
}

const RECORDINGS: &[Column] = &[
    text("id"),
    text("kind"),
    text("state"),
    text("account"),
    text("source_sid"),
    maybe_text("call_sid"),
    maybe_text("conference_sid"),
    maybe_text("source"),
    text("source_status"),
    int("source_rank"),
    maybe_int("error_code"),
    maybe_int("duration_s"),
    maybe_int("channels"),
    text("tier"),
    text("policy_version"),
    text("policy_digest"),
    maybe_int("started_at"),
    int("announced_at"),
    maybe_int("sealed_at"),
    maybe_int("shredded_at"),
    int("collected_at"),
    text("labels"),
    int("holds"),
    maybe_int("revoked_at"),
    maybe_text("revoked_reason"),
    maybe_int("quarantine_ends"),
    text("heard_by"),
    maybe_text("encryption"),
];

const FENCES: &[Column] = &[
    text("recording_id"),
    text("leg"),
    int("tombstoned_at"),
    text("receipt_id"),
    maybe_text("fingerprint"),
    maybe_int("seq"),
];

const PARTIES: &[Column] = &[
    text("conversation"),
    text("leg"),
    maybe_text("subject"),
    int("named_at"),
    text("vouched_for"),
    maybe_int("channel"),
    bytes("sealed"),
];

const SOURCES: &[Column] = &[
    text("recording_id"),
    text("kind"),
    text("sid"),
    text("state"),
    int("found_at"),
    maybe_int("deleted_at"),
    maybe_int("confirmed_at"),
    maybe_int("left_until"),
];

const CONSENTS: &[Column] = &[
    text("id"),
    maybe_text("subject"),
    maybe_text("conversation"),
    maybe_text("leg"),
    text("purposes"),
    text("answer"),
    text("method"),
    maybe_text("disclosure"),
    maybe_text("policy_version"),
    bytes("evidence"),
    int("said_at"),
    int("recorded_at"),
    text("recorded_by"),
];

const HOLDS: &[Column] = &[
    text("recording_id"),
    text("name"),
    text("purpose"),
    text("reason"),
    text("authority"),
    int("review_at"),
    int("placed_at"),
    text("placed_by"),
    maybe_int("lifted_at"),
];

const APPROVALS: &[Column] = &[
    text("id"),
    text("recording_id"),
    text("principal_id"),
    text("purpose"),
    bytes("justification"),
    text("state"),
    int("requested_at"),
    int("expires_at"),
    maybe_int("decided_at"),
    maybe_text("decided_by"),
];

const REVOCATIONS: &[Column] = &[
    text("id"),
    text("reach"),
    text("target"),
    text("purposes"),
    text("accounts"),
    text("reason"),
    text("actor"),
    int("revoked_at"),
    text("state"),
    maybe_text("cursor"),
    maybe_text("jws"),
    maybe_int("finished_at"),
];

const PAGES: &[Column] = &[
    text("id"),
    text("tier"),
    int("level"),
    int("generation"),
    maybe_text("parent"),
    maybe_int("parent_slot"),
    int("used"),
    maybe_text("filler"),
    maybe_int("filler_until"),
    bytes("sealed"),
    int("epoch"),
    int("stale"),
];

const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Text,
    }
}

const fn maybe_text(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::MaybeText,
    }
}

const fn int(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Int,
    }
}

const fn maybe_int(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::MaybeInt,
    }
}

const fn bytes(name: &'static str) -> Column {
    Column {
        name,
        kind: ColumnKind::Bytes,
    }
}
