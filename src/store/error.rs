//! Errors of a store, by the caller's possible reaction.
//!
//! Errors of the backend contain addresses, signatures and responses of the server. None of that is
//! retained: only the kind of failure.

use std::{error::Error as _, io};

use object_store::client::{HttpError, HttpErrorKind};

use super::name::Name;

/// Why an operation of a store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such object or recovery file.
    #[error("the {store} store has no `{name}`")]
    NotFound {
        /// The kind of store.
        store: &'static str,
        /// The requested name.
        name: Name,
    },
    /// It exists already; everything is written once.
    #[error("the {store} store already has `{name}`")]
    AlreadyExists {
        /// The kind of store.
        store: &'static str,
        /// The name that was to be written.
        name: Name,
    },
    /// It is shorter than the requested range.
    #[error("`{name}` in the {store} store ends at byte {size}, before byte {end}")]
    OutOfRange {
        /// The kind of store.
        store: &'static str,
        /// The name that was read.
        name: Name,
        /// End of the requested range.
        end: u64,
        /// Length of the whole object.
        size: u64,
    },
    /// It has more parts than an upload may have.
    #[error("`{name}` is too long for the {store} store: more than {max_parts} parts")]
    TooLong {
        /// The kind of store.
        store: &'static str,
        /// The name that was to be written.
        name: Name,
        /// The limit.
        max_parts: usize,
    },
    /// The store denies access; its permissions or our credentials must be changed.
    #[error("the {store} store refused: check its permissions and the credentials under `[store]`")]
    Refused {
        /// The kind of store.
        store: &'static str,
    },
    /// It allows only some of a vault's operations, so nothing can be stored there.
    #[error("the {store} store cannot be used, because the vault cannot {right}: {why}")]
    Lacks {
        /// The kind of store.
        store: &'static str,
        /// The missing permission.
        right: &'static str,
        /// What happened instead.
        why: String,
    },
    /// The store did not respond, or failed; a retry may succeed.
    #[error("the {store} store is unavailable: {reason}")]
    Unavailable {
        /// The kind of store.
        store: &'static str,
        /// The kind of failure, without addresses or responses.
        reason: String,
    },
    /// The configured folder does not exist.
    #[error(
        "the folder `{path}` of the store does not exist: its disk is not mounted, or `store.url` \
         or `[recovery]` names another place. Mount it; the folder is not created automatically. \
         If it is intentionally new, `recvault snapshot create --new-store` creates the folder \
         for snapshots. Create a folder for sealed objects alone by hand; `recvault init` creates \
         the folders of a new vault"
    )]
    NoFolder {
        /// The folder.
        path: String,
    },
    /// A setting is wrong.
    #[error("`store.{key}`: {reason}")]
    Setting {
        /// The key below `[store]`.
        key: &'static str,
        /// The fault, and the valid values.
        reason: String,
    },
}

impl Error {
    /// Converts a failure that concerns one object or recovery file.
    pub(super) fn of_name(store: &'static str, name: Name, error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound { store, name },
            object_store::Error::AlreadyExists { .. } => Self::AlreadyExists { store, name },
            other => Self::of_backend(store, other),
        }
    }

    /// Converts a failure of writing one: "not found" then means the bucket.
    pub(super) fn of_write(store: &'static str, name: Name, error: object_store::Error) -> Self {
        match error {
            // 409 means a concurrent write whose outcome is unknown; a retry may succeed.
            object_store::Error::AlreadyExists { .. } if status(&error) != Some(409) => {
                Self::AlreadyExists { store, name }
            }
            other => Self::of_backend(store, other),
        }
    }

    /// Converts a failure of one of the operations of a deposit.
    pub(super) fn of_right(
        store: &'static str,
        right: &'static str,
        error: object_store::Error,
    ) -> Self {
        let why = Self::of_backend(store, error).to_string();
        Self::Lacks { store, right, why }
    }

    /// Converts a failure of the store as a whole.
    pub(super) fn of_backend(store: &'static str, error: object_store::Error) -> Self {
        use object_store::Error as Backend;
        match error {
            Backend::PermissionDenied { .. } | Backend::Unauthenticated { .. } => {
                Self::Refused { store }
            }
            Backend::NotFound { .. } => Self::Unavailable {
                store,
                reason: "its bucket or folder does not exist".into(),
            },
            other => match (io_kind(&other), http_kind(&other), status(&other)) {
                (Some(io::ErrorKind::PermissionDenied), ..) | (_, _, Some(401 | 403)) => {
                    Self::Refused { store }
                }
                (_, _, Some(status)) => Self::Unavailable {
                    store,
                    reason: format!("it answered with status {status}"),
                },
                (Some(kind), ..) if kind != io::ErrorKind::Other => Self::Unavailable {
                    store,
                    reason: kind.to_string(),
                },
                (_, Some(kind), _) => Self::Unavailable {
                    store,
                    reason: say(kind).into(),
                },
                _ => Self::Unavailable {
                    store,
                    reason: "it failed without a reason".into(),
                },
            },
        }
    }

    /// Converts a failure of a request that was made beside the backend.
    pub(super) fn of_http(store: &'static str, error: &HttpError) -> Self {
        let reason = say(error.kind()).into();
        Self::Unavailable { store, reason }
    }

    pub(super) fn of_file(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Refused { store: "folder" },
            kind => Self::Unavailable {
                store: "folder",
                reason: kind.to_string(),
            },
        }
    }

    pub(super) fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            key,
            reason: reason.into(),
        }
    }
}

/// Returns every error below `error` that is of type `E`, outermost first.
fn causes<'a, E: std::error::Error + 'static>(
    error: &'a object_store::Error,
) -> impl Iterator<Item = &'a E> {
    std::iter::successors(
        error.source(),
        |cause: &&'a (dyn std::error::Error + 'static)| (*cause).source(),
    )
    .filter_map(|cause| cause.downcast_ref())
}

fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    causes::<io::Error>(error).map(io::Error::kind).last()
}

fn http_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    causes::<HttpError>(error).map(HttpError::kind).last()
}

/// Returns the HTTP status, if the backend reports it only in its message, where it precedes any
/// text of the server.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, behind) = text.split_once("status code: ")?;
    behind.get(..3)?.parse().ok()
}

fn say(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "no connection",
        HttpErrorKind::Timeout => "timed out",
        HttpErrorKind::Decode => "its answer could not be read",
        _ => "the connection broke",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: source.into(),
        }
    }

    #[test]
    fn what_the_server_said_is_not_repeated() {
        let answer = "Server returned non-2xx status code: 500 Internal Server Error: <AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId>";
        let error = Error::of_backend("s3", generic(answer));
        assert_eq!(
            error.to_string(),
            "the s3 store is unavailable: it answered with status 500"
        );
        assert!(!format!("{error:?}").contains("AKID"));
    }

    #[test]
    fn a_conflict_is_not_said_to_be_there() {
        let name = Name::Object(crate::model::id::ObjectId::random(&mut rand::rng()));
        let told = |status: &str| {
            let source =
                format!("Server returned non-2xx status code: {status}: <Code>x</Code>").into();
            Error::of_write(
                "s3",
                name,
                object_store::Error::AlreadyExists {
                    path: "objects/x".into(),
                    source,
                },
            )
        };
        assert_eq!(
            told("409 Conflict"),
            Error::Unavailable {
                store: "s3",
                reason: "it answered with status 409".into()
            }
        );
        assert_eq!(
            told("412 Precondition Failed"),
            Error::AlreadyExists { store: "s3", name }
        );
    }

    #[test]
    fn causes_are_told_apart() {
        let full = Error::of_backend(
            "folder",
            generic(io::Error::from(io::ErrorKind::StorageFull)),
        );
        assert_eq!(
            full,
            Error::Unavailable {
                store: "folder",
                reason: "no storage space".into()
            }
        );
        assert_eq!(
            Error::of_backend(
                "folder",
                generic(io::Error::from(io::ErrorKind::PermissionDenied))
            ),
            Error::Refused { store: "folder" }
        );
        let slow = Error::of_backend(
            "s3",
            generic(HttpError::new(
                HttpErrorKind::Timeout,
                io::Error::other("x"),
            )),
        );
        assert_eq!(
            slow,
            Error::Unavailable {
                store: "s3",
                reason: "timed out".into()
            }
        );
    }
}
