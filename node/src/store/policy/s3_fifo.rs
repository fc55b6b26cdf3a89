//! S3-FIFO (Yang et al., SOSP 2023): a short queue for new values, a main one for those that were used in it, and the
//! memory of what left the short one without.

use super::{Entries, Loc, Policy, Sum, values};
use crate::store::{order::BY_USE, record};

const SMALL: usize = BY_USE;
const MAIN: usize = BY_USE + 1;
/// The short queue's part of the capacity, in percent.
const SMALL_SHARE: u64 = 10;
/// Uses of a value that are told apart.
const MAX_USES: u8 = 3;
/// Uses after which a value leaves the short queue for the main one.
const ENOUGH: u8 = 2;

#[derive(Default)]
pub(super) struct S3Fifo {
    ghosts: Ghosts,
}

impl Policy for S3Fifo {
    fn list_of_new(&mut self, hash: u64, _user: bool) -> usize {
        if self.ghosts.take(hash) { MAIN } else { SMALL }
    }

    fn used(&mut self, entries: &mut Entries, at: Loc, _hash: u64, times: u32) {
        let uses = u32::from(record::uses(entries.head(at))) + times;
        entries.set_uses(at, uses.min(u32::from(MAX_USES)) as u8);
    }

    fn settle(&mut self, entries: &mut Entries, _capacity: u64) {
        self.ghosts.make_room(values(entries));
    }

    fn victim(&mut self, entries: &mut Entries, capacity: u64, _excess: u64) -> Option<Loc> {
        loop {
            let Sum { count, bytes } = entries.sum(SMALL);
            // What has just come stays, however large it is: it was stored to be read.
            let too_long = bytes * 100 >= capacity * SMALL_SHARE && count > 1;
            if too_long || entries.sum(MAIN).count == 0 {
                let Some(last) = entries.last(SMALL) else { return entries.last(MAIN) };
                if record::uses(entries.head(last)) < ENOUGH {
                    self.ghosts.add(entries.hash(last));
                    return Some(last);
                }
                entries.set_uses(last, 0);
                entries.move_first(last, MAIN);
            } else {
                let last = entries.last(MAIN)?;
                let uses = record::uses(entries.head(last));
                if uses == 0 {
                    return Some(last);
                }
                entries.set_uses(last, uses - 1);
                entries.move_first(last, MAIN);
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.ghosts.bytes()
    }
}

/// Hashes of what was given up lately: rows of 8, each of which forgets its oldest.
#[derive(Default)]
struct Ghosts {
    rows: Vec<[u32; 8]>,
}

impl Ghosts {
    fn bytes(&self) -> u64 {
        (self.rows.capacity() * size_of::<[u32; 8]>()) as u64
    }

    /// Remembers about as many as there are values. Growing forgets.
    fn make_room(&mut self, values: u64) {
        let rows = values.div_ceil(8) as usize;
        if self.rows.len() < rows {
            self.rows = vec![[0; 8]; rows.next_power_of_two().max(16)];
        }
    }

    fn add(&mut self, hash: u64) {
        let (row, mark) = self.place(hash);
        if let Some(row) = self.rows.get_mut(row) {
            row.copy_within(..7, 1);
            row[0] = mark;
        }
    }

    /// Whether it is remembered; forgets it.
    fn take(&mut self, hash: u64) -> bool {
        let (row, mark) = self.place(hash);
        let Some(row) = self.rows.get_mut(row) else { return false };
        let Some(at) = row.iter().position(|other| *other == mark) else { return false };
        row.copy_within(at + 1.., at);
        row[7] = 0;
        true
    }

    fn place(&self, hash: u64) -> (usize, u32) {
        let row = (hash ^ hash >> 32) as usize & self.rows.len().wrapping_sub(1);
        (row, (hash >> 16) as u32 | 1)
    }
}
