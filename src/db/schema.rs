//! The schema: one list of tables, said in the words of either database.
//!
//! Owns what is renamed from the one to the other. A change of the schema is a new migration behind
//! the first, in the same form; the first one changes only while nothing is released.

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

const TABLES: &str = include_str!("schema/tables.sql");

/// SQLite's words for PostgreSQL's types.
const SQLITE_TYPES: [(&str, &str); 2] = [(" BIGINT", " INTEGER"), (" BYTEA", " BLOB")];

/// What makes a schema in SQLite.
pub(super) fn sqlite() -> Migrator {
    let tables = SQLITE_TYPES
        .iter()
        .fold(TABLES.to_owned(), |tables, (from, to)| {
            tables.replace(from, to)
        });
    migrator(tables + include_str!("schema/sqlite.sql"))
}

/// What makes a schema in PostgreSQL.
pub(super) fn postgres() -> Migrator {
    migrator(TABLES.to_owned() + include_str!("schema/postgres.sql"))
}

fn migrator(sql: String) -> Migrator {
    let sql = AssertSqlSafe(sql).into_sql_str();
    let first = Migration::new(1, "schema".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first])
}
