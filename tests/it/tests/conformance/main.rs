//! What the store promises, kept by every engine: one suite, run on SQLite, PostgreSQL and MariaDB.

#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its tasks end with it"
)]

mod servers;
mod suite;
mod tables;

use it::database::{Database, Kind};
use store::{Place, ServerPlace};
use tempfile::TempDir;

/// Where the stores of one engine are made.
enum Engine {
    Sqlite,
    Server(std::sync::Arc<Database>),
}

/// A place for one store, for as long as this lives.
struct Site {
    place: Place,
    _folder: Option<TempDir>,
}

impl Engine {
    fn server(kind: Kind) -> Self {
        Self::Server(Database::shared(kind))
    }

    fn site(&self) -> Site {
        match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                Site { place: folder.path().to_owned().into(), _folder: Some(folder) }
            }
            Self::Server(database) => {
                let place = ServerPlace::try_new(&database.place(), "millrace").unwrap();
                Site { place: Place::Server(place), _folder: None }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_every_promise() {
    suite::run(&Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_promise() {
    suite::run(&Engine::server(Kind::Postgres)).await;
    servers::run(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_every_promise() {
    suite::run(&Engine::server(Kind::Mariadb)).await;
    servers::run(Kind::Mariadb).await;
}
