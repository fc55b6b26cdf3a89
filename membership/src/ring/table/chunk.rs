//! The search for neighbouring vnodes that can pass from one member to another together.

use super::{balance::added_breaks, balance::added_cost, draft::Stretch, rule::Rule};
use std::{cmp::Reverse, ops::Range};

/// Neighbouring vnodes that pass from one member to another.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) vnodes: Range<usize>,
}

/// Of the chunks from a member with an excess to one with too little, at most `price` per vnode and never beyond what
/// the two have to settle, the one that leaves the table least torn. Where many give to many, those who take are
/// served one after the other: trying all pairs takes long and does not find much better.
pub(super) fn best_chunk(
    stretches: &[Stretch],
    excess: &[i64],
    rule: &impl Rule,
    price: i64,
) -> Option<Chunk> {
    let mut takers: Vec<u16> =
        (0..excess.len() as u16).filter(|member| excess[usize::from(*member)] < 0).collect();
    takers.sort_by_key(|member| excess[usize::from(*member)]);
    let givers = excess.iter().filter(|excess| **excess > 0).count();
    let together = if givers < takers.len() { takers.len() } else { 1 };
    takers.chunks(together).find_map(|takers| best_chunk_to(takers, stretches, excess, rule, price))
}

fn best_chunk_to(
    takers: &[u16],
    stretches: &[Stretch],
    excess: &[i64],
    rule: &impl Rule,
    price: i64,
) -> Option<Chunk> {
    let mut search = Search { stretches, rule, price, best: None };
    let mut start = 0;
    for (anchor, stretch) in stretches.iter().enumerate() {
        let end = start + stretch.vnodes;
        for from in rule.holders(&stretch.now).iter().copied().filter(|from| excess[usize::from(*from)] > 0) {
            for to in takers.iter().copied() {
                let deal =
                    Deal { from, to, gives: excess[usize::from(from)], takes: -excess[usize::from(to)] };
                search.grow(&deal, anchor, Direction::Forwards(start));
                search.grow(&deal, anchor, Direction::Backwards(end));
            }
        }
        start = end;
    }
    search.best.map(|(_, chunk)| chunk)
}

/// What two members have to settle.
struct Deal {
    from: u16,
    to: u16,
    gives: i64,
    takes: i64,
}

/// Which way a chunk grows, and the vnode it grows from: an edge of its first stretch, which costs no break.
#[derive(Clone, Copy)]
enum Direction {
    Forwards(usize),
    Backwards(usize),
}

impl Direction {
    /// The index of the next stretch; beyond the first or last one it is the index of none.
    fn ahead(self, at: usize) -> usize {
        match self {
            Self::Forwards(_) => at + 1,
            Self::Backwards(_) => at.wrapping_sub(1),
        }
    }

    /// The index of the stretch before.
    fn behind(self, at: usize) -> usize {
        match self {
            Self::Forwards(_) => at.wrapping_sub(1),
            Self::Backwards(_) => at + 1,
        }
    }

    fn vnodes(self, count: usize) -> Range<usize> {
        match self {
            Self::Forwards(start) => start..start + count,
            Self::Backwards(end) => end - count..end,
        }
    }
}

/// Breaks the chunk adds and members it leaves to be settled by others, which will add breaks; then its length.
type Score = (i64, Reverse<usize>);

struct Search<'a, R> {
    stretches: &'a [Stretch],
    rule: &'a R,
    price: i64,
    best: Option<(Score, Chunk)>,
}

impl<R: Rule> Search<'_, R> {
    /// Considers every chunk that begins with the stretch `anchor` and ends with a stretch or where the deal is done.
    fn grow(&mut self, deal: &Deal, anchor: usize, direction: Direction) {
        let most = deal.gives.min(deal.takes) as usize;
        let (mut at, mut vnodes, mut opening) = (anchor, 0, 0);
        while let Some(stretch) = self.stretches.get(at) {
            let shifted = self.rule.shift(&stretch.now, deal.from, deal.to);
            let Some(shifted) = shifted.filter(|row| added_cost(self.rule, stretch, row) <= self.price)
            else {
                return;
            };
            if at == anchor {
                opening = added_breaks(stretch, &shifted, self.stretches.get(direction.behind(at)));
            }
            vnodes += stretch.vnodes;
            let closing = match vnodes > most {
                true => 1,
                false => added_breaks(stretch, &shifted, self.stretches.get(direction.ahead(at))),
            };
            self.offer(deal, direction, vnodes.min(most), opening + closing);
            if vnodes >= most {
                return;
            }
            at = direction.ahead(at);
        }
    }

    fn offer(&mut self, deal: &Deal, direction: Direction, vnodes: usize, breaks: i64) {
        let unsettled = [deal.gives, deal.takes].into_iter().filter(|open| *open > vnodes as i64).count();
        let score = (breaks + unsettled as i64, Reverse(vnodes));
        if self.best.as_ref().is_none_or(|(best, _)| score < *best) {
            let chunk = Chunk { from: deal.from, to: deal.to, vnodes: direction.vnodes(vnodes) };
            self.best = Some((score, chunk));
        }
    }
}
