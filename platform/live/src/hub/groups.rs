//! Who wants what. Clients with the same interest are one group, and one look wakes all of them.

use std::sync::Arc;

use hashbrown::HashMap;
use smol_str::SmolStr;
use tokio::sync::watch;

use super::Channel;

/// What a client wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interest {
    channel: Channel,
    keys: Box<[SmolStr]>,
}

impl Interest {
    /// Everything on `channel`.
    pub fn all(channel: Channel) -> Self {
        Self { channel, keys: Box::default() }
    }

    /// Only `keys` of `channel`; none stands for all.
    pub fn keys(channel: Channel, mut keys: Vec<SmolStr>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { channel, keys: keys.into() }
    }

    /// The channel.
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// The keys; empty for all.
    pub fn chosen(&self) -> &[SmolStr] {
        &self.keys
    }

    /// Whether it takes in `key` of `channel`.
    pub fn wants(&self, channel: Channel, key: &str) -> bool {
        let has = |keys: &[SmolStr]| keys.binary_search_by(|one| one.as_str().cmp(key)).is_ok();
        self.channel == channel && (self.keys.is_empty() || has(&self.keys))
    }
}

/// The last two ticks that concerned a group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Woken {
    latest: u64,
    before: u64,
}

impl Woken {
    /// Whether a tick from `cursor` on and before `first` may have concerned the group.
    pub(super) const fn may_have_missed(self, cursor: u64, first: u64) -> bool {
        let last = if self.latest >= first { self.before } else { self.latest };
        last >= cursor
    }
}

#[derive(Debug)]
struct Group {
    latest: watch::Sender<Woken>,
    members: usize,
}

/// All interests that anybody has.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_interest: HashMap<Arc<Interest>, Group>,
    joined: u64,
}

impl Groups {
    /// A member more; the number tells members apart.
    pub(super) fn join(
        &mut self,
        interest: Interest,
    ) -> (Arc<Interest>, watch::Receiver<Woken>, u64) {
        let interest = match self.by_interest.get_key_value(&interest) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(interest),
        };
        let new = || Group { latest: watch::Sender::new(Woken::default()), members: 0 };
        let group = self.by_interest.entry(Arc::clone(&interest)).or_insert_with(new);
        group.members += 1;
        self.joined = self.joined.wrapping_add(1);
        (interest, group.latest.subscribe(), self.joined)
    }

    pub(super) fn leave(&mut self, interest: &Arc<Interest>) {
        let Some(group) = self.by_interest.get_mut(interest) else { return };
        group.members = group.members.saturating_sub(1);
        if group.members == 0 {
            self.by_interest.remove(interest);
        }
    }

    pub(super) fn wake(&self, number: u64, concerned: impl Fn(&Interest) -> bool) {
        for (interest, group) in &self.by_interest {
            if concerned(interest) {
                group.latest.send_modify(|woken| {
                    *woken = Woken { latest: number, before: woken.latest };
                });
            }
        }
    }

    /// Wakes everybody for something that is not in the ring.
    pub(super) fn wake_for_loss(&self, number: u64) {
        for group in self.by_interest.values() {
            group.latest.send_replace(Woken { latest: number, before: number });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_interest.len()
    }
}
