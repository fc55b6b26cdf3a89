//! Lists of entries, in both directions, through locations that the entries themselves hold.

use super::{
    arena::{Arena, Loc},
    record,
};

/// Through which pair of an entry's links a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// The list that decides when an entry is given up.
    Order,
    /// The entries whose expiry falls into one bucket of the wheel.
    Wheel,
}

impl Chain {
    fn at(self, head: &[u8]) -> usize {
        match self {
            Self::Order => record::LIST_AT,
            Self::Wheel => record::wheel_at(head),
        }
    }
}

/// The ends of all lists: what is first and what is last in each.
pub(super) struct Ends(Box<[[Loc; 2]]>);

impl Ends {
    pub(super) fn new(lists: usize) -> Self {
        Self((0..lists).map(|list| [Loc::end(list); 2]).collect())
    }

    pub(super) fn last(&self, list: usize) -> Option<Loc> {
        Some(self.0[list][1]).filter(|at| at.as_end().is_none())
    }

    /// What stands before `at`, which may be an end.
    pub(super) fn before(&self, arena: &Arena, chain: Chain, at: Loc) -> Loc {
        self.links(arena, chain, at)[1]
    }

    pub(super) fn push_first(&mut self, arena: &mut Arena, chain: Chain, list: usize, at: Loc) {
        let (end, first) = (Loc::end(list), self.0[list][0]);
        self.set(arena, chain, at, 0, first);
        self.set(arena, chain, at, 1, end);
        self.set(arena, chain, first, 1, at);
        self.0[list][0] = at;
    }

    pub(super) fn remove(&mut self, arena: &mut Arena, chain: Chain, at: Loc) {
        let [next, prev] = self.links(arena, chain, at);
        self.set(arena, chain, next, 1, prev);
        self.set(arena, chain, prev, 0, next);
    }

    /// Puts all that is in the list `from` behind what is in the list `to`.
    pub(super) fn append(&mut self, arena: &mut Arena, chain: Chain, from: usize, to: usize) {
        let [first, last] = std::mem::replace(&mut self.0[from], [Loc::end(from); 2]);
        if first.as_end().is_none() {
            let before = self.0[to][1];
            self.set(arena, chain, before, 0, first);
            self.set(arena, chain, first, 1, before);
            self.set(arena, chain, last, 0, Loc::end(to));
            self.0[to][1] = last;
        }
    }

    /// The entry that its neighbours still know elsewhere is at `at` now.
    pub(super) fn moved(&mut self, arena: &mut Arena, chain: Chain, at: Loc) {
        let [next, prev] = self.links(arena, chain, at);
        self.set(arena, chain, next, 1, at);
        self.set(arena, chain, prev, 0, at);
    }

    fn links(&self, arena: &Arena, chain: Chain, at: Loc) -> [Loc; 2] {
        match at.as_end() {
            Some(list) => self.0[list],
            None => {
                let head = arena.at(at);
                let links = &head[chain.at(head)..];
                [Loc::read(links), Loc::read(&links[Loc::BYTES..])]
            }
        }
    }

    fn set(&mut self, arena: &mut Arena, chain: Chain, at: Loc, side: usize, to: Loc) {
        match at.as_end() {
            Some(list) => self.0[list][side] = to,
            None => {
                let head = arena.at_mut(at);
                let links = chain.at(head) + side * Loc::BYTES;
                to.write(&mut head[links..]);
            }
        }
    }
}
