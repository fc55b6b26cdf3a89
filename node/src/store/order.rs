//! The order of values in their lists: by last use in some, and in others by when they came.
//!
//! A value that is used only notes in which turn of its list that was, so that a use touches nothing but the value. A
//! turn is over once a sixteenth of the list was used in it. Behind a list by use stands a chain for every turn that is
//! told apart; a value is in that of the turn in which it was last moved, and moves on to that of its last use when it
//! comes to be the last of all.

use super::{
    arena::{Arena, Loc},
    links::{Chain, Ends},
    record,
};

/// Lists that order what may be given up; a header has room for three bits of them.
pub(super) const LISTS: usize = 8;
/// Of them, those by use; in the others a header's byte of use is free for the policy.
pub(super) const BY_USE: usize = 4;
/// Chains behind all lists.
pub(super) const CHAINS: usize = BY_USE * KEPT as usize + LISTS - BY_USE;

/// How many turns a list is thought to be long.
const TURNS: u64 = 5;
/// Turns that are told apart; those before them count as the oldest.
const KEPT: u8 = 32;
/// Turns are numbered around.
const NUMBERS: u8 = 128;
/// Values put in their place to find the one that was not used for longest, at most.
const SORTED: usize = 32;

/// The turns of one list.
#[derive(Debug, Clone, Copy, Default)]
struct Turns {
    now: u8,
    oldest: u8,
    /// Values that became first in this one.
    moves: u64,
}

impl Turns {
    fn kept(self) -> u8 {
        self.now.wrapping_sub(self.oldest) % NUMBERS
    }

    /// Whether `turn` came after the oldest; a turn that is not kept did not.
    fn is_later(self, turn: u8) -> bool {
        let since = turn.wrapping_sub(self.oldest) % NUMBERS;
        since > 0 && since <= self.kept()
    }
}

/// All lists.
pub(super) struct Order {
    turns: [Turns; BY_USE],
}

impl Order {
    pub(super) fn new() -> Self {
        Self { turns: [Turns::default(); BY_USE] }
    }

    /// Makes an entry that is in no list the first of one that has `len` others.
    pub(super) fn push_first(&mut self, arena: &mut Arena, ends: &mut Ends, list: usize, at: Loc, len: u64) {
        record::set_list(arena.at_mut(at), list);
        let chain = self.newest(list);
        ends.push_first(arena, Chain::Order, chain, at);
        if list < BY_USE {
            record::set_uses(arena.at_mut(at), self.turns[list].now);
            self.count(arena, ends, list, len + 1);
        }
    }

    /// Makes an entry the first of the list by use in which it is, by a note; returns whether it had none of this turn.
    pub(super) fn note(
        &mut self,
        arena: &mut Arena,
        ends: &mut Ends,
        list: usize,
        at: Loc,
        len: u64,
    ) -> bool {
        let now = self.turns[list].now;
        let head = arena.at_mut(at);
        if record::uses(head) == now {
            return false;
        }
        record::set_uses(head, now);
        self.count(arena, ends, list, len);
        true
    }

    /// The last of a list as far as its order is known.
    pub(super) fn last(&self, ends: &Ends, list: usize) -> Option<Loc> {
        self.chains(list).find_map(|chain| ends.last(chain))
    }

    /// The entry of a list by use that was not used for longest.
    pub(super) fn least_recent(&mut self, arena: &mut Arena, ends: &mut Ends, list: usize) -> Option<Loc> {
        for _ in 0..SORTED {
            while ends.last(chain(list, self.turns[list].oldest)).is_none() && self.turns[list].kept() > 0 {
                self.turns[list].oldest = (self.turns[list].oldest + 1) % NUMBERS;
            }
            let at = ends.last(chain(list, self.turns[list].oldest))?;
            let used = record::uses(arena.at(at));
            if !self.turns[list].is_later(used) {
                return Some(at);
            }
            ends.remove(arena, Chain::Order, at);
            ends.push_first(arena, Chain::Order, chain(list, used), at);
        }
        self.last(ends, list)
    }

    /// What stands before `at` in its list as far as its order is known.
    pub(super) fn before(&self, arena: &Arena, ends: &Ends, at: Loc) -> Option<Loc> {
        let before = ends.before(arena, Chain::Order, at);
        let end = before.as_end().filter(|_| record::list(arena.at(at)) < BY_USE);
        match end {
            Some(chain) => {
                let mut later = self.chains(record::list(arena.at(at))).skip_while(|other| *other != chain);
                later.next();
                later.find_map(|chain| ends.last(chain))
            }
            None => Some(before).filter(|at| at.as_end().is_none()),
        }
    }

    /// The chains behind a list, oldest first.
    fn chains(&self, list: usize) -> impl Iterator<Item = usize> + use<> {
        let turns = if list < BY_USE { self.turns[list] } else { Turns::default() };
        (0..=turns.kept()).map(move |n| chain(list, turns.oldest.wrapping_add(n)))
    }

    fn newest(&self, list: usize) -> usize {
        chain(list, if list < BY_USE { self.turns[list].now } else { 0 })
    }

    /// Counts what became first in a list that is so long, and begins a new turn if it is time.
    fn count(&mut self, arena: &mut Arena, ends: &mut Ends, list: usize, len: u64) {
        let turns = &mut self.turns[list];
        turns.moves += 1;
        if turns.moves * TURNS < len {
            return;
        }
        *turns = Turns { now: (turns.now + 1) % NUMBERS, moves: 0, ..*turns };
        if turns.kept() == KEPT {
            let oldest = turns.oldest;
            turns.oldest = (oldest + 1) % NUMBERS;
            ends.append(arena, Chain::Order, chain(list, oldest), chain(list, turns.oldest));
        }
    }
}

fn chain(list: usize, turn: u8) -> usize {
    match list.checked_sub(BY_USE) {
        None => list * usize::from(KEPT) + usize::from(turn % KEPT),
        Some(number) => BY_USE * usize::from(KEPT) + number,
    }
}
