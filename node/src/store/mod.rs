//! What one node holds: keys and their newest known states, bounded by bytes.
//!
//! ```text
//! Store -> shard (hash range) -> index (vnode, key -> slot) -> slab of entries
//!                             -> eviction queues: values by use, markers by age
//!                             -> due times of values
//! ```
//!
//! - A key holds a value or a marker (deleted or expired), and only ever moves up in the order of versions, until it is
//!   evicted or its marker is dropped.
//! - Values and markers have separate budgets. A full budget gives up its oldest: the least recently used value, the
//!   marker that has stood for longest.
//! - No value is returned past its expiry; time is an argument.

mod entry;
mod eviction;
mod index;
mod scan;
mod shard;
mod slab;
mod ttl;
mod weight;

#[cfg(test)]
mod tests;

pub use weight::{ENTRY_OVERHEAD, EXPIRY_OVERHEAD};

use crate::limits::{STORE_SHARD_BYTES, STORE_SHARDS};
use entry::Entry;
use index::Index;
use parking_lot::Mutex;
use scan::Page;
use shard::{Limits, Shard};
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Version, Vnode};
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// As much as the 32 bits of a slot number can address when every entry is empty.
const MAX_SHARD_BYTES: u64 = (u32::MAX as u64 - 1) * ENTRY_OVERHEAD;

/// How a store is laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreConfig {
    /// Bytes of everything: values, markers, index.
    pub max_bytes: u64,
    /// How many vnodes the keys are spread over.
    pub vnodes: u16,
    /// Seed of the index hash, secret from those who choose keys.
    pub seed: u64,
    /// How long a marker stands.
    pub marker_life: Duration,
    /// The part of `max_bytes` that is for markers alone, 0 to 1.
    pub marker_share: f64,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The entry is held now.
    Stored {
        /// A live value stood there before.
        was_live: bool,
    },
    /// The same entry was held already.
    Unchanged {
        /// It is a live value.
        was_live: bool,
    },
    /// A larger version is held.
    Superseded {
        /// That version.
        by: Version,
        /// It is a live value.
        was_live: bool,
    },
    /// The entry would not fit an empty store. Nothing changed: what was held before still is.
    TooLarge {
        /// What the entry would be charged.
        bytes: u64,
        /// The most that one entry may be charged.
        limit: u64,
    },
}

/// What a store holds and what it has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Values held, expired ones included that nobody has noticed yet.
    pub entries: u64,
    /// Those of them that expire.
    pub expiring: u64,
    /// Tombstones and expired markers held.
    pub markers: u64,
    /// Bytes charged for values.
    pub bytes: u64,
    /// Bytes charged for markers.
    pub marker_bytes: u64,
    /// The configured limit of both together and the empty index.
    pub max_bytes: u64,
    /// Reads by users that found a live value.
    pub hits: u64,
    /// Reads by users that found none.
    pub misses: u64,
    /// Values given up for room.
    pub evictions: u64,
    /// Values that became expired markers.
    pub expirations: u64,
    /// Markers given up for room before their time.
    pub markers_dropped: u64,
}

/// The map of one node, shared by all its tasks.
///
/// Keys are spread over the shards by hash rather than by vnode: a node owns long runs of neighbouring vnodes, which
/// would leave most of the shards, and their share of the memory, to nobody.
pub struct Store {
    /// Ascending ranges of hashes. Each lock is held for one short step and never across an await.
    shards: Box<[Mutex<Shard>]>,
    seed: u64,
    vnodes: u16,
    marker_life: Duration,
    marker_share: f64,
    max_bytes: AtomicU64,
    entry_limit: AtomicU64,
    /// Where the next round of expiry begins.
    next_expired: AtomicUsize,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        let count = shard_count(config.max_bytes);
        let limits = shard_limits(&config, count);
        Self {
            shards: (0..count).map(|_| Mutex::new(Shard::new(limits, config.vnodes))).collect(),
            seed: config.seed,
            vnodes: config.vnodes,
            marker_life: config.marker_life,
            marker_share: config.marker_share,
            max_bytes: AtomicU64::new(config.max_bytes),
            entry_limit: AtomicU64::new(limits.live_bytes),
            next_expired: AtomicUsize::new(0),
        }
    }

    /// Changes the limit; what lies beyond a lower one is given up at once. The shards stay as many as they began, so
    /// a store that is made much smaller takes only smaller values.
    pub fn set_max_bytes(&self, max_bytes: u64) {
        if self.max_bytes.swap(max_bytes, Ordering::Relaxed) == max_bytes {
            return;
        }
        let Self { seed, vnodes, marker_life, marker_share, .. } = *self;
        let config = StoreConfig { max_bytes, vnodes, seed, marker_life, marker_share };
        let limits = shard_limits(&config, self.shards.len() as u64);
        self.entry_limit.store(limits.live_bytes, Ordering::Relaxed);
        for shard in &self.shards {
            shard.lock().set_limits(limits);
        }
    }

    /// What is held under `key`, read by a user: counts as use of the key and as a hit or a miss. An expired value is
    /// its marker.
    #[must_use]
    pub fn get(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let hash = self.hash(key);
        self.shard(hash).lock().get(vnode, hash, key.as_bytes(), now)
    }

    /// What is held under `key`, read by the system itself: leaves order of use and counters alone.
    #[must_use]
    pub fn peek(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let hash = self.hash(key);
        self.shard(hash).lock().peek(vnode, hash, key.as_bytes(), now)
    }

    /// Keeps the larger of `entry` and what is held under `key`, in one step. The bytes are copied. A user's write
    /// counts as use of the key, any other only puts a new key among the recently used.
    pub fn put(&self, vnode: Vnode, key: &Key, entry: Stamped, cause: Cause, now: UnixMillis) -> PutOutcome {
        let entry = entry.as_of(now);
        let bytes = weight(key, &entry);
        let limit = self.entry_limit.load(Ordering::Relaxed);
        if entry.value().is_some() && bytes > limit {
            return PutOutcome::TooLarge { bytes, limit };
        }
        let hash = self.hash(key);
        // Copied before the lock is taken.
        let entry = Entry::new(vnode, hash, key, &entry, now);
        self.shard(hash).lock().put(entry, cause, now)
    }

    /// The entries of `vnode` whose hash is larger than `after`, in ascending order of hash, about `max_bytes` of them
    /// but at least one; and where the next page begins, `None` if there is none. An entry that is held throughout a
    /// walk is seen exactly once, whatever happens to others meanwhile. Hashes depend on the store's seed.
    #[must_use]
    pub fn scan(
        &self,
        vnode: Vnode,
        after: Option<u64>,
        max_bytes: usize,
        now: UnixMillis,
    ) -> (Vec<(Key, Stamped)>, Option<u64>) {
        let mut page = Page::new(after, max_bytes);
        let first = after.map_or(0, |hash| self.shard_number(hash));
        let end = self.shards[first..].iter().all(|shard| shard.lock().scan(vnode, now, &mut page));
        page.finish(end)
    }

    /// Forgets what is held under `key`, marker or value, if its tag is at or under `through`. Returns whether it was.
    pub fn forget(&self, vnode: Vnode, key: &Key, through: Tag) -> bool {
        let hash = self.hash(key);
        self.shard(hash).lock().forget(vnode, hash, key.as_bytes(), through)
    }

    /// Turns expired values into markers and drops markers that have stood for their life, at most `budget` of both;
    /// returns how many. Fewer than `budget` means that nothing is due any more.
    pub fn expire(&self, now: UnixMillis, budget: usize) -> usize {
        let count = self.shards.len();
        let first = self.next_expired.load(Ordering::Relaxed);
        let mut done = 0;
        for number in (first..first + count).map(|n| n % count) {
            done += self.shards[number].lock().expire(now, budget - done);
            if done == budget {
                // Goes on behind this shard, lest one that is always busy keep the others from their turn.
                self.next_expired.store((number + 1) % count, Ordering::Relaxed);
                break;
            }
        }
        done
    }

    /// Forgets everything held of `vnode`, markers too.
    pub fn clear_vnode(&self, vnode: Vnode) {
        for shard in &self.shards {
            shard.lock().clear_vnode(vnode);
        }
    }

    /// The store's numbers, each shard's at its own moment.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let mut stats =
            StoreStats { max_bytes: self.max_bytes.load(Ordering::Relaxed), ..StoreStats::default() };
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    /// Each shard's own numbers, in the order of the hashes.
    #[must_use]
    pub fn shard_stats(&self) -> Vec<StoreStats> {
        let own = |shard: &Mutex<Shard>| {
            let mut stats = StoreStats::default();
            shard.lock().add_to(&mut stats);
            stats
        };
        self.shards.iter().map(own).collect()
    }

    fn hash(&self, key: &Key) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.seed)
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[self.shard_number(hash)]
    }

    /// Ascending with the hash, so that walking the shards in order walks the hashes in order.
    fn shard_number(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.shards.len() as u128) >> 64) as usize
    }
}

/// What an entry is charged: key, value, and what it takes to keep them.
#[must_use]
pub fn weight(key: &Key, entry: &Stamped) -> u64 {
    let value_len = entry.value().map_or(0, |value| value.as_bytes().len());
    let due = entry.value().is_some() && entry.version().expires_at.is_some();
    weight::of(key.as_bytes().len() + value_len, due)
}

fn shard_limits(config: &StoreConfig, count: u64) -> Limits {
    let share =
        (config.max_bytes / count).saturating_sub(Index::fixed_bytes(config.vnodes)).min(MAX_SHARD_BYTES);
    let marker_bytes = (share as f64 * config.marker_share.clamp(0.0, 1.0)) as u64;
    let live_bytes = share - marker_bytes.min(share);
    Limits { live_bytes, marker_bytes, marker_life: config.marker_life }
}

/// A power of two, so that a shard's share stays worth while on small machines and locks stay apart on large ones.
fn shard_count(max_bytes: u64) -> u64 {
    let fitting = (max_bytes / STORE_SHARD_BYTES).clamp(1, STORE_SHARDS);
    1 << fitting.ilog2()
}
