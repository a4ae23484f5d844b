//! What other instances write in the same schema: it is noticed, and told to whom it concerns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::{Event, Position};
use futures::future::BoxFuture;

use super::{Writer, instant};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::log;
use crate::tx::{Tx, finish_now};

/// How often a server is asked for what happened there, while nothing is to be written: by an
/// instance that is alone, by one that others may join, and while others write.
const LOOK_AROUND_ALONE: Duration = Duration::from_secs(2);
const LOOK_AROUND_SHARED: Duration = Duration::from_millis(100);
const LOOK_AROUND_BESIDE: Duration = Duration::from_millis(20);
/// How long others count as writing.
const BESIDE: Duration = Duration::from_mins(1);
/// Segments of others that are heard of at a time.
const SEGMENTS_MAX: u32 = 64;

/// What a service remembers beside the store, where several instances share a schema.
pub trait Follower: Send + Sync + 'static {
    /// Hears what other instances have committed, before anything more is done here. It may read,
    /// and must not write. It may be told the same twice, and rows may be newer than the events.
    fn follow<'t>(
        &'t self,
        tx: &'t mut Tx,
        events: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), StoreError>>;
}

impl Writer {
    /// Asks a server, now and then, whether it is there and whether others have written: what they
    /// did may be due.
    pub(super) fn look_around(&mut self) {
        let Engine::Server(server) = self.tx.engine() else { return };
        let now = instant();
        let since = |moment: Option<Instant>| moment.map(|at| now.saturating_duration_since(at));
        let pause = match since(self.beside) {
            _ if !server.is_shared() => LOOK_AROUND_ALONE,
            Some(quiet) if quiet < BESIDE => LOOK_AROUND_BESIDE,
            Some(_) | None => LOOK_AROUND_SHARED,
        };
        if since(self.looked_around).is_some_and(|waited| waited < pause) {
            return;
        }
        let heard = server.is_overtaken().and_then(|is_overtaken| {
            if is_overtaken {
                self.catch_up()?;
            }
            Ok(())
        });
        match heard {
            Ok(()) => {
                self.looked_around = Some(now);
                self.set_down(None);
            }
            Err(error) => self.set_down(Some(&error)),
        }
    }

    /// Tells of what other instances have committed.
    pub(super) fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let next = Position::start_of(self.heard.saturating_add(1));
            let events = log::read_committed(&self.tx, next, SEGMENTS_MAX)?;
            let Some(last) = events.last() else { break };
            self.heard = last.id.position().segment;
            self.beside = Some(instant());
            // Outside of a turn, rows are changed while they are looked at.
            self.tx.doubt();
            for follower in &self.followers {
                let following = follower.follow(&mut self.tx, &events);
                finish_now(following).unwrap_or(Err(StoreError::Waited)).inspect_err(|_| {
                    // All of it is told again.
                    self.heard = next.segment.saturating_sub(1);
                })?;
            }
            for hook in &self.hooks {
                hook(&events);
            }
        }
        if let Engine::Server(server) = self.tx.engine() {
            server.caught_up();
        }
        Ok(())
    }

    /// Which of the instances that share the schema this one is.
    pub(super) fn instance(&self) -> Option<u32> {
        match self.tx.engine() {
            Engine::Sqlite(_) => None,
            Engine::Server(server) => server.slot(),
        }
    }
}
