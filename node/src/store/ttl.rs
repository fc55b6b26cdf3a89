use shoal_proto::types::UnixMillis;
use std::collections::BTreeSet;

/// Which slots hold values that expire, and when.
#[derive(Default)]
pub(super) struct DueTimes(BTreeSet<(UnixMillis, u32)>);

impl DueTimes {
    pub(super) fn insert(&mut self, at: UnixMillis, slot: u32) {
        self.0.insert((at, slot));
    }

    pub(super) fn remove(&mut self, at: UnixMillis, slot: u32) {
        self.0.remove(&(at, slot));
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The slot that has been due for longest at `now`.
    pub(super) fn first(&self, now: UnixMillis) -> Option<u32> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, slot)| *slot)
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (UnixMillis, u32)> {
        self.0.iter().copied()
    }
}
