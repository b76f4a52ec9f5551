//! Change notifications from other processes on the same database, sent with a commit.
//!
//! Owns the one channel and its payloads. A notification reports that something of its kind has
//! changed and nothing else: the receiver queries the database, so an eavesdropper learns nothing.
//! Refuses to guarantee delivery: a database may send none at all (SQLite, or PostgreSQL behind a
//! pooler), and a notification may be lost with its connection. Every receiver therefore also
//! polls.

use std::{convert::Infallible, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::word::{UnknownWord, unknown};

/// Channels belong to a database, and each vault has a database of its own, so the name need not
/// distinguish vaults.
const CHANNEL: &str = "recvault";
/// Pause before a reconnect.
const PAUSE: Duration = Duration::from_secs(1);

/// The kind of a change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum ChangeNotice {
    /// A change that ends streams, such as a tombstone: see `endings`.
    Tombstone,
    /// The epoch changed.
    Epoch,
}

impl ChangeNotice {
    fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Notifies every process when this session commits; a dropped session notifies none.
pub(super) async fn tell(tx: &mut Tx, word: ChangeNotice) -> Result<(), Error> {
    const SQL: &str = "/* news.tell */ SELECT pg_notify($1, $2)";
    if tx.is_postgres() {
        tx.execute(SQL, &[Arg::Text(CHANNEL), Arg::Text(word.as_str())])
            .await?;
    }
    Ok(())
}

/// A source of notifications. It connects when it is followed.
pub struct ChangeFeed(Option<PgConnectOptions>);

impl ChangeFeed {
    /// A feed that never notifies.
    pub(super) fn silent() -> Self {
        Self(None)
    }

    pub(super) fn of(options: &PgConnectOptions) -> Self {
        Self(Some(options.clone()))
    }

    /// Passes on every notification, forever, and reconnects when the connection is lost. After
    /// each connection it passes on every kind once, because some may have been missed.
    pub async fn follow(self, mut hear: impl FnMut(ChangeNotice) + Send) -> Infallible {
        let Some(options) = self.0 else {
            return std::future::pending().await;
        };
        loop {
            let Err(error) = listen(&options, &mut hear).await;
            tracing::debug!(%error, "notifications are interrupted");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Listens on one connection until it is lost.
async fn listen(
    options: &PgConnectOptions,
    hear: &mut (impl FnMut(ChangeNotice) + Send),
) -> Result<Infallible, Error> {
    // Not a connection of the database's pool: the pool would have one fewer, and would not close
    // while this one listens.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let all = <ChangeNotice as strum::VariantArray>::VARIANTS;
    all.iter().copied().for_each(&mut *hear);
    while let Some(told) = listener.try_recv().await? {
        // A payload of a newer program is ignored.
        told.payload().parse().into_iter().for_each(&mut *hear);
    }
    Err(Error::Unavailable(
        "the connection for notifications was lost".into(),
    ))
}
