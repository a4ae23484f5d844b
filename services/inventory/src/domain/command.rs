//! What people and other systems do to a level by hand.

use super::level::{Balances, Level, LevelError, LevelId};
use super::levels::{Kind, Levels, Why};

/// One change of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Units arrived.
    Receive {
        /// How many, above zero.
        units: i64,
    },
    /// Units are added, or taken away.
    Adjust {
        /// How many, not zero.
        delta: i64,
    },
    /// The shelf was counted.
    Set {
        /// The units that the caller saw on the shelf.
        expected: i64,
        /// The units that are there.
        new: i64,
    },
    /// Settings change; what is absent stays.
    Settings {
        /// The version that the caller saw, if it matters.
        expected_version: Option<u64>,
        /// Units never to be promised.
        safety: Option<i64>,
        /// The low mark.
        low_threshold: Option<i64>,
    },
}

/// Why a command is refused. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Units that are promised or quarantined would be taken away.
    #[error(
        "{on_hand} units are on the levels and {spoken_for} are promised or quarantined: it cannot hold {wanted}"
    )]
    SpokenFor {
        /// Units on the shelf.
        on_hand: i64,
        /// Units promised or quarantined.
        spoken_for: i64,
        /// Units that would be on the shelf.
        wanted: i64,
    },
    /// More units than a level can count.
    #[error("a level holds at most {max} units, not {wanted}", max = Level::UNITS_MAX)]
    TooMany {
        /// Units that would be on the shelf.
        wanted: i64,
    },
    /// The shelf is not as the caller saw it.
    #[error("{on_hand} units are on the shelf, not {expected}")]
    NotAsExpected {
        /// What the caller saw.
        expected: i64,
        /// Units on the shelf.
        on_hand: i64,
    },
    /// The level changed since the caller saw it.
    #[error("the level is at version {current}, not {expected}")]
    StaleVersion {
        /// What the caller saw.
        expected: u64,
        /// The version now.
        current: u64,
    },
    /// The units to move are not of the kind the command moves.
    #[error("{units} units cannot be moved so")]
    NotMovable {
        /// The units.
        units: i64,
    },
    /// The level is not there, or refuses the movement.
    #[error(transparent)]
    Level(#[from] LevelError),
}

impl Command {
    /// Carries the command out on the level `id`. Returns whether an entry was written: counting
    /// what is there already writes none.
    pub fn run(self, id: LevelId, levels: &mut Levels, why: &Why) -> Result<bool, Refusal> {
        let zero = Balances::default();
        let level = levels.level(id).ok_or(LevelError { id, from: zero, delta: zero })?;
        let balances = level.balances;
        let (kind, units) = match self {
            Self::Receive { units } if units < 1 => return Err(Refusal::NotMovable { units }),
            Self::Receive { units } => (Kind::Receive, units),
            Self::Adjust { delta: 0 } => return Err(Refusal::NotMovable { units: 0 }),
            Self::Adjust { delta } => (Kind::Adjust, delta),
            Self::Set { expected, .. } if expected != balances.on_hand => {
                let on_hand = balances.on_hand;
                return Err(Refusal::NotAsExpected { expected, on_hand });
            }
            Self::Set { new, .. } if new == balances.on_hand => return Ok(false),
            Self::Set { new, .. } => (Kind::Count, new - balances.on_hand),
            Self::Settings { expected_version: Some(expected), .. }
                if expected != level.version =>
            {
                return Err(Refusal::StaleVersion { expected, current: level.version });
            }
            Self::Settings { safety, low_threshold, .. } => {
                levels.change(id, |level| {
                    level.safety = safety.unwrap_or(level.safety);
                    level.low_threshold = low_threshold.unwrap_or(level.low_threshold);
                });
                return Ok(false);
            }
        };
        let wanted = balances.on_hand.saturating_add(units);
        if wanted < balances.spoken_for() {
            let (on_hand, spoken_for) = (balances.on_hand, balances.spoken_for());
            return Err(Refusal::SpokenFor { on_hand, spoken_for, wanted });
        }
        if wanted > Level::UNITS_MAX {
            return Err(Refusal::TooMany { wanted });
        }
        levels.apply(id, kind, Balances::on_hand(units), why)?;
        Ok(true)
    }
}
