//! Migrations: numbered SQL files, applied once each, in order, and never changed afterwards.

use contracts::Timestamp;
use rusqlite::Connection;

use crate::error::StoreError;
use crate::sqlite;

/// The tables of one service.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The service that owns them.
    pub service: &'static str,
    /// File name and text, oldest first.
    pub migrations: &'static [(&'static str, &'static str)],
}

pub(crate) const PLATFORM: Schema = Schema {
    service: "platform",
    migrations: &[
        ("0001_platform", include_str!("../migrations/0001_platform.sql")),
        ("0002_pending", include_str!("../migrations/0002_pending.sql")),
    ],
};

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    service    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL, -- BLAKE3 of the file
    applied_at BIGINT NOT NULL, -- microseconds since the epoch
    PRIMARY KEY (service, name)
)";

/// Applies what is missing, all of it in one transaction; returns the names of what was applied.
pub(crate) fn apply(
    connection: &Connection,
    schemas: &[Schema],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    sqlite::batch(connection, "BEGIN IMMEDIATE")?;
    let applied = apply_all(connection, schemas, now);
    match applied {
        Ok(applied) => sqlite::batch(connection, "COMMIT").map(|()| applied),
        Err(error) => sqlite::batch(connection, "ROLLBACK").and(Err(error)),
    }
}

fn apply_all(
    connection: &Connection,
    schemas: &[Schema],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    sqlite::batch(connection, VERSIONS)?;
    let mut applied = Vec::new();
    for schema in std::iter::once(&PLATFORM).chain(schemas) {
        refuse_newer(connection, schema)?;
        for (name, sql) in schema.migrations {
            if apply_one(connection, schema.service, name, sql, now)? {
                applied.push(format!("{}/{name}", schema.service));
            }
        }
    }
    Ok(applied)
}

/// A database that a newer version has changed is not touched by this one.
fn refuse_newer(connection: &Connection, schema: &Schema) -> Result<(), StoreError> {
    let select = "SELECT name FROM schema_versions WHERE service = $1";
    let names = sqlite::query(connection, select, &[schema.service.into()], |row| {
        Ok(row.text(0)?.to_owned())
    })?;
    let known = |name: &String| schema.migrations.iter().any(|(known, _)| known == name);
    match names.into_iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(StoreError::Open(format!(
            "the database has migration {}/{name}, which this version does not know: use the \
             version that wrote it, or a newer one",
            schema.service
        ))),
    }
}

fn apply_one(
    connection: &Connection,
    service: &str,
    name: &str,
    sql: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let checksum = blake3::hash(sql.as_bytes()).to_hex();
    let select = "SELECT checksum FROM schema_versions WHERE service = $1 AND name = $2";
    let key = [service.into(), name.into()];
    let found = sqlite::query_one(connection, select, &key, |row| Ok(row.text(0)?.to_owned()))?;
    match found {
        Some(found) if found == checksum.as_str() => Ok(false),
        Some(_) => Err(StoreError::Open(format!(
            "migration {service}/{name} was changed after it was applied; restore the file and \
             add a new one"
        ))),
        None => {
            sqlite::batch(connection, sql)?;
            let insert = "INSERT INTO schema_versions (service, name, checksum, applied_at) \
                          VALUES ($1, $2, $3, $4)";
            let values = [service.into(), name.into(), checksum.as_str().into(), now.into()];
            sqlite::execute(connection, insert, &values)?;
            Ok(true)
        }
    }
}
