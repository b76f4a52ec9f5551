//! News from other processes on the same database: a bell, rung by a commit.
//!
//! Owns the one channel and the words that go over it. A word says that something of its kind has
//! changed and nothing else: who hears it asks the database, so there is nothing to read for whoever
//! listens in. Refuses to be relied on: a database may not ring at all (SQLite, or PostgreSQL
//! behind a pooler), and a ring may be lost with its connection, so that whoever waits for one also
//! looks without it.

use std::{convert::Infallible, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::{
    error::Error,
    tx::{Arg, Tx},
};
use crate::model::word::{UnknownWord, unknown};

/// Channels belong to a database, and each vault has a database of its own: the name need not tell
/// vaults apart.
const CHANNEL: &str = "recvault";
/// Pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// What has changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum ChangeNotice {
    /// Something that ends streams, such as a tombstone: see `endings`.
    Tombstone,
    /// The epoch turned.
    Epoch,
}

impl ChangeNotice {
    fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Tells every process, as soon as this session commits; a session that is dropped tells nobody.
pub(super) async fn tell(tx: &mut Tx, word: ChangeNotice) -> Result<(), Error> {
    const SQL: &str = "/* news.tell */ SELECT pg_notify($1, $2)";
    if tx.is_postgres() {
        tx.execute(SQL, &[Arg::Text(CHANNEL), Arg::Text(word.as_str())])
            .await?;
    }
    Ok(())
}

/// The way in for news. It connects when it is followed.
pub struct ChangeFeed(Option<PgConnectOptions>);

impl ChangeFeed {
    /// Of a database that does not ring.
    pub(super) fn silent() -> Self {
        Self(None)
    }

    pub(super) fn of(options: &PgConnectOptions) -> Self {
        Self(Some(options.clone()))
    }

    /// Hands on every word, for ever, and makes the connection again when it is lost. Each time it
    /// is connected it says every word once, because any of them may have been missed.
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
    // Not one of the database's connections: these would be one fewer, and would not close while
    // somebody listens.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let all = <ChangeNotice as strum::VariantArray>::VARIANTS;
    all.iter().copied().for_each(&mut *hear);
    while let Some(told) = listener.try_recv().await? {
        // A word of a newer program is not for this one.
        told.payload().parse().into_iter().for_each(&mut *hear);
    }
    Err(Error::Unavailable(
        "the connection for notifications was lost".into(),
    ))
}
