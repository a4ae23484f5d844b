//! What happens to one place between two ticks becomes one event.

use hashbrown::HashMap;
use smol_str::SmolStr;

/// A change that can take in the next one of its place.
pub trait Change {
    /// Becomes what this and then `newer` make together.
    fn merge(&mut self, newer: Self);
}

/// The changes since the last tick, one for each place, in the sequence of their first.
#[derive(Debug)]
pub struct Pending<C> {
    places: HashMap<SmolStr, usize>,
    changes: Vec<(SmolStr, C)>,
    places_max: usize,
    overflowed: bool,
}

impl<C: Change> Pending<C> {
    /// Nothing yet; at most `places_max` places.
    pub fn new(places_max: usize) -> Self {
        Self { places: HashMap::new(), changes: Vec::new(), places_max, overflowed: false }
    }

    /// Notes a change of `place`.
    pub fn push(&mut self, place: SmolStr, change: C) {
        if let Some(known) = self.places.get(&place).and_then(|index| self.changes.get_mut(*index))
        {
            known.1.merge(change);
            return;
        }
        if self.changes.len() >= self.places_max {
            self.overflowed = true;
            return;
        }
        self.places.insert(place.clone(), self.changes.len());
        self.changes.push((place, change));
    }

    /// What is noted of `place`.
    pub fn get(&self, place: &str) -> Option<&C> {
        self.places.get(place).and_then(|index| self.changes.get(*index)).map(|known| &known.1)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, place: &str) -> Option<&mut C> {
        let index = self.places.get(place)?;
        self.changes.get_mut(*index).map(|known| &mut known.1)
    }

    /// How many places have changed.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Every place and its change.
    pub fn iter(&self) -> impl Iterator<Item = (&SmolStr, &C)> {
        self.changes.iter().map(|(place, change)| (place, change))
    }

    /// Everything, and whether that is everything: `None` if there were too many places.
    pub fn take(&mut self) -> Option<Vec<(SmolStr, C)>> {
        self.places.clear();
        let changes = std::mem::take(&mut self.changes);
        (!std::mem::take(&mut self.overflowed)).then_some(changes)
    }
}
