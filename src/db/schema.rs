//! The schema: one list of tables, translated for each database.
//!
//! Owns the type names that differ between the two. A change of the schema is a new migration after
//! the first, in the same form; the first one changes only until the first release.

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

const TABLES: &str = include_str!("schema/tables.sql");

/// SQLite's names for PostgreSQL's types.
const SQLITE_TYPES: [(&str, &str); 2] = [(" BIGINT", " INTEGER"), (" BYTEA", " BLOB")];

/// Returns the migrations for SQLite.
pub(super) fn sqlite() -> Migrator {
    let tables = SQLITE_TYPES
        .iter()
        .fold(TABLES.to_owned(), |tables, (from, to)| {
            tables.replace(from, to)
        });
    migrator(tables + include_str!("schema/sqlite.sql"))
}

/// Returns the migrations for PostgreSQL.
pub(super) fn postgres() -> Migrator {
    migrator(TABLES.to_owned() + include_str!("schema/postgres.sql"))
}

fn migrator(sql: String) -> Migrator {
    let sql = AssertSqlSafe(sql).into_sql_str();
    let first = Migration::new(1, "schema".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first])
}
