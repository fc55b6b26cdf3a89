//! Finds entries by key: for every vnode a table of its own, so that a vnode can be walked without touching the others
//! and growth never moves much at once.
//!
//! A table is a row of cells in ascending order of hash, with free cells in between: an entry stands at the place its
//! hash says, or as soon after it as the order allows. A cell holds 16 bits of the hash and a location, so that a table
//! grows, by a small part at a time, without looking at any entry.

use super::arena::Loc;
use shoal_proto::types::Vnode;

/// Beyond this many tables vnodes share them, so that a cluster of many vnodes does not spend its memory on empty ones.
const MAX_TABLES: u16 = 1_024;
const CELL: usize = 5;

pub(super) struct Index {
    tables: Box<[Table]>,
    /// Leading bits of a hash that all entries share.
    shared_bits: u32,
    /// Bytes of all tables.
    bytes: u64,
}

impl Index {
    pub(super) fn new(vnodes: u16, shared_bits: u32) -> Self {
        let tables: Box<[Table]> = (0..vnodes.clamp(1, MAX_TABLES)).map(|_| Table::default()).collect();
        let bytes = size_of_val(&*tables) as u64;
        Self { tables, shared_bits, bytes }
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first location under `hash` that `is_it`.
    pub(super) fn find(&self, vnode: Vnode, hash: u64, is_it: impl Fn(Loc) -> bool) -> Option<Loc> {
        self.tables[self.table(vnode)].find(self.mark(hash), is_it)
    }

    pub(super) fn insert(&mut self, vnode: Vnode, hash: u64, at: Loc) {
        let mark = self.mark(hash);
        self.change(vnode, |table| table.insert(mark, at));
    }

    pub(super) fn remove(&mut self, vnode: Vnode, hash: u64, at: Loc) {
        let mark = self.mark(hash);
        self.change(vnode, |table| table.remove(mark, at));
    }

    /// The entry at `from` is at `to` now.
    pub(super) fn rename(&mut self, vnode: Vnode, hash: u64, from: Loc, to: Loc) {
        let mark = self.mark(hash);
        let table = self.table(vnode);
        self.tables[table].rename(mark, from, to);
    }

    /// Entries of the vnode, and of others that share its table, whose hash is `after` or larger in the bits that are
    /// kept of it: in ascending order of these bits, which come with them.
    pub(super) fn walk(&self, vnode: Vnode, after: u64) -> impl Iterator<Item = (u16, Loc)> {
        self.tables[self.table(vnode)].walk(self.mark(after))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(|table| table.len as usize).sum()
    }

    fn mark(&self, hash: u64) -> u16 {
        (hash << self.shared_bits >> 48) as u16
    }

    fn table(&self, vnode: Vnode) -> usize {
        usize::from(vnode.0) % self.tables.len()
    }

    fn change(&mut self, vnode: Vnode, change: impl FnOnce(&mut Table)) {
        let number = self.table(vnode);
        let table = &mut self.tables[number];
        let before = table.bytes();
        change(table);
        self.bytes = self.bytes + table.bytes() - before;
    }
}

/// A free cell has the location [`Loc::NONE`].
#[derive(Default)]
struct Table {
    cells: Vec<[u8; CELL]>,
    len: u32,
    /// Cells that hashes say; `cells` may run on beyond them.
    places: u32,
}

const FREE: [u8; CELL] = [0xFF; CELL];

impl Table {
    /// As allocated.
    fn bytes(&self) -> u64 {
        match self.cells.capacity() {
            0 => 0,
            cells => (cells * CELL + 8).next_multiple_of(16) as u64,
        }
    }

    /// The first location under exactly this mark that `is_it`.
    fn find(&self, mark: u16, is_it: impl Fn(Loc) -> bool) -> Option<Loc> {
        // A free cell looks as if it had the largest mark.
        let here = self.cells[self.place(mark)..].iter().skip_while(|cell| mark_of(cell) < mark);
        let mut alike = here.take_while(|cell| mark_of(cell) == mark).map(loc_of);
        alike.by_ref().take_while(|at| *at != Loc::NONE).find(|at| is_it(*at))
    }

    fn walk(&self, from: u16) -> impl Iterator<Item = (u16, Loc)> {
        let cells = self.cells[self.first(from)..].iter().filter(|cell| **cell != FREE);
        cells.map(|cell| (mark_of(cell), loc_of(cell)))
    }

    fn insert(&mut self, mark: u16, at: Loc) {
        if 8 * (self.len + 1) > 7 * self.places {
            self.resize();
        }
        let mut cell = cell(mark, at);
        let mut here = self.first(mark);
        while here < self.cells.len() && self.cells[here] != FREE {
            std::mem::swap(&mut cell, &mut self.cells[here]);
            here += 1;
        }
        if here < self.cells.len() {
            self.cells[here] = cell;
        } else {
            self.append(cell);
        }
        self.len += 1;
    }

    fn remove(&mut self, mark: u16, at: Loc) {
        let Some(mut here) = self.position(mark, at) else { return };
        // What follows moves up, each as long as its place allows.
        while here + 1 < self.cells.len()
            && self.cells[here + 1] != FREE
            && self.place(mark_of(&self.cells[here + 1])) <= here
        {
            self.cells[here] = self.cells[here + 1];
            here += 1;
        }
        self.cells[here] = FREE;
        self.len -= 1;
        if 2 * self.len < self.places {
            self.resize();
        }
    }

    fn rename(&mut self, mark: u16, from: Loc, to: Loc) {
        if let Some(here) = self.position(mark, from) {
            self.cells[here] = cell(mark, to);
        }
    }

    fn position(&self, mark: u16, at: Loc) -> Option<usize> {
        let (wanted, first) = (cell(mark, at), self.first(mark));
        self.cells[first..].iter().position(|cell| *cell == wanted).map(|offset| first + offset)
    }

    /// The first cell at or behind the mark's place that is free or has this mark or a larger one.
    fn first(&self, mark: u16) -> usize {
        let place = self.place(mark);
        let smaller = |cell: &&[u8; CELL]| **cell != FREE && mark_of(cell) < mark;
        place + self.cells[place..].iter().take_while(smaller).count()
    }

    fn place(&self, mark: u16) -> usize {
        ((u64::from(mark) * u64::from(self.places)) >> 16) as usize
    }

    /// Adds a cell at the end, without room for more: a table is as large as it must be.
    fn append(&mut self, cell: [u8; CELL]) {
        if self.cells.len() == self.cells.capacity() {
            self.cells.reserve_exact(1);
        }
        self.cells.push(cell);
    }

    /// Makes room, or gives it up, such that about 9 of 11 places are in use.
    fn resize(&mut self) {
        let places = (self.len + 1) * 11 / 9 + 1;
        let mut table = Self { cells: vec![FREE; places as usize + 1], len: self.len, places };
        let mut next = 0;
        for cell in self.cells.iter().filter(|cell| **cell != FREE) {
            next = next.max(table.place(mark_of(cell)));
            if next < table.cells.len() {
                table.cells[next] = *cell;
            } else {
                table.append(*cell);
            }
            next += 1;
        }
        *self = table;
    }
}

fn cell(mark: u16, at: Loc) -> [u8; CELL] {
    let ([a, b], [c, d, e]) = (mark.to_le_bytes(), at.to_bytes());
    [a, b, c, d, e]
}

fn mark_of(cell: &[u8; CELL]) -> u16 {
    u16::from_le_bytes([cell[0], cell[1]])
}

fn loc_of(cell: &[u8; CELL]) -> Loc {
    Loc::read(&cell[2..])
}
