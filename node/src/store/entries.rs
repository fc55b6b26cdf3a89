//! The entries of a shard: found by key, kept in lists, moved about as memory is given back.
//!
//! Whatever frees memory may move any entry: a location is good until the next such call.

#[cfg(test)]
mod check;

use super::{
    arena::{Arena, Loc},
    class::{self, Class},
    fault,
    index::Index,
    links::{Chain, Ends, LISTS},
    record::{self, Fields},
};
use shoal_proto::types::Vnode;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// An entry to be stored.
pub(super) struct New<'a> {
    pub(super) hash: u64,
    pub(super) fields: Fields,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// How much stands in one list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// How many turns a list is thought to be long.
const TURNS: u64 = 16;

/// Counts what became first in a list; in the course of a turn that is a sixteenth of what the list has.
#[derive(Debug, Clone, Copy)]
struct Turn {
    moves: u64,
    /// From 1 to 127 and around; an entry that is refreshed notes it among its uses.
    number: u8,
}

impl Turn {
    const FIRST: Self = Self { moves: 0, number: 1 };

    fn count(&mut self, len: u64) {
        self.moves += 1;
        if self.moves * TURNS >= len {
            *self = Self { moves: 0, number: self.number % 127 + 1 };
        }
    }
}

pub(super) struct Entries {
    arena: Arena,
    ends: Ends,
    index: Index,
    sums: [Sum; LISTS],
    turns: [Turn; LISTS],
    expiring: u64,
    seed: u64,
}

impl Entries {
    pub(super) fn new(index: Index, seed: u64, wheel_lists: usize) -> Self {
        let ends = Ends::new(LISTS + wheel_lists);
        Self {
            arena: Arena::default(),
            ends,
            index,
            sums: [Sum::default(); LISTS],
            turns: [Turn::FIRST; LISTS],
            expiring: 0,
            seed,
        }
    }

    /// Bytes that the limit must cover: entries, begun pages, index.
    pub(super) fn bytes(&self) -> u64 {
        self.arena.charged() + self.index.bytes()
    }

    /// Bytes of pages taken from the system, and of the index.
    pub(super) fn taken(&self) -> u64 {
        self.arena.taken() + self.index.bytes()
    }

    /// Of them, what an index takes by itself.
    pub(super) fn index_bytes(&self) -> u64 {
        self.index.bytes()
    }

    pub(super) fn sum(&self, list: usize) -> Sum {
        self.sums[list]
    }

    pub(super) fn find(&self, vnode: Vnode, hash: u64, key: &[u8]) -> Option<Loc> {
        self.index.find(vnode, hash, |at| record::vnode(self.arena.at(at)) == vnode && self.has_key(at, key))
    }

    /// The entry whose key has this hash; no ghost.
    pub(super) fn find_by_hash(&self, vnode: Vnode, hash: u64) -> Option<Loc> {
        let is_it = |at: Loc| {
            let head = self.arena.at(at);
            record::vnode(head) == vnode && !record::is_ghost(head) && self.hash(at) == hash
        };
        self.index.find(vnode, hash, is_it)
    }

    pub(super) fn find_ghost(&self, vnode: Vnode, hash: u64) -> Option<Loc> {
        let is_it = |at: Loc| {
            let head = self.arena.at(at);
            record::vnode(head) == vnode && record::is_ghost(head) && record::ghost_hash(head) == hash
        };
        self.index.find(vnode, hash, is_it)
    }

    /// Hashes keys by another seed from now on; only while there are none.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The header's bytes and more.
    pub(super) fn head(&self, at: Loc) -> &[u8] {
        self.arena.at(at)
    }

    /// The list the entry stands in.
    pub(super) fn list(&self, at: Loc) -> usize {
        record::list(self.arena.at(at))
    }

    pub(super) fn set_uses(&mut self, at: Loc, uses: u8) {
        record::set_uses(self.arena.at_mut(at), uses);
    }

    pub(super) fn fields(&self, at: Loc) -> Fields {
        Fields::read(self.arena.at(at))
    }

    /// The hash of the entry's key.
    pub(super) fn hash(&self, at: Loc) -> u64 {
        let head = self.arena.slot(at);
        if record::is_ghost(head) {
            return record::ghost_hash(head);
        }
        let (start, key_len) = (record::header_len_of(head), record::key_len(head));
        match head.get(start..start + key_len) {
            Some(key) => xxh3_64_with_seed(key, self.seed),
            None => xxh3_64_with_seed(&self.copy(at, 0..key_len), self.seed),
        }
    }

    pub(super) fn key(&self, at: Loc) -> Vec<u8> {
        self.copy(at, 0..record::key_len(self.arena.at(at)))
    }

    pub(super) fn value(&self, at: Loc) -> Vec<u8> {
        let head = self.arena.at(at);
        let key_len = record::key_len(head);
        self.copy(at, key_len..key_len + record::value_len(head))
    }

    /// What the entry is charged.
    pub(super) fn weight(&self, at: Loc) -> u64 {
        let head = self.arena.at(at);
        if !record::is_cut(head) {
            return self.arena.class(at).charge();
        }
        class::charge(record::header_len_of(head) + record::key_len(head) + record::value_len(head))
    }

    /// By how much [`Entries::bytes`] would grow with an entry of `len` bytes, the index aside.
    pub(super) fn cost(&self, len: usize) -> u64 {
        class::cost(len, |class| self.arena.in_use(class))
    }

    /// Stores an entry that is not there, as the first of `list`; `None` when there is no room to be had at all.
    pub(super) fn insert(&mut self, new: &New<'_>, list: usize) -> Option<Loc> {
        let at = self.write(new)?;
        self.index.insert(new.fields.vnode, new.hash, at);
        self.push_first(at, list);
        Some(at)
    }

    /// Forgets the entry, which stands in a list but not in the wheel.
    pub(super) fn remove(&mut self, at: Loc) {
        self.unlist(at);
        self.index.remove(record::vnode(self.arena.at(at)), self.hash(at), at);
        if !fault::active("leak_bytes") {
            self.free(at);
        }
    }

    /// Puts `new` in the place of the entry of the same key, in its list too; neither is in the wheel. Returns where it
    /// is, and what is to be given to [`Entries::free`] once a value that expires is in the wheel again. `None` when
    /// there is no room to be had at all: nothing has changed then.
    pub(super) fn replace(&mut self, at: Loc, new: &New<'_>) -> Option<(Loc, Option<Loc>)> {
        let (list, uses) = (self.list(at), record::uses(self.arena.at(at)));
        let (links, weight) = (record::list_links(self.arena.at(at)), self.weight(at));
        let len = new.fields.header_len(false) + new.key.len() + new.value.len();
        let class = Class::for_piece(len);
        let in_place =
            len <= class.size() && class == self.arena.class(at) && !record::is_cut(self.arena.at(at));
        let to = if in_place {
            let slot = self.arena.slot_mut(at);
            let header_len = new.fields.write(slot, false);
            Source { key: new.key, value: new.value }.fill(&mut slot[header_len..]);
            at
        } else {
            self.write(new)?
        };
        let head = self.arena.at_mut(to);
        record::set_list_links(head, links);
        record::set_list(head, list);
        record::set_uses(head, uses);
        if in_place {
            return Some((to, None));
        }
        self.ends.moved(&mut self.arena, Chain::Order, to);
        self.index.rename(new.fields.vnode, new.hash, at, to);
        self.sums[list].bytes = self.sums[list].bytes + self.weight(to) - weight;
        Some((to, Some(at)))
    }

    pub(super) fn last(&self, list: usize) -> Option<Loc> {
        self.ends.last(list)
    }

    /// What stands before `at` in its list.
    pub(super) fn before(&self, at: Loc) -> Option<Loc> {
        self.ends.before(&self.arena, Chain::Order, at)
    }

    /// Makes an entry the first of a list, its own or another.
    pub(super) fn move_first(&mut self, at: Loc, list: usize) {
        if record::list(self.arena.at(at)) != list {
            self.unlist(at);
            self.push_first(at, list);
        } else if !self.ends.is_first(list, at) {
            self.ends.remove(&mut self.arena, Chain::Order, at);
            self.ends.push_first(&mut self.arena, Chain::Order, list, at);
            self.turns[list].count(self.sums[list].count);
        }
    }

    /// Makes an entry the first of a list, unless it became that so lately that little is before it.
    ///
    /// What is used most stays where it is that way, which saves the way to three other entries.
    pub(super) fn refresh(&mut self, at: Loc, list: usize) {
        let head = self.arena.at(at);
        if record::list(head) == list && record::uses(head) == self.turns[list].number {
            return;
        }
        self.move_first(at, list);
        record::set_uses(self.arena.at_mut(at), self.turns[list].number);
    }

    /// Puts an entry into a bucket of the wheel.
    pub(super) fn add_due(&mut self, at: Loc, bucket: usize) {
        self.ends.push_first(&mut self.arena, Chain::Wheel, LISTS + bucket, at);
        self.expiring += 1;
    }

    /// Takes an entry out of the wheel.
    pub(super) fn remove_due(&mut self, at: Loc) {
        self.ends.remove(&mut self.arena, Chain::Wheel, at);
        self.expiring -= 1;
    }

    /// Entries in the wheel.
    pub(super) fn expiring(&self) -> u64 {
        self.expiring
    }

    /// Some entry of the wheel's bucket.
    pub(super) fn any_due(&self, bucket: usize) -> Option<Loc> {
        self.ends.last(LISTS + bucket)
    }

    /// See [`Index::walk`].
    pub(super) fn walk(&self, vnode: Vnode, after: u64) -> impl Iterator<Item = (u16, Loc)> {
        let of_vnode = move |(_, at): &(u16, Loc)| record::vnode(self.arena.at(*at)) == vnode;
        self.index.walk(vnode, after).filter(of_vnode)
    }

    /// Moves a page that is in the way of giving memory back to the system; false if there is none to move it to.
    pub(super) fn compact(&mut self) -> bool {
        let Some(page) = self.arena.begin_move() else { return false };
        for (from, to) in page.slots() {
            self.arena.move_slot(from, to);
            self.moved(from, to);
        }
        self.arena.end_move(&page);
        true
    }

    fn push_first(&mut self, at: Loc, list: usize) {
        self.ends.push_first(&mut self.arena, Chain::Order, list, at);
        record::set_list(self.arena.at_mut(at), list);
        let weight = self.weight(at);
        self.sums[list].count += 1;
        self.sums[list].bytes += weight;
        self.turns[list].count(self.sums[list].count);
    }

    fn unlist(&mut self, at: Loc) {
        let (list, weight) = (record::list(self.arena.at(at)), self.weight(at));
        self.sums[list].count -= 1;
        self.sums[list].bytes -= weight;
        self.ends.remove(&mut self.arena, Chain::Order, at);
    }

    fn has_key(&self, at: Loc, key: &[u8]) -> bool {
        let head = self.arena.slot(at);
        if record::key_len(head) != key.len() || record::is_ghost(head) {
            return false;
        }
        let start = record::header_len_of(head);
        match head.get(start..start + key.len()) {
            Some(held) => held == key,
            None => self.copy(at, 0..key.len()) == key,
        }
    }

    /// A part of key and value, which follow each other.
    fn copy(&self, at: Loc, part: std::ops::Range<usize>) -> Vec<u8> {
        let (mut skip, mut bytes) = (part.start, Vec::with_capacity(part.len()));
        let head = self.arena.slot(at);
        let mut piece = &head[record::header_len_of(head)..];
        let mut next = self.second(at);
        loop {
            let end = piece.len().min(skip + part.len() - bytes.len());
            bytes.extend_from_slice(piece.get(skip..end).unwrap_or_default());
            skip = skip.saturating_sub(piece.len());
            let Some(at) = next.filter(|_| bytes.len() < part.len()) else { return bytes };
            let tail = self.arena.slot(at);
            piece = &tail[class::TAIL_HEADER..];
            next = Some(Loc::read(&tail[record::TAIL_NEXT_AT..])).filter(|next| *next != Loc::NONE);
        }
    }

    /// Writes an entry into new slots, in no list and not in the index.
    fn write(&mut self, new: &New<'_>) -> Option<Loc> {
        let payload = new.key.len() + new.value.len();
        let whole = Class::for_piece(new.fields.header_len(false) + payload);
        let cut = whole.size() < new.fields.header_len(false) + payload;
        let header_len = new.fields.header_len(cut);
        let class = if cut { Class::for_piece(header_len + payload) } else { whole };
        // A header that is longer for being cut can come to fit a slot by itself; then it has no second piece.
        let head = self.arena.take(class)?;
        let mut source = Source { key: new.key, value: new.value };
        let slot = self.arena.slot_mut(head);
        new.fields.write(slot, cut);
        source.fill(&mut slot[header_len..]);
        let mut prev = head;
        while source.left() > 0 {
            let Some(at) = self.arena.take(Class::for_piece(source.left() + class::TAIL_HEADER)) else {
                self.free(head);
                return None;
            };
            self.set_next(head, prev, at);
            let slot = self.arena.slot_mut(at);
            slot[0] = 0;
            prev.write(&mut slot[record::TAIL_PREV_AT..]);
            Loc::NONE.write(&mut slot[record::TAIL_NEXT_AT..]);
            source.fill(&mut slot[class::TAIL_HEADER..]);
            prev = at;
        }
        Some(head)
    }

    /// Gives an entry's slots back, which nothing leads to any more.
    pub(super) fn free(&mut self, mut head: Loc) {
        while let Some(second) = self.second(head) {
            let third = Loc::read(&self.arena.at(second)[record::TAIL_NEXT_AT..]);
            self.set_next(head, head, third);
            if third != Loc::NONE {
                head.write(&mut self.arena.at_mut(third)[record::TAIL_PREV_AT..]);
            }
            if let Some(from) = self.arena.give(second) {
                if from == head {
                    // Unlisted, so nothing but its pieces knows where it is.
                    head = second;
                    self.tie_second(head);
                } else {
                    self.moved(from, second);
                }
            }
        }
        if let Some(from) = self.arena.give(head) {
            self.moved(from, head);
        }
    }

    /// Tells all who knew a piece at `from` that it is at `to`.
    fn moved(&mut self, from: Loc, to: Loc) {
        let piece = self.arena.at(to);
        if record::is_head(piece) {
            let (vnode, due) = (record::vnode(piece), record::due(piece).is_some());
            self.index.rename(vnode, self.hash(to), from, to);
            self.ends.moved(&mut self.arena, Chain::Order, to);
            if due {
                self.ends.moved(&mut self.arena, Chain::Wheel, to);
            }
            self.tie_second(to);
        } else {
            let prev = Loc::read(&piece[record::TAIL_PREV_AT..]);
            let next = Loc::read(&piece[record::TAIL_NEXT_AT..]);
            let head = if record::is_head(self.arena.at(prev)) { prev } else { Loc::NONE };
            self.set_next(head, prev, to);
            if next != Loc::NONE {
                to.write(&mut self.arena.at_mut(next)[record::TAIL_PREV_AT..]);
            }
        }
    }

    fn second(&self, head: Loc) -> Option<Loc> {
        let bytes = self.arena.at(head);
        let second = record::is_cut(bytes).then(|| Loc::read(&bytes[record::SECOND_AT..]))?;
        (second != Loc::NONE).then_some(second)
    }

    fn tie_second(&mut self, head: Loc) {
        if let Some(second) = self.second(head) {
            head.write(&mut self.arena.at_mut(second)[record::TAIL_PREV_AT..]);
        }
    }

    fn set_next(&mut self, head: Loc, piece: Loc, next: Loc) {
        let at = if piece == head { record::SECOND_AT } else { record::TAIL_NEXT_AT };
        next.write(&mut self.arena.at_mut(piece)[at..]);
    }
}

/// Key and value as they are cut into pieces.
struct Source<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl Source<'_> {
    fn left(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// Moves as many bytes as there is room for.
    fn fill(&mut self, room: &mut [u8]) {
        let of_key = self.key.len().min(room.len());
        let of_value = self.value.len().min(room.len() - of_key);
        room[..of_key].copy_from_slice(&self.key[..of_key]);
        room[of_key..of_key + of_value].copy_from_slice(&self.value[..of_value]);
        (self.key, self.value) = (&self.key[of_key..], &self.value[of_value..]);
    }
}
