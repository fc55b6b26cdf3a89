use super::{
    PutOutcome, StoreStats, entry::Entry, eviction::EvictionQueue, index::Index, scan::Page, slab::Slab,
    ttl::DueTimes,
};
use shoal_proto::types::{Cause, Stamped, Tag, UnixMillis, Vnode};
use std::{cmp::Ordering, time::Duration};

/// How much a shard may hold, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of values with their keys.
    pub(super) live_bytes: u64,
    /// Bytes of markers.
    pub(super) marker_bytes: u64,
    /// How long a marker stands.
    pub(super) marker_life: Duration,
}

/// The keys of one range of hashes: a state machine without clock or lock.
///
/// Every entry stands in the slab, in the index, in the eviction queue of its kind and, if its value expires, among
/// the due times; its weight is charged to its kind. Slots move when others are removed, so none outlives a call.
pub(super) struct Shard {
    limits: Limits,
    slab: Slab,
    index: Index,
    due: DueTimes,
    live: Kind,
    markers: Kind,
    counters: Counters,
}

/// All values or all markers.
struct Kind {
    queue: EvictionQueue,
    count: u64,
    bytes: u64,
}

#[derive(Default)]
struct Counters {
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
    markers_dropped: u64,
}

impl Shard {
    pub(super) fn new(limits: Limits, vnodes: u16) -> Self {
        let kind = || Kind { queue: EvictionQueue::new(), count: 0, bytes: 0 };
        Self {
            limits,
            slab: Slab::default(),
            index: Index::new(vnodes),
            due: DueTimes::default(),
            live: kind(),
            markers: kind(),
            counters: Counters::default(),
        }
    }

    /// Changes the limits and sheds what lies beyond.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.shed();
    }

    /// What is held, as a user's read: it counts as use, and as a hit or a miss.
    pub(super) fn get(&mut self, vnode: Vnode, hash: u64, key: &[u8], now: UnixMillis) -> Option<Stamped> {
        let slot = self.find(vnode, hash, key, now);
        match slot.filter(|slot| self.slab[*slot].is_live()) {
            Some(slot) => {
                self.counters.hits += 1;
                self.live.queue.refresh(&mut self.slab, slot);
            }
            None => self.counters.misses += 1,
        }
        slot.map(|slot| self.slab[slot].to_stamped())
    }

    /// What is held, without a trace.
    pub(super) fn peek(&mut self, vnode: Vnode, hash: u64, key: &[u8], now: UnixMillis) -> Option<Stamped> {
        self.find(vnode, hash, key, now).map(|slot| self.slab[slot].to_stamped())
    }

    /// Keeps the larger of `entry` and what is held. A value must fit the limit by itself.
    pub(super) fn put(&mut self, entry: Entry, cause: Cause, now: UnixMillis) -> PutOutcome {
        let Some(slot) = self.find(entry.vnode(), entry.hash(), entry.key(), now) else {
            self.insert(entry);
            self.shed();
            return PutOutcome::Stored { was_live: false };
        };
        let held = &self.slab[slot];
        let was_live = held.is_live();
        match entry.rank().cmp(&held.rank()) {
            Ordering::Less => PutOutcome::Superseded { by: held.version(), was_live },
            Ordering::Equal => {
                if was_live && cause == Cause::User {
                    self.live.queue.refresh(&mut self.slab, slot);
                }
                PutOutcome::Unchanged { was_live }
            }
            Ordering::Greater => {
                self.replace(slot, entry, cause);
                self.shed();
                PutOutcome::Stored { was_live }
            }
        }
    }

    /// Adds entries of `vnode` that follow the page's last one, until it is full; says whether all fitted.
    pub(super) fn scan(&self, vnode: Vnode, now: UnixMillis, page: &mut Page) -> bool {
        let mut slots: Vec<_> = self
            .index
            .of_vnode(&self.slab, vnode)
            .map(|slot| (self.slab[slot].hash(), slot))
            .filter(|(hash, _)| page.is_ahead(*hash))
            .collect();
        slots.sort_unstable();
        slots.into_iter().all(|(hash, slot)| page.add(hash, &self.slab[slot], now))
    }

    /// Turns expired values into markers and drops markers that have outlived their purpose; at most `budget` of them.
    pub(super) fn expire(&mut self, now: UnixMillis, budget: usize) -> usize {
        for done in 0..budget {
            if let Some(slot) = self.due.first(now) {
                self.expire_value(slot, now);
            } else if let Some(slot) = self.outlived_marker(now) {
                self.remove(slot);
            } else {
                return done;
            }
        }
        budget
    }

    /// Forgets the key's entry if its tag is at or under `through`.
    pub(super) fn forget(&mut self, vnode: Vnode, hash: u64, key: &[u8], through: Tag) -> bool {
        let slot = self.index.find(&self.slab, vnode, hash, key);
        let slot = slot.filter(|slot| self.slab[*slot].version().tag <= through);
        slot.inspect(|slot| self.remove(*slot)).is_some()
    }

    /// Forgets every entry of `vnode`.
    pub(super) fn clear_vnode(&mut self, vnode: Vnode) {
        let mut slots: Vec<_> = self.index.of_vnode(&self.slab, vnode).collect();
        // From the last slot down, so that what moves into a freed slot is never one that is still to go.
        slots.sort_unstable_by(|a, b| b.cmp(a));
        slots.into_iter().for_each(|slot| self.remove(slot));
    }

    /// Adds this shard's numbers to `stats`.
    pub(super) fn add_to(&self, stats: &mut StoreStats) {
        stats.entries += self.live.count;
        stats.expiring += self.due.len();
        stats.markers += self.markers.count;
        stats.bytes += self.live.bytes;
        stats.marker_bytes += self.markers.bytes;
        stats.hits += self.counters.hits;
        stats.misses += self.counters.misses;
        stats.evictions += self.counters.evictions;
        stats.expirations += self.counters.expirations;
        stats.markers_dropped += self.counters.markers_dropped;
    }

    /// The key's slot, in which no expired value stands any more.
    fn find(&mut self, vnode: Vnode, hash: u64, key: &[u8], now: UnixMillis) -> Option<u32> {
        let slot = self.index.find(&self.slab, vnode, hash, key)?;
        if self.slab[slot].due().is_none_or(|at| at > now) {
            return Some(slot);
        }
        self.expire_value(slot, now);
        self.index.find(&self.slab, vnode, hash, key)
    }

    fn insert(&mut self, entry: Entry) {
        let slot = self.slab.push(entry);
        self.index.insert(&self.slab, slot);
        self.charge(slot);
        self.enqueue(slot);
    }

    fn replace(&mut self, slot: u32, mut entry: Entry, cause: Cause) {
        let held = &self.slab[slot];
        let keeps_place = cause != Cause::User && held.is_live() && entry.is_live();
        entry.link = held.link;
        self.discharge(slot);
        if keeps_place {
            self.slab[slot] = entry;
        } else {
            self.dequeue(slot);
            self.slab[slot] = entry;
            self.enqueue(slot);
        }
        self.charge(slot);
    }

    fn expire_value(&mut self, slot: u32, now: UnixMillis) {
        self.discharge(slot);
        self.dequeue(slot);
        self.slab[slot].expire(now);
        self.enqueue(slot);
        self.charge(slot);
        self.counters.expirations += 1;
        self.shed();
    }

    fn outlived_marker(&self, now: UnixMillis) -> Option<u32> {
        let slot = self.markers.queue.oldest()?;
        let since = self.slab[slot].marker_since()?;
        (now.saturating_since(since) >= self.limits.marker_life).then_some(slot)
    }

    /// Gives up the oldest until the limits hold.
    fn shed(&mut self) {
        while self.live.bytes > self.limits.live_bytes
            && let Some(slot) = self.live.queue.oldest()
        {
            self.remove(slot);
            self.counters.evictions += 1;
        }
        while self.markers.bytes > self.limits.marker_bytes
            && let Some(slot) = self.markers.queue.oldest()
        {
            self.remove(slot);
            self.counters.markers_dropped += 1;
        }
    }

    fn remove(&mut self, slot: u32) {
        self.discharge(slot);
        self.dequeue(slot);
        self.index.remove(&self.slab, slot);
        let last = self.slab.len() - 1;
        if slot != last {
            self.rename(last, slot);
        }
        self.slab.swap_remove(slot);
    }

    /// The entry at `from` is about to move to the free slot `to`.
    fn rename(&mut self, from: u32, to: u32) {
        self.index.rename(&self.slab, from, to);
        if let Some(at) = self.slab[from].due() {
            self.due.remove(at, from);
            self.due.insert(at, to);
        }
        let (slab, kind) = self.kind(from);
        kind.queue.rename(slab, from, to);
    }

    fn charge(&mut self, slot: u32) {
        if let Some(at) = self.slab[slot].due() {
            self.due.insert(at, slot);
        }
        let (slab, kind) = self.kind(slot);
        kind.count += 1;
        kind.bytes += slab[slot].weight();
    }

    fn discharge(&mut self, slot: u32) {
        if let Some(at) = self.slab[slot].due() {
            self.due.remove(at, slot);
        }
        let (slab, kind) = self.kind(slot);
        kind.count -= 1;
        kind.bytes -= slab[slot].weight();
    }

    fn enqueue(&mut self, slot: u32) {
        let (slab, kind) = self.kind(slot);
        kind.queue.push(slab, slot);
    }

    fn dequeue(&mut self, slot: u32) {
        let (slab, kind) = self.kind(slot);
        kind.queue.remove(slab, slot);
    }

    fn kind(&mut self, slot: u32) -> (&mut Slab, &mut Kind) {
        let kind = if self.slab[slot].is_live() { &mut self.live } else { &mut self.markers };
        (&mut self.slab, kind)
    }
}

#[cfg(test)]
impl Shard {
    /// Checks that every structure tells the same story and that the limits hold.
    pub(super) fn check(&self) {
        for (kind, is_live) in [(&self.live, true), (&self.markers, false)] {
            let mut of_slab: Vec<u32> =
                (0..self.slab.len()).filter(|s| self.slab[*s].is_live() == is_live).collect();
            let mut queued: Vec<u32> = kind.queue.iter(&self.slab).collect();
            queued.sort_unstable();
            of_slab.sort_unstable();
            assert_eq!(queued, of_slab, "each entry stands in the queue of its kind, once");
            assert_eq!(kind.count, queued.len() as u64);
            assert_eq!(kind.bytes, queued.iter().map(|slot| self.slab[*slot].weight()).sum::<u64>());
        }
        for slot in 0..self.slab.len() {
            let entry = &self.slab[slot];
            assert_eq!(self.index.find(&self.slab, entry.vnode(), entry.hash(), entry.key()), Some(slot));
        }
        assert_eq!(self.index.len(), self.slab.len() as usize);
        let expiring = (0..self.slab.len()).filter_map(|slot| Some((self.slab[slot].due()?, slot)));
        let mut expiring: Vec<_> = expiring.collect();
        expiring.sort_unstable();
        assert!(self.due.iter().eq(expiring));
        assert!(self.live.bytes <= self.limits.live_bytes && self.markers.bytes <= self.limits.marker_bytes);
    }
}
