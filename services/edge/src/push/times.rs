//! Positions where several edges hear the same log over a network: times.
//!
//! Each of them hears the partitions of the log in a sequence of its own, so a place in that sequence
//! means nothing to another edge, or to the same one after a restart. The time at which the log got an
//! event means the same to all. A position is the newest such time that an edge had heard when it told
//! of something, in milliseconds, and a count. Who comes back with one is told everything that came
//! since a little before ([`SLACK`]), and so may be told something twice, but is never left without.

use std::time::Duration;

use contracts::{Position, Timestamp};

/// How far apart the partitions of the log, its brokers' clocks, and two edges may be.
const SLACK: Duration = Duration::from_secs(5);
/// A position further in the future than this is nobody's.
const AHEAD_MAX: Duration = Duration::from_mins(1);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The milliseconds of `time`.
fn segment(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros().div_euclid(1_000)).unwrap_or(0)
}

/// The position of what is heard at `time`, behind `last`.
pub(super) fn behind(last: Option<Position>, time: Timestamp) -> Position {
    let start = Position::start_of(segment(time));
    let Some(last) = last.filter(|last| *last >= start) else { return start };
    if last.index < Position::INDEX_MAX {
        return Position { index: last.index + 1, ..last };
    }
    Position::start_of(last.segment.saturating_add(1))
}

/// From where to tell somebody who was told everything up to `asked`; `None` if that cannot be.
pub(super) fn since(asked: Position, now: Timestamp) -> Option<Position> {
    let latest = segment(now).saturating_add(millis(AHEAD_MAX));
    let since = Position::start_of(asked.segment.saturating_sub(millis(SLACK)));
    (asked.segment > 0 && asked.segment <= latest).then_some(since)
}

/// The time of a position.
pub(super) fn time(position: Position) -> Timestamp {
    let millis = i64::try_from(position.segment).unwrap_or(i64::MAX);
    Timestamp::from_micros(millis.saturating_mul(1_000))
}

/// Whether what the log got at `time` may have been told before `floor` only.
pub(super) fn is_before(time: Timestamp, floor: Position) -> bool {
    segment(time) <= floor.segment.saturating_add(millis(SLACK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_rise_whatever_the_times_do() {
        let at = |millis: i64| Timestamp::from_micros(millis * 1_000);
        let mut last = None;
        let mut seen = Vec::new();
        for time in [1_000, 1_000, 999, 1_001, 1_001, 5] {
            last = Some(behind(last, at(time)));
            seen.extend(last.map(|one| (one.segment, one.index)));
        }
        assert_eq!(seen, [(1_000, 0), (1_000, 1), (1_000, 2), (1_001, 0), (1_001, 1), (1_001, 2)]);
        let full = Position { segment: 7, index: Position::INDEX_MAX };
        assert_eq!(behind(Some(full), at(7)), Position::start_of(8));
    }

    #[test]
    fn who_comes_back_is_told_from_a_little_before_and_nobody_comes_from_the_future() {
        let now = Timestamp::from_micros(1_000_000_000);
        let asked = |segment| since(Position { segment, index: 3 }, now);
        assert_eq!(asked(900_000), Some(Position::start_of(895_000)));
        assert_eq!(asked(2_000), Some(Position::start_of(0)));
        assert_eq!((asked(0), asked(1_060_001)), (None, None));
        assert_eq!(asked(1_060_000), Some(Position::start_of(1_055_000)));
    }
}
