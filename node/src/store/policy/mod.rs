//! Which value to give up when memory is full.
//!
//! A policy keeps the values in lists and moves them when they are used. It decides about one shard; what shards should
//! decide in common, the share of the window, is told to all by [`steering`].

mod lfu;
mod lru;
mod no_eviction;
mod s3_fifo;
mod sketch;
pub(super) mod steering;
mod w_tiny_lfu;

use super::{arena::Loc, entries::Entries};
use steering::Sample;

/// Lists that policies may use: those from here on are the store's own.
pub(super) const LISTS: usize = 7;

/// How a store chooses what to give up when its memory is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvictionPolicy {
    /// New values pass a window, and stay if they are used more often than what they would displace.
    #[default]
    WTinyLfu,
    /// New values pass a short queue, and stay if they were used in it.
    S3Fifo,
    /// The value that has not been used for longest.
    Lru,
    /// The value that is used least often.
    Lfu,
    /// None: writes that need room are refused.
    NoEviction,
}

/// Decides what one shard gives up.
pub(super) trait Policy: Send {
    /// The list to which a new value is added. Only what a `user` writes says anything of use.
    fn list_of_new(&mut self, hash: u64, user: bool) -> usize;

    /// A held value was used `times` times.
    fn used(&mut self, entries: &mut Entries, at: Loc, hash: u64, times: u32);

    /// A value was added or lists have come to be too long: moves some between lists. `capacity` is for all values.
    fn settle(&mut self, entries: &mut Entries, capacity: u64);

    /// The value to give up next, where `excess` bytes must go; `None` refuses to give up any.
    fn victim(&mut self, entries: &mut Entries, capacity: u64, excess: u64) -> Option<Loc>;

    /// Whether it ever gives anything up.
    fn evicts(&self) -> bool {
        true
    }

    /// How often a key was used lately, if that is known.
    fn uses(&self, hash: u64) -> Option<u32> {
        let _ = hash;
        None
    }

    /// Bytes of what is known of keys beyond the entries.
    fn bytes(&self) -> u64 {
        0
    }

    /// What was seen since the last sample, once that is enough to tell.
    fn sample(&mut self, entries: &Entries) -> Option<Sample> {
        let _ = entries;
        None
    }

    /// Sets the part of the capacity that the window is to have.
    fn steer(&mut self, share: f64) {
        let _ = share;
    }
}

impl EvictionPolicy {
    /// What the lists are called in which a value can stand, in the order of
    /// [`StoreStats::evictions_by_list`](super::StoreStats::evictions_by_list).
    #[must_use]
    pub fn lists(self) -> &'static [&'static str] {
        match self {
            Self::WTinyLfu => &["window", "probation", "protected"],
            Self::S3Fifo => &["small", "main"],
            Self::Lru => &["recency"],
            Self::Lfu => &["uses 0-1", "uses 2-3", "uses 4-7", "uses 8-15"],
            Self::NoEviction => &["all"],
        }
    }

    pub(super) fn for_shard(self, seed: u64) -> Box<dyn Policy> {
        match self {
            Self::WTinyLfu => Box::new(w_tiny_lfu::WTinyLfu::new(seed)),
            Self::S3Fifo => Box::<s3_fifo::S3Fifo>::default(),
            Self::Lru => Box::new(lru::Lru),
            Self::Lfu => Box::<lfu::Lfu>::default(),
            Self::NoEviction => Box::new(no_eviction::NoEviction),
        }
    }
}

/// Values of all lists.
fn values(entries: &Entries) -> u64 {
    (0..LISTS).map(|list| entries.sum(list).count).sum()
}
