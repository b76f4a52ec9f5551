//! One person in the calls of many recordings, inserted by SQL.

use std::{collections::BTreeMap, path::Path};

use recvault::model::id::{RecordingId, SubjectId};
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::Failure;

/// Gives each recording a call of its own, and each call this person.
const SQL: [&str; 2] = [
    "UPDATE recordings SET call_sid = 'CA' || substr(id, 5) WHERE id IN (SELECT key FROM json_each($1)) AND $2 <> ''",
    "INSERT INTO parties (conversation, account, leg, subject, named_at) SELECT 'CA' || substr(key, 5), '*', 'caller', $2, 0 FROM json_each($1) AS named",
];

/// Names a person as a party of the calls of these recordings, in the database of this URL; `base`
/// is the folder of a database file.
pub(crate) async fn name(
    url: &str,
    base: &Path,
    ids: &[RecordingId],
    subject: SubjectId,
) -> Result<(), Failure> {
    let members: BTreeMap<String, bool> = ids.iter().map(|id| (id.to_string(), true)).collect();
    let members = serde_json::to_string(&members)?;
    let subject = subject.to_string();
    match url.strip_prefix("sqlite:") {
        Some(file) => {
            let mut connection = SqliteConnection::connect_with(
                &SqliteConnectOptions::new().filename(base.join(file)),
            )
            .await?;
            for sql in SQL {
                let _rows = sqlx::query(sql)
                    .bind(members.clone())
                    .bind(subject.clone())
                    .execute(&mut connection)
                    .await?;
            }
            Ok(connection.close().await?)
        }
        None => {
            let mut connection = PgConnection::connect(url).await?;
            for sql in SQL {
                let _rows = sqlx::query(sql)
                    .bind(&members)
                    .bind(&subject)
                    .execute(&mut connection)
                    .await?;
            }
            Ok(connection.close().await?)
        }
    }
}
