//! What readers note of the bytes that pass: events, resets, and how long ago the last was committed.

use contracts::Timestamp;
use hdrhistogram::Histogram;
use memchr::memmem;

const EVENT: &[u8] = b"event: stock\n";
const RESET: &[u8] = b"event: reset\n";
const UPDATED_AT: &[u8] = b"\"updatedAt\":\"";
/// Latencies up to a minute, in microseconds, to three digits.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What was noted.
pub(super) struct Scan {
    pub(super) events: u64,
    pub(super) resets: u64,
    /// Microseconds from the commit to a reader, of the readers that are watched, once for each look that
    /// brought events.
    pub(super) latency_us: Histogram<u64>,
    /// The last time that was read, as text and as what it means: all readers get the same.
    last: (Vec<u8>, Timestamp),
}

impl Default for Scan {
    fn default() -> Self {
        let latency_us = Histogram::new_with_max(LATENCY_US_MAX, 3);
        Self {
            events: 0,
            resets: 0,
            // The bounds are constants that the histogram accepts.
            latency_us: latency_us.unwrap_or_else(|_| Histogram::new(3).expect("three digits")),
            last: (Vec::new(), Timestamp::default()),
        }
    }
}

fn count(bytes: &[u8], needle: &[u8]) -> u64 {
    let mut count = 0;
    for _ in memmem::find_iter(bytes, needle) {
        count += 1;
    }
    count
}

impl Scan {
    /// Forgets what was noted while the readers came.
    pub(super) fn begin(&mut self) {
        self.events = 0;
        self.resets = 0;
        self.latency_us.reset();
    }

    /// Counts what a reader got; returns how many events.
    pub(super) fn count(&mut self, bytes: &[u8]) -> u64 {
        let events = count(bytes, EVENT);
        self.events += events;
        self.resets += count(bytes, RESET);
        events
    }

    /// The same, and notes how late the last event is.
    pub(super) fn look_at_time(&mut self, bytes: &[u8], now: impl Fn() -> Timestamp) {
        if self.count(bytes) == 0 {
            return;
        }
        let Some(at) = memmem::rfind(bytes, UPDATED_AT) else { return };
        let text = &bytes[at.saturating_add(UPDATED_AT.len())..];
        let Some(end) = memchr::memchr(b'"', text) else { return };
        let text = &text[..end];
        if self.last.0 != text {
            let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            let Some(parsed) = parsed else { return };
            self.last = (text.to_vec(), parsed);
        }
        let late = now().since(self.last.1).as_micros();
        self.latency_us.saturating_record(u64::try_from(late).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_their_age_are_noted() {
        let at: Timestamp = "2026-11-21T13:36:08.349911Z".parse().unwrap();
        let bytes =
            b"event: stock\nid: 1-0\ndata: {\"updatedAt\":\"2026-11-21T13:36:08.349911Z\"}\n\n\
                      event: reset\ndata: {}\n\n";
        let mut scan = Scan::default();
        scan.look_at_time(bytes, || at.plus(std::time::Duration::from_millis(5)));
        scan.look_at_time(b":\n\n", || unreachable!("nothing to be timed"));
        assert_eq!((scan.events, scan.resets, scan.latency_us.len()), (1, 1, 1));
        let noted = scan.latency_us.max();
        assert!((4_990..=5_010).contains(&noted), "{noted}");
        scan.count(bytes);
        assert_eq!((scan.events, scan.resets, scan.latency_us.len()), (2, 2, 1), "not timed");
        scan.begin();
        assert_eq!((scan.events, scan.latency_us.len()), (0, 0));
    }
}
