//! Reads images from a database and writes them to one.
//!
//! Owns the SQL texts. Each is built from the names in `table.rs` only, and every value is bound.

use super::{Image, table::Table};
use crate::db::{
    error::Error,
    row::Row,
    table::{Column, cell},
    tx::{Arg, BINDS, Tx, placeholders, set},
};

/// Returns the rows after a given one, or the first rows: pages by level and id, leaves first;
/// other tables by primary key. Returns fewer than `limit` only at the end.
///
/// # Errors
/// [`Error::Inconsistent`] for a row with an invalid value; [`Error::Statement`] if `after` is of
/// another table.
pub async fn chunk(
    tx: &mut Tx,
    table: Table,
    after: Option<&Image>,
    limit: i64,
) -> Result<Vec<Image>, Error> {
    belongs(table, after)?;
    if table == Table::Pages {
        return pages(tx, after, limit).await;
    }
    let key = table.key();
    let order = names(key.iter());
    let mut args: Vec<Arg<'_>> = after
        .into_iter()
        .flat_map(|after| after.args().take(key.len()))
        .collect();
    args.push(Arg::Int(limit));
    let travels = table.declaration().travels;
    let place = match after {
        Some(_) => format!(
            "WHERE {travels} AND ({order}) > {}",
            placeholders(1, key.len())
        ),
        None => format!("WHERE {travels}"),
    };
    rows(
        tx,
        "image.chunk",
        table,
        &format!("{place} ORDER BY {order} LIMIT ${}", args.len()),
        &args,
    )
    .await
}

/// Reads pages level by level: no index covers level and id, but each of the five levels has one in
/// the order of the ids.
async fn pages(tx: &mut Tx, after: Option<&Image>, limit: i64) -> Result<Vec<Image>, Error> {
    const NEXT: &str =
        "/* image.next_level */ SELECT COALESCE(MIN(level), -1) FROM pages WHERE level > $1";
    const LEVEL: &str = "WHERE level = $1 AND id > $2 ORDER BY id LIMIT $3";
    let mut found = Vec::new();
    let (mut level, mut id) = match after {
        Some(after) => (
            after.int("level").unwrap_or(-1),
            after.text("id").unwrap_or_default(),
        ),
        None => (tx.fetch_int(NEXT, &[Arg::Int(-1)]).await?, ""),
    };
    let mut room = limit;
    while level >= 0 && room > 0 {
        let of_level = rows(
            tx,
            "image.chunk",
            Table::Pages,
            LEVEL,
            &[Arg::Int(level), Arg::Text(id), Arg::Int(room)],
        )
        .await?;
        room -= i64::try_from(of_level.len()).unwrap_or(room);
        found.extend(of_level);
        if room > 0 {
            (level, id) = (tx.fetch_int(NEXT, &[Arg::Int(level)]).await?, "");
        }
    }
    Ok(found)
}

/// Returns the recordings after a given one, or the first ones, in the order in which the vault
/// heard of them. Returns fewer than `limit` only at the end.
///
/// # Errors
/// As [`chunk`].
pub async fn announced(
    tx: &mut Tx,
    after: Option<&Image>,
    limit: i64,
) -> Result<Vec<Image>, Error> {
    const FIRST: &str = "ORDER BY announced_at, id LIMIT $1";
    const NEXT: &str = "WHERE (announced_at, id) > ($1, $2) ORDER BY announced_at, id LIMIT $3";
    belongs(Table::Recordings, after)?;
    let limit = Arg::Int(limit);
    let name = "image.announced";
    match after.and_then(|after| Some((after.int("announced_at")?, after.text("id")?))) {
        None => rows(tx, name, Table::Recordings, FIRST, &[limit]).await,
        Some((at, id)) => {
            let args = [Arg::Int(at), Arg::Text(id), limit];
            rows(tx, name, Table::Recordings, NEXT, &args).await
        }
    }
}

/// Returns the rows of one recording, token, policy (by digest) or page.
///
/// # Errors
/// [`Error::Inconsistent`] as for [`chunk`]; [`Error::Statement`] for a table without such an
/// owner: vault, epochs, audit.
pub async fn find(tx: &mut Tx, table: Table, subject: &str) -> Result<Vec<Image>, Error> {
    find_all(tx, table, &[subject]).await
}

/// Returns the rows of these recordings, tokens, policies (by digest) or pages.
///
/// # Errors
/// As [`find`].
pub async fn find_all(tx: &mut Tx, table: Table, subjects: &[&str]) -> Result<Vec<Image>, Error> {
    let column = table.declaration().subject.ok_or_else(|| {
        Error::Statement(format!(
            "no column of table `{}` to find rows by",
            table.name()
        ))
    })?;
    let order = names(table.key().iter());
    let subjects = set(subjects);
    let travels = table.declaration().travels;
    let clauses =
        format!("WHERE {travels} AND {column} IN (SELECT key FROM json_each($1)) ORDER BY {order}");
    rows(tx, "image.find", table, &clauses, &[Arg::Text(&subjects)]).await
}

/// Returns the packs that have ciphertext of these recordings.
///
/// # Errors
/// [`Error::Inconsistent`] as for [`chunk`].
pub async fn packs_of(tx: &mut Tx, recordings: &[&str]) -> Result<Vec<Image>, Error> {
    const NAMED: &str = "WHERE number IN (SELECT pack FROM pack_contents WHERE recording_id IN (SELECT key FROM json_each($1))) ORDER BY number";
    let recordings = set(recordings);
    let args = [Arg::Text(&recordings)];
    rows(tx, "image.packs_of", Table::Packs, NAMED, &args).await
}

/// Returns the artefacts that name this pack and lack their ciphertext; not those of shredded
/// recordings.
///
/// # Errors
/// [`Error::Inconsistent`] as for [`chunk`].
pub async fn unfilled(tx: &mut Tx, pack: i64) -> Result<Vec<Image>, Error> {
    const UNFILLED: &str = "WHERE pack IS NOT NULL AND length(inline) = 0 AND pack = $1
        AND (SELECT state FROM recordings WHERE id = artefacts.recording_id) <> 'shredded' ORDER BY pack_at";
    let args = [Arg::Int(pack)];
    rows(tx, "image.unfilled", Table::Artefacts, UNFILLED, &args).await
}

/// Inserts new rows.
///
/// # Errors
/// [`Error::Conflict`] (PostgreSQL) or [`Error::Statement`] (SQLite) if one exists already;
/// [`Error::Statement`] if a referenced row does not exist (unless [`defer_references`]), or an
/// image is of another table. The unit of work must then be abandoned.
pub async fn insert(tx: &mut Tx, table: Table, images: &[Image]) -> Result<(), Error> {
    write(tx, "image.insert", table, images, |values| {
        format!("VALUES {values}")
    })
    .await
}

/// Inserts rows, or replaces those with the same primary key. Keys must be distinct. Existing
/// tombstones and audit entries stay unchanged.
///
/// # Errors
/// As for [`insert`], for unique columns besides the primary key.
pub async fn upsert(tx: &mut Tx, table: Table, images: &[Image]) -> Result<(), Error> {
    let (key, others) = table.columns().split_at(table.key().len());
    if table.declaration().only_grows {
        // Not by `ON CONFLICT` alone: SQLite runs the triggers first, and they refuse a second row.
        // `column1` is the first column of `VALUES`.
        let name = table.name();
        let same: Vec<String> = key
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{name}.{} = new.column{}", column.name, at + 1))
            .collect();
        let same = same.join(" AND ");
        let is_new = format!("NOT EXISTS (SELECT 1 FROM {name} WHERE {same})");
        return write(tx, "image.upsert", table, images, |values| {
            format!("SELECT * FROM (VALUES {values}) AS new WHERE {is_new} ON CONFLICT DO NOTHING")
        })
        .await;
    }
    let replacing: Vec<String> = others
        .iter()
        .map(|column| format!("{name} = excluded.{name}", name = column.name))
        .collect();
    let change = match replacing.as_slice() {
        [] => "NOTHING".to_owned(),
        replacing => format!("UPDATE SET {}", replacing.join(", ")),
    };
    let ending = format!("ON CONFLICT ({}) DO {change}", names(key.iter()));
    write(tx, "image.upsert", table, images, |values| {
        format!("VALUES {values} {ending}")
    })
    .await
}

/// Returns the name of a table that has a row, of all tables in the database; `None` if the
/// database is as its migrations left it.
pub async fn first_row(tx: &mut Tx) -> Result<Option<String>, Error> {
    const SQLITE: &str = "/* image.tables */ SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'";
    const POSTGRES: &str = "/* image.tables */
        SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
    // Rows that migrations insert, and the condition under which they were changed since.
    const BEGUN: [(&str, &str); 4] = [
        ("audit_head", "seq > 0"),
        ("timelines", "timeline > 1"),
        (
            "turner",
            "journaled_to > 0 OR numbered_to > 0 OR chained > 0 OR settled = 0",
        ),
        // An interrupted or running `init` has created nothing yet.
        ("intended", "1 = 0"),
    ];
    let tables = tx
        .fetch_all(if tx.is_postgres() { POSTGRES } else { SQLITE }, &[])
        .await?;
    let names = tables
        .iter()
        .map(|row| row.text("name"))
        .collect::<Result<Vec<_>, _>>()?;
    for name in names.into_iter().filter(|name| name != "_sqlx_migrations") {
        let counted = BEGUN
            .iter()
            .find(|(begun, _)| *begun == name)
            .map_or("1 = 1", |(_, condition)| condition);
        let sql = format!(
            "/* image.first_row */ SELECT COUNT(*) FROM (SELECT 1 FROM \"{name}\" WHERE {counted} LIMIT 1) AS one"
        );
        if tx.fetch_int(&sql, &[]).await? > 0 {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Allows key entries to refer to missing pages until the end of the unit of work. The commit
/// checks the references and fails with [`Error::Statement`]. The unit also gets no time limit, and
/// more memory on SQLite.
pub async fn defer_references(tx: &mut Tx) -> Result<(), Error> {
    tx.defer_references().await
}

/// Returns the number of rows of a table that are moved.
pub async fn count(tx: &mut Tx, table: Table) -> Result<i64, Error> {
    let name = table.name();
    let travels = table.declaration().travels;
    let sql = format!("/* image.count */ SELECT COUNT(*) FROM {name} WHERE {travels}");
    tx.fetch_int(&sql, &[]).await
}

async fn rows(
    tx: &mut Tx,
    query: &str,
    table: Table,
    clauses: &str,
    args: &[Arg<'_>],
) -> Result<Vec<Image>, Error> {
    let sql = format!(
        "/* {query} */ SELECT {} FROM {} {clauses}",
        selected(table),
        table.name()
    );
    tx.fetch_all(&sql, args)
        .await?
        .iter()
        .map(|row| image(table, row))
        .collect()
}

async fn write(
    tx: &mut Tx,
    query: &str,
    table: Table,
    images: &[Image],
    source: impl Fn(&str) -> String,
) -> Result<(), Error> {
    belongs(table, images)?;
    let width = table.columns().len();
    for images in images.chunks(BINDS / width) {
        let places = tx.values(images.len(), width);
        let name = table.name();
        let columns = names(table.columns().iter());
        let sql = format!(
            "/* {query} */ INSERT INTO {name} ({columns}) {}",
            source(&places)
        );
        let args: Vec<Arg<'_>> = images.iter().flat_map(Image::args).collect();
        tx.execute(&sql, &args).await?;
    }
    Ok(())
}

fn belongs<'a>(table: Table, images: impl IntoIterator<Item = &'a Image>) -> Result<(), Error> {
    match images.into_iter().find(|image| image.table != table) {
        None => Ok(()),
        Some(other) => Err(Error::Statement(format!(
            "a row of table `{}` is none of table `{}`",
            other.table.name(),
            table.name()
        ))),
    }
}

/// Returns the columns as an image has them.
fn selected(table: Table) -> String {
    let Some((empty, condition)) = table.declaration().left_out else {
        return names(table.columns().iter());
    };
    let column = |column: &Column| match column.name == empty {
        true => format!("CASE WHEN {condition} THEN '' ELSE {empty} END AS {empty}"),
        false => column.name.to_owned(),
    };
    let columns: Vec<String> = table.columns().iter().map(column).collect();
    columns.join(", ")
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns
        .map(|column| column.name)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Image {
    fn args(&self) -> impl Iterator<Item = Arg<'_>> {
        self.table
            .columns()
            .iter()
            .zip(&self.values)
            .map(|(column, value)| Arg::of(value, column.kind))
    }
}

fn image(table: Table, row: &Row) -> Result<Image, Error> {
    let declared = table.declaration();
    let value = |(at, column): (usize, &Column)| {
        cell(row, at, column.kind).ok_or_else(|| declared.inconsistent_at(at, row))
    };
    let values = declared.columns.iter().enumerate().map(value);
    Ok(Image {
        table,
        values: values.collect::<Result<_, Error>>()?,
    })
}
