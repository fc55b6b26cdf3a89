use super::slab::Slab;

/// No slot.
const NONE: u32 = u32::MAX;

/// An entry's neighbours in the queue it stands in.
#[derive(Clone, Copy)]
pub(super) struct Link {
    newer: u32,
    older: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { newer: NONE, older: NONE }
    }
}

/// Slots in the order in which they are given up, oldest first. A queue whose entries are refreshed on use evicts the
/// least recently used; one whose entries never are drops the first to come.
pub(super) struct EvictionQueue {
    newest: u32,
    oldest: u32,
}

impl EvictionQueue {
    pub(super) fn new() -> Self {
        Self { newest: NONE, oldest: NONE }
    }

    /// The slot to give up next.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Adds `slot`, which must stand in no queue, as the newest.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: u32) {
        slab[slot].link = Link { newer: NONE, older: self.newest };
        self.set_newer(slab, self.newest, slot);
        self.newest = slot;
    }

    /// Takes `slot` out of this queue, in which it must stand.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: u32) {
        let Link { newer, older } = slab[slot].link;
        self.set_newer(slab, older, newer);
        self.set_older(slab, newer, older);
    }

    /// Makes `slot` the newest.
    pub(super) fn refresh(&mut self, slab: &mut Slab, slot: u32) {
        if self.newest != slot {
            self.remove(slab, slot);
            self.push(slab, slot);
        }
    }

    /// The entry at `from` is about to move to `to`: its neighbours must find it there.
    pub(super) fn rename(&mut self, slab: &mut Slab, from: u32, to: u32) {
        let Link { newer, older } = slab[from].link;
        self.set_newer(slab, older, to);
        self.set_older(slab, newer, to);
    }

    fn set_newer(&mut self, slab: &mut Slab, slot: u32, newer: u32) {
        if slot == NONE { self.oldest = newer } else { slab[slot].link.newer = newer }
    }

    fn set_older(&mut self, slab: &mut Slab, slot: u32, older: u32) {
        if slot == NONE { self.newest = older } else { slab[slot].link.older = older }
    }

    /// Every slot, oldest first.
    #[cfg(test)]
    pub(super) fn iter<'a>(&self, slab: &'a Slab) -> impl Iterator<Item = u32> + 'a {
        std::iter::successors(self.oldest(), |slot| {
            Some(slab[*slot].link.newer).filter(|newer| *newer != NONE)
        })
    }
}
