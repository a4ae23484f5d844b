//! Decides about all lines of an owner as one set. Sums per level come before any check, so the
//! same SKU on two lines can never slip through twice.

use contracts::events::inventory::{Shortage, StockRefusal};
use contracts::events::order::ShortagePolicy;
use contracts::ids::Sku;

use super::level::{Balances, LevelError, LevelId};
use super::levels::{Kind, Levels, Why};
use super::line::HoldLine;

/// What one line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Where it would come from; none if the SKU is not known.
    pub level: Option<LevelId>,
    /// Units wanted.
    pub wanted: i64,
    /// Whether it is worthless to the owner without all its units.
    pub is_must: bool,
}

/// How many units each line gets from what is free. Lines that must have all their units come
/// first, so that a line content with less never makes them fail; then the lines in their sequence.
pub fn supply(asks: &[Ask], free: impl Fn(LevelId) -> i64) -> Vec<i64> {
    let mut left: Vec<(LevelId, i64)> = Vec::with_capacity(asks.len());
    let mut supplied = vec![0; asks.len()];
    for must in [true, false] {
        let turns = asks.iter().zip(supplied.iter_mut()).filter(|(ask, _)| ask.is_must == must);
        for (ask, units) in turns {
            let Some(level) = ask.level else { continue };
            let place = left.iter().position(|(known, _)| *known == level);
            let place = place.unwrap_or_else(|| {
                left.push((level, free(level)));
                left.len() - 1
            });
            if let Some((_, rest)) = left.get_mut(place) {
                *units = ask.wanted.min(*rest).max(0);
                *rest -= *units;
            }
        }
    }
    supplied
}

/// What a set of lines is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The first time: units ordered, held for a limited time.
    Hold,
    /// After the hold had expired: units that it lost, held again.
    HoldAgain,
    /// After the hold had expired and the money came: units that it lost, all of them or, where the
    /// policy is to wait, waited for.
    AllocateAgain,
}

impl Purpose {
    const fn wanted(self, line: &HoldLine) -> i64 {
        match self {
            Self::Hold => line.ordered,
            Self::HoldAgain | Self::AllocateAgain => line.expired,
        }
    }

    fn is_must(self, policy: ShortagePolicy) -> bool {
        match policy {
            ShortagePolicy::Reject => true,
            ShortagePolicy::Backorder => false,
            ShortagePolicy::AllowPartial | ShortagePolicy::Ask => self == Self::AllocateAgain,
        }
    }
}

/// Why a set of lines cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: StockRefusal,
    pub(super) shortages: Vec<Shortage>,
}

/// Reserves all lines as their policies allow, or changes nothing and says what is missing.
pub(super) fn reserve(
    lines: &mut [HoldLine],
    purpose: Purpose,
    levels: &mut Levels,
    why: &Why,
) -> Result<Result<(), Refused>, LevelError> {
    let ask = |line: &HoldLine| Ask {
        level: line.level,
        wanted: purpose.wanted(line),
        is_must: purpose.is_must(line.policy),
    };
    let asks: Vec<Ask> = lines.iter().map(ask).collect();
    let supplied = supply(&asks, |level| levels.level(level).map_or(0, super::Level::free));
    if let Some(refused) = refusal(lines, &asks, &supplied, levels) {
        return Ok(Err(refused));
    }
    let mut moves = Moves::default();
    for ((line, ask), units) in lines.iter_mut().zip(&asks).zip(supplied) {
        let Some(level) = line.level else { continue };
        line.expired = 0;
        match purpose {
            Purpose::Hold | Purpose::HoldAgain => {
                line.held += units;
                moves.add(level, Balances::held(units));
            }
            Purpose::AllocateAgain => {
                line.allocated += units;
                moves.add(level, Balances::allocated(units));
            }
        }
        let rest = ask.wanted - units;
        if line.policy == ShortagePolicy::Backorder && rest > 0 {
            line.backordered = rest;
            levels.change(level, |level| level.backordered += rest);
        }
    }
    let kind = if purpose == Purpose::AllocateAgain { Kind::Allocate } else { Kind::Hold };
    moves.apply(kind, levels, why)?;
    Ok(Ok(()))
}

/// Why the set is refused, if it is: a line that must be whole is not, or nothing at all could be
/// held or promised.
fn refusal(lines: &[HoldLine], asks: &[Ask], supplied: &[i64], levels: &Levels) -> Option<Refused> {
    let fate = |((line, ask), units): ((&HoldLine, &Ask), &i64)| {
        let can_wait = line.policy == ShortagePolicy::Backorder && line.level.is_some();
        // There is no shelf to wait at for a SKU that nobody knows.
        let must = ask.is_must || line.policy == ShortagePolicy::Backorder;
        (must && !can_wait && *units < ask.wanted, *units > 0 || (can_wait && ask.wanted > 0))
    };
    let fates: Vec<(bool, bool)> = lines.iter().zip(asks).zip(supplied).map(fate).collect();
    let fails = fates.iter().any(|(fails, _)| *fails);
    if !fails && fates.iter().any(|(_, gets)| *gets) {
        return None;
    }
    let mut refused = Refused { reason: StockRefusal::Insufficient, shortages: Vec::new() };
    for ((line, _), _) in lines
        .iter()
        .zip(&fates)
        .zip(asks)
        .filter(|((_, fate), ask)| fate.0 || (!fails && ask.wanted > 0))
    {
        if line.level.is_none() {
            refused.reason = StockRefusal::UnknownSku;
        }
        if refused.shortages.iter().all(|known| known.sku != line.sku) {
            refused.shortages.push(shortage(&line.sku, lines, asks, levels));
        }
    }
    Some(refused)
}

fn shortage(sku: &Sku, lines: &[HoldLine], asks: &[Ask], levels: &Levels) -> Shortage {
    let same = lines.iter().zip(asks).filter(|(line, _)| line.sku == *sku);
    let mut shortage = Shortage { sku: sku.clone(), requested: 0, available: 0 };
    for (line, ask) in same {
        shortage.requested += ask.wanted;
        let level = line.level.and_then(|level| levels.level(level));
        shortage.available = level.map_or(0, super::Level::free);
    }
    shortage
}

/// Movements summed per level: one change of a hold writes one entry per level, however many of its
/// lines share the SKU.
#[derive(Debug, Default)]
pub(super) struct Moves(Vec<(LevelId, Balances)>);

impl Moves {
    pub(super) fn add(&mut self, level: LevelId, delta: Balances) {
        match self.0.iter_mut().find(|(known, _)| *known == level) {
            Some((_, sum)) => *sum = *sum + delta,
            None => self.0.push((level, delta)),
        }
    }

    pub(super) fn apply(
        self,
        kind: Kind,
        levels: &mut Levels,
        why: &Why,
    ) -> Result<(), LevelError> {
        let moved = self.0.into_iter().filter(|(_, delta)| !delta.is_zero());
        moved.into_iter().try_for_each(|(level, delta)| levels.apply(level, kind, delta, why))
    }
}
