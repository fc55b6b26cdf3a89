use super::policy;

/// What a store, or one of its shards, holds and what it has done since it was made.
///
/// `bytes`, `marker_bytes`, `ghost_bytes` and `overhead_bytes` come to everything that is charged; `index_bytes`,
/// `sketch_bytes` and `slack_bytes` are parts of the overhead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Values held, expired ones included that nobody has noticed yet.
    pub entries: u64,
    /// Those of them that expire.
    pub expiring: u64,
    /// Tombstones and expired markers held.
    pub markers: u64,
    /// Traces held of values and markers that were given up before they were settled.
    pub ghosts: u64,
    /// Bytes charged for values.
    pub bytes: u64,
    /// Bytes charged for markers.
    pub marker_bytes: u64,
    /// Bytes charged for ghosts.
    pub ghost_bytes: u64,
    /// Bytes of everything else.
    pub overhead_bytes: u64,
    /// Of them, the index.
    pub index_bytes: u64,
    /// Of them, what the policy knows of keys beyond the entries.
    pub sketch_bytes: u64,
    /// Of them, pages that were begun and are not full.
    pub slack_bytes: u64,
    /// The limit of all these together; of a shard, its share.
    pub max_bytes: u64,
    /// Reads by users that found a live value.
    pub hits: u64,
    /// Reads by users that found none.
    pub misses: u64,
    /// Values given up for room.
    pub evictions: u64,
    /// The same by the list of the policy in which they stood: see [`EvictionPolicy::lists`](super::EvictionPolicy::lists).
    /// What leaves the first list was refused admission.
    pub evictions_by_list: [u64; policy::LISTS],
    /// The same by what needed the room.
    pub evictions_for: EvictedFor,
    /// Values that became expired markers.
    pub expirations: u64,
    /// Markers given up for room before their time.
    pub markers_dropped: u64,
    /// Ghosts given up for room before they were settled.
    pub ghosts_dropped: u64,
    /// Markers and ghosts dropped because they were settled.
    pub settled: u64,
    /// What was not taken.
    pub refused: Refused,
}

/// Values given up for room, by what needed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvictedFor {
    /// Other values.
    pub values: u64,
    /// Markers, of deletions or of what expired.
    pub markers: u64,
    /// A limit that was lowered, or exceeded for the sake of short steps.
    pub limit: u64,
}

/// Puts that were not taken, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Memory was full and the policy gives nothing up.
    pub full: u64,
    /// The entry was larger than what one may be.
    pub too_large: u64,
    /// The vnode was sealed beyond the entry's stamp.
    pub sealed: u64,
}

/// What needs room that others have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Value,
    Marker,
    Limit,
}

/// What a shard counts.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions_by_list: [u64; policy::LISTS],
    pub(super) evictions_for: EvictedFor,
    pub(super) expirations: u64,
    pub(super) markers_dropped: u64,
    pub(super) ghosts_dropped: u64,
    pub(super) settled: u64,
    pub(super) refused: Refused,
}

impl Counters {
    pub(super) fn evicted(&mut self, list: usize, need: Need) {
        self.evictions_by_list[list] += 1;
        match need {
            Need::Value => self.evictions_for.values += 1,
            Need::Marker => self.evictions_for.markers += 1,
            Need::Limit => self.evictions_for.limit += 1,
        }
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions_by_list.iter().sum()
    }

    pub(super) fn add_to(&self, stats: &mut StoreStats) {
        stats.hits += self.hits;
        stats.misses += self.misses;
        stats.evictions += self.evictions();
        for (sum, count) in stats.evictions_by_list.iter_mut().zip(self.evictions_by_list) {
            *sum += count;
        }
        stats.evictions_for.values += self.evictions_for.values;
        stats.evictions_for.markers += self.evictions_for.markers;
        stats.evictions_for.limit += self.evictions_for.limit;
        stats.expirations += self.expirations;
        stats.markers_dropped += self.markers_dropped;
        stats.ghosts_dropped += self.ghosts_dropped;
        stats.settled += self.settled;
        stats.refused.full += self.refused.full;
        stats.refused.too_large += self.refused.too_large;
        stats.refused.sealed += self.refused.sealed;
    }
}
