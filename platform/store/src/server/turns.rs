//! The turns in which instances write: whose it is, and whether a COMMIT without an answer happened.

use super::Server;
use crate::error::StoreError;

/// How a turn began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nobody else has written since.
    Next,
    /// What is known in memory may be old.
    Anew,
    /// It is old, and not only what the store remembers: somebody else wrote a schema that nobody else
    /// may write.
    Lost,
}

/// Why a COMMIT did not end well.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It did not happen.
    Refused(StoreError),
    /// Whether it happened is not known.
    Unknown(StoreError),
}

impl Server {
    /// Begins a transaction of the writer, once it is this instance's turn. After a turn of another
    /// instance, [`Self::caught_up`] is to follow once what that one wrote is known.
    pub(crate) fn begin_turn(&self) -> Result<Turn, StoreError> {
        let (owner, turn) = self.again(|| {
            self.batch("BEGIN")?;
            self.lock_turn().inspect_err(|_| {
                // What is begun ends here; if that fails, the connection is gone, and so is it.
                drop(self.batch("ROLLBACK"));
            })
        })?;
        self.next_turn.set(turn.saturating_add(1));
        self.has_written.set(false);
        let before = self.seen.replace(Some((owner, turn)));
        if self.turn.get() == Some((owner, turn)) {
            return Ok(Turn::Next);
        }
        let is_foreign = owner != self.instance && before.is_some_and(|(_, before)| before != turn);
        Ok(if is_foreign && !self.place.is_shared { Turn::Lost } else { Turn::Anew })
    }

    fn lock_turn(&self) -> Result<(i64, i64), StoreError> {
        let select = "SELECT owner, turn FROM writer_turns WHERE id = 0 FOR UPDATE";
        let found = self.query(select, &[], |row| Ok((row.int(0)?, row.int(1)?)))?.pop();
        found.ok_or_else(|| StoreError::Open("writer_turns has no row 0".to_owned()))
    }

    /// Whether another instance has written what this one has not heard of yet. If so,
    /// [`Self::caught_up`] is to follow once it has.
    pub(crate) fn is_overtaken(&self) -> Result<bool, StoreError> {
        let select = "SELECT owner, turn FROM writer_turns WHERE id = 0";
        let read = || self.query(select, &[], |row| Ok((row.int(0)?, row.int(1)?)));
        let found = self.again(read)?.pop();
        self.seen.set(found);
        Ok(found.is_some() && self.heard.get() != found)
    }

    /// What was written up to the turn that was seen last has been heard of.
    pub(crate) fn caught_up(&self) {
        self.heard.set(self.seen.get());
    }

    /// Records the turn in the transaction: its last statement before COMMIT. A transaction that has
    /// written nothing is no turn, so that instances without work do not keep each other awake.
    pub(crate) fn record_turn(&self) -> Result<(), StoreError> {
        if !self.has_written.get() {
            return Ok(());
        }
        let update = "UPDATE writer_turns SET owner = $1, turn = $2 WHERE id = 0 OR id = $1";
        let values = [self.instance.into(), self.next_turn.get().into()];
        if self.execute(update, &values)? == 2 {
            return Ok(());
        }
        self.enlist_again();
        Err(StoreError::RolledBack("this instance is not known any more".to_owned()))
    }

    /// The row of this instance is gone, as after a restore: a new connection makes it again.
    fn enlist_again(&self) {
        self.give_up();
        if let Err(error) = self.connect().and_then(|()| self.enlist()) {
            tracing::warn!(%error, "this instance cannot be made known");
        }
    }

    /// COMMIT. If its answer is lost, [`Self::outcome`] tells whether it happened.
    pub(crate) fn commit(&self) -> Result<(), CommitError> {
        match self.batch("COMMIT") {
            Ok(()) => {
                self.has_committed();
                Ok(())
            }
            Err(error) if error.is_unavailable() => Err(CommitError::Unknown(error)),
            Err(error) => Err(CommitError::Refused(error)),
        }
    }

    fn has_committed(&self) {
        if !self.has_written.get() {
            self.turn.set(self.seen.get());
            return;
        }
        let turn = Some((self.instance, self.next_turn.get()));
        self.turn.set(turn);
        self.heard.set(turn);
    }

    /// Whether the COMMIT happened whose answer was lost. Reads under the lock: what held it is over.
    pub(crate) fn outcome(&self) -> Result<bool, StoreError> {
        self.connect()?;
        self.batch("BEGIN")?;
        let found = self.lock_turn().and_then(|_| {
            let select = "SELECT turn FROM writer_turns WHERE id = $1";
            self.query(select, &[self.instance.into()], |row| row.int(0))
        });
        drop(self.batch("ROLLBACK"));
        Ok(found?.first() == Some(&self.next_turn.get()))
    }

    /// Undoes the transaction; if the connection is lost, the server has done so.
    pub(crate) fn roll_back(&self) {
        self.turn.set(None);
        if self.is_open() && self.batch("ROLLBACK").is_err() {
            self.give_up();
        }
    }
}
