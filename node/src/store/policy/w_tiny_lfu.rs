//! W-TinyLFU (Einziger et al., ACM ToS 2017) with a window that is steered, and with victims weighed together.
//!
//! New values enter the window, a list by last use. What leaves it at the end is a candidate for the main part, and is
//! admitted if it was used more often than all those together that must go for it. The main part is divided by last use,
//! too: a protected list for what was used there, and a list on probation.

use super::{Entries, Loc, Policy, Sample, Sum, sketch::Sketch, steering, values};

const WINDOW: usize = 0;
const PROBATION: usize = 1;
const PROTECTED: usize = 2;

/// The protected part of what is outside of the window, in percent.
const PROTECTED_SHARE: u64 = 80;
/// One in so many candidates is admitted in spite of its count, if that is not small.
const LUCKY: u64 = 128;
/// Uses below which no candidate is lucky.
const LUCKY_USES: u64 = 6;
/// Values that change lists in one step at most.
const MOVES: usize = 32;
/// Victims that are weighed against one candidate at most.
const WEIGHED: usize = 64;
/// Requests after which a shard tells what it saw.
const SAMPLE: u64 = 256;

pub(super) struct WTinyLfu {
    sketch: Sketch,
    share: f64,
    /// Values held.
    values: u64,
    seen: Sample,
    random: u64,
}

impl WTinyLfu {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sketch: Sketch::default(),
            share: steering::START,
            values: 0,
            seen: Sample::default(),
            random: seed | 1,
        }
    }

    fn window(&self, capacity: u64) -> u64 {
        (capacity as f64 * self.share) as u64
    }

    fn main_bytes(entries: &Entries) -> u64 {
        entries.sum(PROBATION).bytes + entries.sum(PROTECTED).bytes
    }

    /// Who goes next for a value in the main part.
    fn main_victim(entries: &mut Entries) -> Option<Loc> {
        entries.last(PROBATION).or_else(|| entries.least_recent(PROTECTED))
    }

    /// Whether the candidate was used more often than those that must go in its place, on the average of their bytes.
    fn admits(&mut self, entries: &Entries, candidate: Loc, excess: u64) -> bool {
        let uses = u64::from(self.sketch.uses(entries.hash(candidate)));
        let (mut freed, mut rivals) = (0, 0);
        let mut next = entries.last(PROBATION);
        let mut protected = false;
        for _ in 0..WEIGHED {
            if next.is_none() && !protected {
                protected = true;
                next = entries.last(PROTECTED);
            }
            let Some(rival) = next.filter(|_| freed < excess) else { break };
            let weight = entries.weight(rival);
            rivals += weight * u64::from(self.sketch.uses(entries.hash(rival)));
            freed += weight;
            next = entries.before(rival);
        }
        freed > 0 && (uses * freed > rivals || (uses >= LUCKY_USES && self.draw().is_multiple_of(LUCKY)))
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Policy for WTinyLfu {
    fn list_of_new(&mut self, hash: u64, user: bool) -> usize {
        if user {
            self.sketch.count(hash);
        }
        self.seen.requests += u64::from(user);
        WINDOW
    }

    fn used(&mut self, entries: &mut Entries, at: Loc, hash: u64, times: u32) {
        self.seen.requests += 1;
        let first = match entries.list(at) {
            WINDOW => {
                self.seen.window_hits += 1;
                entries.refresh(at, WINDOW)
            }
            _ => {
                self.seen.main_hits += 1;
                entries.refresh(at, PROTECTED)
            }
        };
        if first {
            (0..times).for_each(|_| self.sketch.count(hash));
        }
    }

    fn settle(&mut self, entries: &mut Entries, capacity: u64) {
        self.values = values(entries);
        self.sketch.make_room(self.values);
        let window = self.window(capacity);
        let main = capacity - window;
        let protected = main * PROTECTED_SHARE / 100;
        for _ in 0..MOVES {
            // Where the main part has room, there is nobody to compare with.
            let to_main = entries.least_recent(WINDOW).filter(|at| {
                entries.sum(WINDOW).bytes > window && Self::main_bytes(entries) + entries.weight(*at) <= main
            });
            if let Some(at) = to_main {
                entries.move_first(at, PROBATION);
            } else if entries.sum(PROTECTED).bytes > protected
                && let Some(at) = entries.least_recent(PROTECTED)
            {
                entries.move_first(at, PROBATION);
            } else if Self::main_bytes(entries) > main
                && let Some(at) = Self::main_victim(entries)
                && entries.sum(WINDOW).bytes + entries.weight(at) <= window
            {
                // The window has been made larger.
                entries.move_first(at, WINDOW);
            } else {
                return;
            }
        }
    }

    fn victim(&mut self, entries: &mut Entries, capacity: u64, excess: u64) -> Option<Loc> {
        let window = self.window(capacity);
        for _ in 0..MOVES {
            // What has just come stays, however large it is: it was stored to be read.
            let Sum { count, bytes } = entries.sum(WINDOW);
            let Some(candidate) = entries.least_recent(WINDOW).filter(|_| bytes > window && count > 1) else {
                break;
            };
            if !self.admits(entries, candidate, excess) {
                return Some(candidate);
            }
            entries.move_first(candidate, PROBATION);
        }
        Self::main_victim(entries).or_else(|| entries.least_recent(WINDOW))
    }

    fn uses(&self, hash: u64) -> Option<u32> {
        Some(self.sketch.uses(hash))
    }

    fn bytes(&self) -> u64 {
        self.sketch.bytes()
    }

    fn sample(&mut self, entries: &Entries) -> Option<Sample> {
        if self.seen.requests < SAMPLE.min(self.values.max(1)) {
            return None;
        }
        let values = self.values;
        let (window_bytes, main_bytes) = (entries.sum(WINDOW).bytes, Self::main_bytes(entries));
        Some(Sample { window_bytes, main_bytes, values, ..std::mem::take(&mut self.seen) })
    }

    fn steer(&mut self, share: f64) {
        self.share = share;
    }
}
