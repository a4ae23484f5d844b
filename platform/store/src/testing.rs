//! A real store in a temporary folder, with a clock that tests move.

use std::ops::Deref;
use std::sync::Arc;

use contracts::Timestamp;
use contracts::clock::ManualClock;

use crate::error::StoreError;
use crate::migrations::Schema;
use crate::writer::{Store, StoreOptions};

/// A store that lives as long as this value.
pub struct TestStore {
    /// The clock; it stands at 2026-11-21T12:00:00Z until it is moved.
    pub clock: Arc<ManualClock>,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Opens an empty store with the tables of `schemas`.
pub fn open(schemas: &[Schema]) -> Result<TestStore, StoreError> {
    open_stream(schemas, 0)
}

/// The same for a store whose log has the number `stream`.
pub fn open_stream(schemas: &[Schema], stream: u16) -> Result<TestStore, StoreError> {
    let folder = tempfile::tempdir().map_err(|error| StoreError::Open(error.to_string()))?;
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_262_400_000_000)));
    let store = Store::open(StoreOptions {
        place: folder.path().to_owned().into(),
        schemas: schemas.to_vec(),
        clock: Arc::<ManualClock>::clone(&clock),
        stream,
    })?;
    Ok(TestStore { clock, store, _folder: folder })
}
