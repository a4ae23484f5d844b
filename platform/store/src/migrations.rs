//! Migrations: numbered SQL files, applied once each, in order, and never changed afterwards.

use contracts::Timestamp;

use crate::engine::Engine;
use crate::error::StoreError;
use crate::place::Dialect;
use crate::server;

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

/// What only stores on servers have.
const SERVER: Schema = Schema {
    service: "server",
    migrations: &[("0001_turns", include_str!("../migrations/server_0001_turns.sql"))],
};

/// Begins a transaction that only one process has at a time: the number is this program's alone.
const BEGIN_POSTGRES: &str = "BEGIN; SET LOCAL lock_timeout = '60s'; \
    SELECT pg_advisory_xact_lock(7239451120043)";

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    service    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL, -- BLAKE3 of the file
    applied_at BIGINT NOT NULL, -- microseconds since the epoch
    PRIMARY KEY (service, name)
)";

/// Applies what is missing, all of it in one transaction; returns the names of what was applied.
pub(crate) fn apply(
    engine: &Engine,
    schemas: &[Schema],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let (begin, end, undo) = match engine {
        Engine::Sqlite(_) => ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"),
        Engine::Server(server) => match server.dialect() {
            // Several processes may start at once: the first applies, the others find it done.
            Dialect::Postgres => (BEGIN_POSTGRES, "COMMIT", "ROLLBACK"),
            // Each statement that makes a table commits by itself there.
            Dialect::Mariadb => (
                "SELECT GET_LOCK('millrace-migrations', 30)",
                "SELECT RELEASE_LOCK('millrace-migrations')",
                "SELECT RELEASE_LOCK('millrace-migrations')",
            ),
        },
    };
    engine.batch(begin)?;
    match apply_all(engine, schemas, now) {
        Ok(applied) => engine.batch(end).map(|()| applied),
        Err(error) => engine.batch(undo).and(Err(error)),
    }
}

/// Runs the statements of a migration, on a server in its own words.
fn run(engine: &Engine, sql: &str) -> Result<(), StoreError> {
    let Engine::Server(server) = engine else { return engine.batch(sql) };
    for statement in server::migration(sql, server.dialect()) {
        engine.batch(&statement)?;
    }
    Ok(())
}

fn apply_all(
    engine: &Engine,
    schemas: &[Schema],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    run(engine, VERSIONS)?;
    let mut applied = Vec::new();
    let servers = match engine {
        Engine::Sqlite(_) => None,
        Engine::Server(_) => Some(&SERVER),
    };
    for schema in std::iter::once(&PLATFORM).chain(servers).chain(schemas) {
        refuse_newer(engine, schema)?;
        for (name, sql) in schema.migrations {
            if apply_one(engine, schema.service, name, sql, now)? {
                applied.push(format!("{}/{name}", schema.service));
            }
        }
    }
    Ok(applied)
}

/// A database that a newer version has changed is not touched by this one.
fn refuse_newer(engine: &Engine, schema: &Schema) -> Result<(), StoreError> {
    let select = "SELECT name FROM schema_versions WHERE service = $1";
    let names =
        engine.query(select, &[schema.service.into()], |row| Ok(row.text(0)?.to_owned()))?;
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
    engine: &Engine,
    service: &str,
    name: &str,
    sql: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let checksum = blake3::hash(sql.as_bytes()).to_hex();
    let select = "SELECT checksum FROM schema_versions WHERE service = $1 AND name = $2";
    let key = [service.into(), name.into()];
    let found = engine.query_one(select, &key, |row| Ok(row.text(0)?.to_owned()))?;
    match found {
        Some(found) if found == checksum.as_str() => Ok(false),
        Some(_) => Err(StoreError::Open(format!(
            "migration {service}/{name} was changed after it was applied; restore the file and \
             add a new one"
        ))),
        None => {
            run(engine, sql)?;
            let insert = "INSERT INTO schema_versions (service, name, checksum, applied_at) \
                          VALUES ($1, $2, $3, $4)";
            let values = [service.into(), name.into(), checksum.as_str().into(), now.into()];
            engine.execute(insert, &values)?;
            Ok(true)
        }
    }
}
