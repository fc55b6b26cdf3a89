//! When values expire: a hierarchical timing wheel, to the millisecond.
//!
//! Six levels of 256 buckets each. A bucket of level 0 is one millisecond; one of every further level is as long as the
//! whole level below, whose buckets its entries move into once its time has come. An entry stands on the level of the
//! highest digit, to the base 256, in which its due time differs from the time that the wheel has reached.

use super::{arena::Loc, entries::Entries, record};
use shoal_proto::types::UnixMillis;

const DIGIT_BITS: u32 = 8;
const DIGITS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = 6;

/// Lists that the wheel needs.
pub(super) const BUCKETS: usize = LEVELS * DIGITS;

#[derive(Default)]
pub(super) struct Wheel {
    /// Everything due at or before this time stands in its bucket of level 0, unless a bucket of a higher level that
    /// begins then has yet to be emptied.
    reached: u64,
    /// Buckets that may have entries; those without a mark have none.
    marked: [[u64; DIGITS / 64]; LEVELS],
}

/// What the wheel did with one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// This entry is due.
    Due(Loc),
    /// An entry moved closer.
    Moved,
    /// Nothing is due.
    Idle,
}

impl Wheel {
    /// Adds an entry that expires.
    pub(super) fn add(&mut self, entries: &mut Entries, at: Loc) {
        let Some(due) = record::due(entries.head(at)) else { return };
        let bucket = self.bucket(due.0);
        self.marked[bucket / DIGITS][bucket % DIGITS / 64] |= 1 << (bucket % 64);
        entries.add_due(at, bucket);
    }

    /// Takes one step towards `now`.
    pub(super) fn turn(&mut self, entries: &mut Entries, now: UnixMillis) -> Turn {
        if now.0 < self.reached {
            return Turn::Idle;
        }
        for level in (1..LEVELS).rev() {
            let bucket = level * DIGITS + self.digit(level);
            if let Some(at) = entries.any_due(bucket) {
                entries.remove_due(at);
                self.add(entries, at);
                return Turn::Moved;
            }
        }
        while let Some((level, digit)) = self.next_marked() {
            let bucket = level * DIGITS + digit;
            let Some(at) = entries.any_due(bucket) else {
                self.marked[level][digit / 64] &= !(1 << (digit % 64));
                continue;
            };
            let shift = DIGIT_BITS * level as u32;
            let begins = (self.reached >> shift >> DIGIT_BITS << DIGIT_BITS | digit as u64) << shift;
            if begins > now.0 {
                break;
            }
            self.reached = begins.max(self.reached);
            if level == 0 {
                return Turn::Due(at);
            }
            entries.remove_due(at);
            self.add(entries, at);
            return Turn::Moved;
        }
        self.reached = now.0;
        Turn::Idle
    }

    /// The earliest bucket with a mark, of those not yet passed.
    fn next_marked(&self) -> Option<(usize, usize)> {
        (0..LEVELS).find_map(|level| {
            let from = self.digit(level);
            let words = self.marked[level].iter().enumerate().skip(from / 64);
            let mut left = words.map(|(n, word)| {
                let passed = if n == from / 64 { (1 << (from % 64)) - 1 } else { 0 };
                (n, word & !passed)
            });
            let (n, word) = left.find(|(_, word)| *word != 0)?;
            Some((level, n * 64 + word.trailing_zeros() as usize))
        })
    }

    fn bucket(&self, due: u64) -> usize {
        let due = due.max(self.reached);
        let level = ((due ^ self.reached) | 1).ilog2() / DIGIT_BITS;
        level as usize * DIGITS + (due >> (DIGIT_BITS * level)) as usize % DIGITS
    }

    fn digit(&self, level: usize) -> usize {
        (self.reached >> (DIGIT_BITS * level as u32)) as usize % DIGITS
    }
}
