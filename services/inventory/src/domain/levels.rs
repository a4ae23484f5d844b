//! The levels that a batch touches, and the journal entries that it writes: the one place where a
//! balance changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use contracts::ids::{OrderId, Sku};

use super::level::{Balances, Level, LevelError, LevelId};

/// What changed a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Units arrived.
    Receive,
    /// Units were added or taken away by a person.
    Adjust,
    /// Units were held for a limited time.
    Hold,
    /// Held or allocated units were given back.
    Release,
    /// Held units were given back because their time was over.
    Expire,
    /// Units now belong to an owner.
    Allocate,
    /// Allocated units were dispatched.
    Consume,
    /// Dispatched units came back.
    Return,
    /// Units left for another location.
    TransferOut,
    /// Units came from another location.
    TransferIn,
    /// The shelf was set to a counted number.
    Count,
}

impl Kind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 11] = [
        Self::Receive,
        Self::Adjust,
        Self::Hold,
        Self::Release,
        Self::Expire,
        Self::Allocate,
        Self::Consume,
        Self::Return,
        Self::TransferOut,
        Self::TransferIn,
        Self::Count,
    ];

    /// The number that stands for the kind at rest and on the wire; never reused.
    pub const fn code(self) -> i32 {
        match self {
            Self::Receive => 1,
            Self::Adjust => 2,
            Self::Hold => 3,
            Self::Release => 4,
            Self::Expire => 5,
            Self::Allocate => 6,
            Self::Consume => 7,
            Self::Return => 8,
            Self::TransferOut => 9,
            Self::TransferIn => 10,
            Self::Count => 11,
        }
    }

    /// The kind of a code.
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| i64::from(kind.code()) == code)
    }

    /// Whether entries of this kind may move units so. Each kind has its own sign.
    pub const fn allows(self, delta: Balances) -> bool {
        let Balances { on_hand, held, allocated, quarantined } = delta;
        match self {
            Self::Receive | Self::Return | Self::TransferIn => {
                on_hand > 0 && held == 0 && allocated == 0 && quarantined >= 0
            }
            Self::TransferOut => on_hand < 0 && held == 0 && allocated == 0 && quarantined == 0,
            Self::Adjust | Self::Count => {
                on_hand != 0 && held == 0 && allocated == 0 && quarantined == 0
            }
            Self::Hold => on_hand == 0 && held > 0 && allocated == 0 && quarantined == 0,
            Self::Release => {
                on_hand == 0
                    && held <= 0
                    && allocated <= 0
                    && held + allocated < 0
                    && quarantined == 0
            }
            Self::Expire => on_hand == 0 && held < 0 && allocated == 0 && quarantined == 0,
            // What had been held, or free units that go straight to an owner who waited.
            Self::Allocate => {
                on_hand == 0 && allocated > 0 && held <= 0 && held >= -allocated && quarantined == 0
            }
            Self::Consume => on_hand < 0 && on_hand == allocated && held == 0 && quarantined == 0,
        }
    }
}

/// What stands behind a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// An order. One change of its hold, or one shipment, writes at most one entry of a kind per
    /// level: `step` is the number of that change, or of the shipment.
    Order {
        /// The order.
        id: OrderId,
        /// The change of the hold, or the shipment.
        step: u64,
    },
    /// A document outside, or the owner of a hold who is not an order.
    Document(Arc<str>),
    /// A person, named as the actor.
    Person,
}

/// Why a level changes: what an entry says besides the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What stands behind it.
    pub cause: Cause,
    /// Who makes it; none is inventory itself.
    pub actor: Option<Arc<str>>,
    /// Why, for people; may be empty.
    pub reason: Cow<'static, str>,
}

/// One change of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The place of the level in [`Levels::slots`].
    pub slot: usize,
    /// The place of the entry among those of its level, from 1 without gaps.
    pub sequence: u64,
    /// What changed the level.
    pub kind: Kind,
    /// By how much.
    pub delta: Balances,
    /// The balances afterwards.
    pub balances: Balances,
    /// Why.
    pub why: Why,
}

/// A level in the hands of a batch.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The level's key.
    pub id: LevelId,
    /// Its SKU.
    pub sku: Sku,
    /// As it stands now.
    pub level: Level,
    /// The last order that moved it in this batch.
    pub last_order: Option<OrderId>,
    /// Whether anything of it is other than it was loaded.
    pub is_changed: bool,
}

/// The levels that a batch touches. Each is loaded once, changed in memory, written once.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    slots: Vec<Slot>,
    places: HashMap<LevelId, usize>,
    entries: Vec<Entry>,
}

impl Levels {
    /// Puts a loaded level on the shelf, unless it is there already.
    pub fn place(&mut self, id: LevelId, sku: &Sku, level: Level) {
        if self.places.contains_key(&id) {
            return;
        }
        self.places.insert(id, self.slots.len());
        let sku = sku.clone();
        self.slots.push(Slot { id, sku, level, last_order: None, is_changed: false });
    }

    /// Whether the level is here.
    pub fn has(&self, id: LevelId) -> bool {
        self.places.contains_key(&id)
    }

    /// The level as it stands now.
    pub fn level(&self, id: LevelId) -> Option<&Level> {
        self.places.get(&id).and_then(|place| self.slots.get(*place)).map(|slot| &slot.level)
    }

    /// Changes what of a level is not in the journal: settings, and how much is waited for.
    pub fn change(&mut self, id: LevelId, change: impl FnOnce(&mut Level)) {
        let slot = self.places.get(&id).and_then(|place| self.slots.get_mut(*place));
        if let Some(slot) = slot {
            change(&mut slot.level);
            slot.level.version += 1;
            slot.is_changed = true;
        }
    }

    /// The levels, in the sequence they came.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The entries written so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the entries and the levels apart, to be saved.
    pub fn into_parts(self) -> (Vec<Slot>, Vec<Entry>) {
        (self.slots, self.entries)
    }

    /// Moves units of one level and writes the entry, or changes nothing.
    pub fn apply(
        &mut self,
        id: LevelId,
        kind: Kind,
        delta: Balances,
        why: &Why,
    ) -> Result<(), LevelError> {
        let found = self.places.get(&id).copied();
        let Some((place, slot)) = found.and_then(|at| Some((at, self.slots.get_mut(at)?))) else {
            return Err(LevelError { id, from: Balances::default(), delta });
        };
        let from = slot.level.balances;
        let balances = from + delta;
        if !kind.allows(delta) || !balances.are_sound() {
            return Err(LevelError { id, from, delta });
        }
        slot.level.balances = balances;
        slot.level.entries += 1;
        slot.level.version += 1;
        slot.is_changed = true;
        if let Cause::Order { id: order, .. } = &why.cause {
            slot.last_order = Some(*order);
        }
        let sequence = slot.level.entries;
        let why = why.clone();
        self.entries.push(Entry { slot: place, sequence, kind, delta, balances, why });
        Ok(())
    }
}
