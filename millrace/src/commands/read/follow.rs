//! One thread that reads all streams.
//!
//! Readers share their processors with the server that they measure, so they must cost little. Some,
//! evenly spread over all, are watched: they are read as soon as something is there, and how late it
//! is is noted. The others are read in turn, everything that came since their last turn at once, and
//! what they got is counted. A reader on another machine costs the server no wake-up either.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contracts::Clock as _;
use contracts::clock::SystemClock;
use mio::{Events, Interest, Poll, Token};

use super::scan::Scan;

/// Bytes that one look takes in.
const LOOK_BYTES: usize = 256 * 1_024;
/// In this time every reader that is not watched has its turn once.
const ROUND: Duration = Duration::from_millis(500);
/// How often those whose turn it is are read.
const STEP: Duration = Duration::from_millis(10);
/// Events of the system that one look at watched readers takes.
const EVENTS_MAX: usize = 1_024;

/// What passes between the thread and who started it.
#[derive(Debug, Default)]
struct Signals {
    begin: AtomicBool,
    stop: AtomicBool,
    lost: AtomicU64,
}

/// All readers, at work.
pub(super) struct Readers {
    signals: Arc<Signals>,
    thread: JoinHandle<Scan>,
}

impl Readers {
    /// Begins to read `streams`, and watches about `timed` of them.
    pub(super) fn start(streams: Vec<TcpStream>, timed: u64) -> anyhow::Result<Self> {
        let streams: Vec<_> =
            streams.into_iter().map(|one| Some(mio::net::TcpStream::from_std(one))).collect();
        let timed = usize::try_from(timed)?.clamp(1, streams.len().max(1));
        let signals = Arc::new(Signals::default());
        let mut work = Work {
            streams,
            every: 1,
            poll: Poll::new()?,
            scan: Scan::default(),
            buffer: vec![0; LOOK_BYTES],
            turn: 0,
            signals: Arc::clone(&signals),
        };
        work.every = work.streams.len().div_ceil(timed).max(1);
        work.watch()?;
        let thread = std::thread::Builder::new().name("readers".into());
        let thread = thread.spawn(move || work.run())?;
        Ok(Self { signals, thread })
    }

    /// Forgets what was noted while the readers came.
    pub(super) fn begin(&self) {
        self.signals.begin.store(true, Ordering::Release);
    }

    /// Ends; gives what was noted, and how many readers the server left.
    pub(super) fn end(self) -> anyhow::Result<(Scan, u64)> {
        self.signals.stop.store(true, Ordering::Release);
        let scan = self.thread.join().ok().context("the thread of the readers ended by itself")?;
        Ok((scan, self.signals.lost.load(Ordering::Acquire)))
    }
}

struct Work {
    streams: Vec<Option<mio::net::TcpStream>>,
    /// One of so many is watched.
    every: usize,
    poll: Poll,
    scan: Scan,
    buffer: Vec<u8>,
    /// The next reader whose turn it is.
    turn: usize,
    signals: Arc<Signals>,
}

#[expect(clippy::disallowed_methods, reason = "paces a thread, decides nothing")]
fn now() -> Instant {
    Instant::now()
}

impl Work {
    fn watch(&mut self) -> io::Result<()> {
        for (place, stream) in self.streams.iter_mut().enumerate().step_by(self.every) {
            if let Some(stream) = stream {
                self.poll.registry().register(stream, Token(place), Interest::READABLE)?;
            }
        }
        Ok(())
    }

    fn run(mut self) -> Scan {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut due = now() + STEP;
        while !self.signals.stop.load(Ordering::Acquire) {
            if self.signals.begin.swap(false, Ordering::AcqRel) {
                self.scan.begin();
            }
            let wait = due.saturating_duration_since(now());
            // An interrupted look is one that found nothing.
            if self.poll.poll(&mut events, Some(wait)).is_ok() {
                for event in &events {
                    self.read(event.token().0, true);
                }
            }
            if now() >= due {
                due += STEP;
                self.others();
            }
        }
        self.scan
    }

    /// Reads those whose turn it is: all of them within a round.
    fn others(&mut self) {
        let steps = ROUND.as_millis().div_euclid(STEP.as_millis()).max(1);
        let steps = usize::try_from(steps).unwrap_or(1);
        for _ in 0..self.streams.len().div_ceil(steps) {
            let place = self.turn;
            self.turn = if place + 1 < self.streams.len() { place + 1 } else { 0 };
            if !place.is_multiple_of(self.every) {
                self.read(place, false);
            }
        }
    }

    fn read(&mut self, place: usize, is_watched: bool) {
        loop {
            let Some(Some(stream)) = self.streams.get_mut(place) else { return };
            match stream.read(&mut self.buffer) {
                Ok(read @ 1..) => {
                    let bytes = self.buffer.get(..read).unwrap_or_default();
                    if is_watched {
                        self.scan.look_at_time(bytes, || SystemClock.now());
                    } else {
                        self.scan.count(bytes);
                    }
                    // Less than there is room for: that was all. Whatever comes next is told anew.
                    if read < self.buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.streams.get_mut(place).and_then(Option::take);
                    self.signals.lost.fetch_add(1, Ordering::AcqRel);
                    return;
                }
            }
        }
    }
}
