//! Locks that a connection holds until it ends: of a schema's only writer, or of one of several.

use super::{Server, mariadb, postgres};
use crate::error::StoreError;
use crate::place::Dialect;

/// Instances that may share a schema.
const SLOTS_MAX: u32 = 64;

impl Server {
    /// Takes the lock of the schema: for good by its only writer, while it starts by one of several.
    pub(super) fn exclude_others(&self) -> Result<(), StoreError> {
        if self.try_lock(&self.place.schema)? {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{} is in use by another millrace process: stop it, or choose another schema",
            self.place
        )))
    }

    /// Lets go of the lock of the schema.
    pub(crate) fn admit_others(&self) -> Result<(), StoreError> {
        let unlock = match self.place.dialect {
            Dialect::Postgres => postgres::UNLOCK,
            Dialect::Mariadb => mariadb::UNLOCK,
        };
        self.query(unlock, &[(&self.place.schema).into()], |row| row.opt_int(0)).map(drop)
    }

    /// Takes the lowest number that no other instance has. A number once taken stays this instance's:
    /// after a lost connection it waits until the server has forgotten that one.
    pub(super) fn take_slot(&self) -> Result<(), StoreError> {
        let (low, high) = self.slot.get().map_or((0, SLOTS_MAX), |slot| (slot, slot + 1));
        for slot in low..high {
            if self.try_lock(&format!("{slot}#{}", self.place.schema))? {
                self.slot.set(Some(slot));
                return Ok(());
            }
        }
        let place = &self.place;
        Err(StoreError::Unavailable(match self.slot.get() {
            Some(slot) => format!("{place} knows another instance {slot}"),
            None => format!("{place} is in use by {SLOTS_MAX} instances: stop some of them"),
        }))
    }

    fn try_lock(&self, name: &str) -> Result<bool, StoreError> {
        let lock = match self.place.dialect {
            Dialect::Postgres => postgres::TRY_LOCK,
            Dialect::Mariadb => mariadb::TRY_LOCK,
        };
        // MariaDB takes names of 64 characters.
        let name = name.get(..64).unwrap_or(name);
        let taken = self.query(lock, &[name.into()], |row| row.opt_int(0))?;
        Ok(taken.first() == Some(&Some(1)))
    }
}
