//! The memory of a shard: pages of slots of one size each, without holes.
//!
//! A slot that is freed is filled at once by the last one of its class, so every class has at most one page that is not
//! full, whatever sizes come and go. Pages are cut from extents, which come and go as a whole.

use super::class::Class;
use crate::limits::STORE_SHARD_BYTES_MAX;
use std::{cmp::Reverse, collections::BinaryHeap};

pub(super) const PAGE: usize = 16 * 1024;
const GRANULE: usize = 8;
const PAGE_GRANULES: u32 = (PAGE / GRANULE) as u32;
const EXTENT_PAGES: usize = 16;
/// From here on no slot is meant but the end of a list: a page's worth of locations is kept for them.
const ENDS: u32 = Loc::LIMIT - PAGE_GRANULES;
/// Pages that locations can tell apart.
const MAX_PAGES: usize = (ENDS / PAGE_GRANULES) as usize;

// Pages may be taken for a large entry before others are given back.
const _: () = assert!(STORE_SHARD_BYTES_MAX + 16 * 1024 * 1024 < (MAX_PAGES * PAGE) as u64);

/// Where a slot lies in its shard: a number of granules of 8 bytes in 24 bits. Or the end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loc(u32);

impl Loc {
    const LIMIT: u32 = 1 << 24;
    /// Bytes it is stored in.
    pub(super) const BYTES: usize = 3;
    /// No slot.
    pub(super) const NONE: Self = Self(Self::LIMIT - 1);

    /// The end of the list of this number.
    pub(super) fn end(list: usize) -> Self {
        Self(ENDS + list as u32)
    }

    /// The number of the list, where an end is meant.
    pub(super) fn as_end(self) -> Option<usize> {
        (self.0 >= ENDS).then(|| (self.0 - ENDS) as usize)
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
    }

    pub(super) fn write(self, bytes: &mut [u8]) {
        bytes[..Self::BYTES].copy_from_slice(&self.to_bytes());
    }

    pub(super) fn to_bytes(self) -> [u8; 3] {
        let [a, b, c, _] = self.0.to_le_bytes();
        [a, b, c]
    }

    fn new(page: u16, byte: usize) -> Self {
        Self(u32::from(page) * PAGE_GRANULES + (byte / GRANULE) as u32)
    }

    fn page(self) -> usize {
        (self.0 / PAGE_GRANULES) as usize
    }

    fn byte(self) -> usize {
        (self.0 % PAGE_GRANULES) as usize * GRANULE
    }
}

pub(super) struct Arena {
    extents: Vec<Box<[u8]>>,
    pages: Vec<PageOf>,
    classes: Box<[Slots]>,
    /// The lowest are used first, so that the highest extents empty.
    free: BinaryHeap<Reverse<u16>>,
    charged: u64,
}

/// A page that moves, slot by slot.
pub(super) struct PageMove {
    from: u16,
    to: u16,
    count: usize,
    size: usize,
}

impl PageMove {
    /// Where each slot is, and where it goes.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Loc, Loc)> + use<> {
        let Self { from, to, count, size } = *self;
        (0..count).map(move |n| (Loc::new(from, n * size), Loc::new(to, n * size)))
    }
}

/// Whose a page is, and which of its pages.
#[derive(Clone, Copy)]
struct PageOf {
    class: Class,
    ordinal: u16,
}

/// The slots of one class that are in use: numbers 0 to `len` on `pages`.
#[derive(Default, Clone)]
struct Slots {
    pages: Vec<u16>,
    len: u32,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            extents: Vec::new(),
            pages: Vec::new(),
            classes: vec![Slots::default(); Class::COUNT].into(),
            free: BinaryHeap::new(),
            charged: 0,
        }
    }
}

impl Arena {
    /// Bytes charged for all slots in use, and for the page that each class in use may have begun.
    pub(super) fn charged(&self) -> u64 {
        self.charged
    }

    /// Bytes taken from the system.
    pub(super) fn taken(&self) -> u64 {
        (self.pages.len() * PAGE) as u64
    }

    /// Whether any slot of this class is in use.
    pub(super) fn in_use(&self, class: Class) -> bool {
        self.classes[class.number()].len > 0
    }

    /// Takes a slot; `None` when locations have run out.
    pub(super) fn take(&mut self, class: Class) -> Option<Loc> {
        let (number, per_page) = (class.number(), class.per_page());
        let len = self.classes[number].len;
        if len.is_multiple_of(per_page) {
            let page = self.take_page()?;
            let ordinal = (len / per_page) as u16;
            self.pages[usize::from(page)] = PageOf { class, ordinal };
            self.classes[number].pages.push(page);
        }
        if len == 0 {
            self.charged += PAGE as u64;
        }
        self.charged += class.charge();
        self.classes[number].len += 1;
        Some(self.nth(class, len))
    }

    /// Gives back a slot. The last of its class moves there, unless it is the last itself: returns where that one was.
    pub(super) fn give(&mut self, at: Loc) -> Option<Loc> {
        let class = self.class(at);
        let number = class.number();
        let len = self.classes[number].len - 1;
        let last = self.nth(class, len);
        if last != at {
            self.copy(last, at, class.size());
        }
        self.classes[number].len = len;
        self.charged -= class.charge();
        if len == 0 {
            self.charged -= PAGE as u64;
        }
        if len.is_multiple_of(class.per_page())
            && let Some(page) = self.classes[number].pages.pop()
        {
            self.free.push(Reverse(page));
        }
        (last != at).then_some(last)
    }

    /// Chooses the last page in use to move to a free one before it; `None` if there is none. Its slots must be moved
    /// one after another, and [`Arena::end_move`] called.
    pub(super) fn begin_move(&mut self) -> Option<PageMove> {
        let mut free: Vec<_> = self.free.iter().map(|page| page.0).collect();
        free.sort_unstable();
        let mut from = (self.pages.len() as u16).checked_sub(1)?;
        while free.pop_if(|last| *last == from).is_some() {
            from = from.checked_sub(1)?;
        }
        let to = *free.first()?;
        let PageOf { class, ordinal } = self.pages[usize::from(from)];
        self.pages[usize::from(to)] = PageOf { class, ordinal };
        self.free.retain(|page| page.0 != to);
        let slots = &mut self.classes[class.number()];
        slots.pages[usize::from(ordinal)] = to;
        let count = (slots.len - u32::from(ordinal) * class.per_page()).min(class.per_page());
        Some(PageMove { from, to, count: count as usize, size: class.size() })
    }

    /// Copies what is in the slot `from` to the slot `to` of the same class.
    pub(super) fn move_slot(&mut self, from: Loc, to: Loc) {
        self.copy(from, to, self.class(from).size());
    }

    /// The page that was moved is free, and goes back to the system with its extent if that is free.
    pub(super) fn end_move(&mut self, done: &PageMove) {
        self.free.push(Reverse(done.from));
        self.trim();
    }

    /// The bytes of the slot.
    pub(super) fn slot(&self, at: Loc) -> &[u8] {
        let (page, size) = (at.page(), self.class(at).size());
        let start = page % EXTENT_PAGES * PAGE + at.byte();
        &self.extents[page / EXTENT_PAGES][start..start + size]
    }

    /// The bytes of the slot.
    pub(super) fn slot_mut(&mut self, at: Loc) -> &mut [u8] {
        let (page, size) = (at.page(), self.class(at).size());
        let start = page % EXTENT_PAGES * PAGE + at.byte();
        &mut self.extents[page / EXTENT_PAGES][start..start + size]
    }

    /// From the slot on: fields whose place is known need not know how long the slot is.
    pub(super) fn at(&self, at: Loc) -> &[u8] {
        let page = at.page();
        &self.extents[page / EXTENT_PAGES][page % EXTENT_PAGES * PAGE + at.byte()..]
    }

    /// See [`Arena::at`].
    pub(super) fn at_mut(&mut self, at: Loc) -> &mut [u8] {
        let page = at.page();
        &mut self.extents[page / EXTENT_PAGES][page % EXTENT_PAGES * PAGE + at.byte()..]
    }

    pub(super) fn class(&self, at: Loc) -> Class {
        self.pages[at.page()].class
    }

    /// Every slot in use.
    #[cfg(test)]
    pub(super) fn slots(&self) -> impl Iterator<Item = Loc> {
        Class::all()
            .flat_map(move |class| (0..self.classes[class.number()].len).map(move |n| self.nth(class, n)))
    }

    fn nth(&self, class: Class, number: u32) -> Loc {
        let per_page = class.per_page();
        let page = self.classes[class.number()].pages[(number / per_page) as usize];
        Loc::new(page, (number % per_page) as usize * class.size())
    }

    fn copy(&mut self, from: Loc, to: Loc, len: usize) {
        let place = |at: Loc| (at.page() / EXTENT_PAGES, at.page() % EXTENT_PAGES * PAGE + at.byte());
        let ((source, from), (target, to)) = (place(from), place(to));
        match self.extents.get_disjoint_mut([source, target]) {
            Ok([source, target]) => target[to..to + len].copy_from_slice(&source[from..from + len]),
            Err(_) => self.extents[source].copy_within(from..from + len, to),
        }
    }

    fn take_page(&mut self) -> Option<u16> {
        if self.free.is_empty() {
            let first = self.pages.len();
            if first + EXTENT_PAGES > MAX_PAGES {
                return None;
            }
            self.extents.push(vec![0; EXTENT_PAGES * PAGE].into());
            let unused = PageOf { class: Class::default(), ordinal: 0 };
            self.pages.resize(first + EXTENT_PAGES, unused);
            self.free.extend((first..first + EXTENT_PAGES).map(|page| Reverse(page as u16)));
        }
        self.free.pop().map(|Reverse(page)| page)
    }

    /// Gives extents at the end back to the system of which no page is in use.
    fn trim(&mut self) {
        loop {
            let first = self.pages.len().saturating_sub(EXTENT_PAGES);
            let unused = self.free.iter().filter(|page| usize::from(page.0) >= first).count();
            if self.pages.is_empty() || unused < EXTENT_PAGES {
                return;
            }
            self.free.retain(|page| usize::from(page.0) < first);
            self.pages.truncate(first);
            self.extents.pop();
        }
    }
}
