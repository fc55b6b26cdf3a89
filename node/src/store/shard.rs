use super::{
    EvictionPolicy, PutOutcome, StoreStats,
    arena::Loc,
    class,
    entries::{Entries, New, Sum},
    index::Index,
    policy::{self, Policy, steering::Sample},
    record::{self, Fields},
    scan::Page,
    wheel::{self, Turn, Wheel},
};
use bytes::Bytes;
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Version, Vnode};
use std::{cmp::Ordering, time::Duration};

/// The list of markers, the first to come last.
const MARKERS: usize = policy::LISTS;
/// Values given up in one step at most, as long as the shard stays under its ceiling.
const EVICTIONS: usize = 512;
/// By how much a shard may exceed its limit until later steps have caught up: one part in so many.
const CEILING: u64 = 32;
/// What may be taken from the system beyond the limit, in pages that are not in use: one part in so many of the limit.
const SPARE: u64 = 100;

/// How much a shard may hold, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of everything.
    pub(super) bytes: u64,
    /// Of them, bytes of markers.
    pub(super) marker_bytes: u64,
    /// How long a marker stands.
    pub(super) marker_life: Duration,
}

/// What a shard is made for.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) vnodes: u16,
    /// Seed of the hashes of keys.
    pub(super) seed: u64,
    /// Leading bits of a hash that all keys share.
    pub(super) shared_bits: u32,
    pub(super) policy: EvictionPolicy,
}

/// Where a key belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) vnode: Vnode,
    pub(super) hash: u64,
    pub(super) key: &'a [u8],
}

/// What is held, copied from the shard. Its version wants the value's hash, which takes too long for under a lock.
pub(super) struct Held {
    fields: Fields,
    value: Bytes,
}

/// What is held under a key, seen where it lies.
pub struct Seen<'a> {
    entries: &'a Entries,
    at: Loc,
}

impl Seen<'_> {
    /// Whether there is a value: otherwise it is a marker.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !record::is_marker(self.entries.head(self.at))
    }

    /// When and by whom it was written.
    #[must_use]
    pub fn tag(&self) -> Tag {
        self.entries.fields(self.at).tag
    }

    /// When it expires or has expired; `None` never.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.entries.fields(self.at).expires_at
    }

    /// Bytes of the value.
    #[must_use]
    pub fn value_len(&self) -> usize {
        record::value_len(self.entries.head(self.at))
    }

    /// The value: longer ones lie in several pieces.
    pub fn value(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.value_pieces(self.at)
    }
}

/// The keys of one range of hashes: a state machine without clock or lock.
///
/// Every value stands in a list of the policy and, if it expires, in the wheel; every marker in the list of markers.
pub(super) struct Shard {
    limits: Limits,
    entries: Entries,
    wheel: Wheel,
    policy: Box<dyn Policy>,
    counters: Counters,
    /// What must not be exceeded even for the sake of short steps.
    ceiling: u64,
}

#[derive(Default)]
struct Counters {
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
    markers_dropped: u64,
}

impl Held {
    pub(super) fn into_stamped(self) -> Stamped {
        let Self { fields, value } = self;
        let Fields { tag, touch, expires_at, .. } = fields;
        if fields.since.is_some() {
            return Stamped::marker(tag, touch, expires_at);
        }
        Stamped::live(tag, touch, expires_at, Value::new(value).expect("was a value when it was stored"))
    }
}

impl Shard {
    pub(super) fn new(limits: Limits, layout: Layout) -> Self {
        let index = Index::new(layout.vnodes, layout.shared_bits);
        Self {
            limits,
            entries: Entries::new(index, layout.seed, wheel::BUCKETS),
            wheel: Wheel::default(),
            policy: layout.policy.for_shard(layout.seed),
            counters: Counters::default(),
            ceiling: ceiling(limits.bytes),
        }
    }

    /// Finds what is held, for a user's read: it counts as use, and as a hit or a miss.
    pub(super) fn look_up(&mut self, place: Place<'_>, now: UnixMillis) -> Option<Loc> {
        let found = self.find(place, now);
        match found.filter(|at| self.is_live(*at)) {
            Some(at) => {
                self.counters.hits += 1;
                self.policy.used(&mut self.entries, at, place.hash, 1);
            }
            None => self.counters.misses += 1,
        }
        found
    }

    /// What was found, where it lies.
    pub(super) fn seen(&self, at: Loc) -> Seen<'_> {
        Seen { entries: &self.entries, at }
    }

    /// What is held, without a trace.
    pub(super) fn peek(&mut self, place: Place<'_>, now: UnixMillis) -> Option<Held> {
        self.find(place, now).map(|at| self.held(at))
    }

    /// Counts reads of the key that others have served as use.
    pub(super) fn used_elsewhere(&mut self, place: Place<'_>, times: u32, now: UnixMillis) {
        if let Some(at) = self.find(place, now).filter(|at| self.is_live(*at)) {
            self.policy.used(&mut self.entries, at, place.hash, times);
        }
    }

    /// Keeps the larger of `entry` and what is held.
    pub(super) fn put(
        &mut self,
        place: Place<'_>,
        entry: &Stamped,
        cause: Cause,
        now: UnixMillis,
    ) -> PutOutcome {
        let found = self.find(place, now);
        let was_live = found.is_some_and(|at| self.is_live(at));
        if let Some(at) = found {
            match self.compare(at, entry) {
                Ordering::Less => {
                    let by = self.held(at).into_stamped().version();
                    return PutOutcome::Superseded { by, was_live };
                }
                Ordering::Equal => {
                    if was_live && cause == Cause::User {
                        self.policy.used(&mut self.entries, at, place.hash, 1);
                    }
                    return PutOutcome::Unchanged { was_live };
                }
                Ordering::Greater => {}
            }
        }
        let new = new(place, entry, now);
        if let Some(refused) = self.refused(&new, found) {
            return refused;
        }
        let kept = found.filter(|_| was_live == entry.value().is_some());
        match (kept, found) {
            (Some(at), _) => self.replace(at, &new, cause),
            (None, Some(at)) => {
                self.remove(at);
                self.insert(&new, cause);
            }
            (None, None) => self.insert(&new, cause),
        }
        self.shed(EVICTIONS);
        PutOutcome::Stored { was_live }
    }

    /// Adds entries of `vnode` that follow the page's last one, until it is full; says whether all fitted.
    pub(super) fn scan(&self, vnode: Vnode, after: u64, now: UnixMillis, page: &mut Page) -> bool {
        let mut walk = self.entries.walk(vnode, after).peekable();
        let mut alike = Vec::new();
        while let Some((mark, first)) = walk.next() {
            // In order of the bits that the index keeps; those alike in them are put in order here.
            alike.clear();
            alike.push((self.entries.hash(first), first));
            while let Some((_, at)) = walk.next_if(|(other, _)| *other == mark) {
                alike.push((self.entries.hash(at), at));
            }
            alike.retain(|(hash, _)| page.is_ahead(*hash));
            alike.sort_unstable();
            for (hash, at) in &alike {
                if !page.has_room(*hash) {
                    return false;
                }
                let key = Key::new(self.entries.key(*at)).expect("was a key when it was stored");
                page.add(*hash, key, self.held(*at).into_stamped().as_of(now));
            }
        }
        true
    }

    /// Turns expired values into markers, drops markers that have outlived their purpose and catches up with a limit
    /// that is exceeded; at most `budget` steps of all these.
    pub(super) fn expire(&mut self, now: UnixMillis, budget: usize) -> usize {
        for done in 0..budget {
            match self.wheel.turn(&mut self.entries, now) {
                Turn::Due(at) => self.expire_value(at, now),
                Turn::Moved => {}
                Turn::Idle => {
                    if let Some(at) = self.outlived_marker(now) {
                        self.entries.remove(at);
                    } else if !self.catch_up() {
                        return done;
                    }
                }
            }
        }
        budget
    }

    /// Forgets the key's entry if its tag is at or under `through`.
    pub(super) fn forget(&mut self, place: Place<'_>, through: Tag) -> bool {
        let found = self.entries.find(place.vnode, place.hash, place.key);
        let found = found.filter(|at| self.entries.fields(*at).tag <= through);
        found.inspect(|at| self.remove(*at)).is_some()
    }

    /// Forgets entries of `vnode`, at most `budget` of them; says whether that were all.
    pub(super) fn clear_vnode(&mut self, vnode: Vnode, budget: usize) -> bool {
        let mut from = 0;
        for _ in 0..budget {
            let Some((_, at)) = self.entries.walk(vnode, from).next() else { return true };
            from = self.entries.hash(at);
            self.remove(at);
        }
        false
    }

    /// Holds no more than `limits` from now on; what is too much goes step by step.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.ceiling = self.used().max(ceiling(limits.bytes));
    }

    /// What was seen of the use of values, once that is enough to tell.
    pub(super) fn sample(&mut self) -> Option<Sample> {
        self.policy.sample(&self.entries)
    }

    /// See [`Policy::steer`].
    pub(super) fn steer(&mut self, share: f64) {
        self.policy.steer(share);
    }

    /// How often the key was used lately, if the policy knows.
    pub(super) fn uses(&self, hash: u64) -> Option<u32> {
        self.policy.uses(hash)
    }

    /// Adds this shard's numbers to `stats`.
    pub(super) fn add_to(&self, stats: &mut StoreStats) {
        let (values, markers) = (self.values(), self.entries.sum(MARKERS));
        stats.entries += values.count;
        stats.expiring += self.entries.expiring();
        stats.markers += markers.count;
        stats.bytes += values.bytes;
        stats.marker_bytes += markers.bytes;
        stats.overhead_bytes += self.used() - values.bytes - markers.bytes;
        stats.hits += self.counters.hits;
        stats.misses += self.counters.misses;
        stats.evictions += self.counters.evictions;
        stats.expirations += self.counters.expirations;
        stats.markers_dropped += self.counters.markers_dropped;
    }

    /// Bytes of everything.
    fn used(&self) -> u64 {
        self.entries.bytes() + self.policy.bytes() + FIXED
    }

    fn values(&self) -> Sum {
        (0..policy::LISTS).map(|list| self.entries.sum(list)).fold(Sum::default(), |all, sum| Sum {
            count: all.count + sum.count,
            bytes: all.bytes + sum.bytes,
        })
    }

    /// Bytes that values may take: what all else leaves them.
    fn capacity(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.used() - self.values().bytes)
    }

    fn is_live(&self, at: Loc) -> bool {
        !record::is_marker(self.entries.head(at))
    }

    /// What was found, copied.
    pub(super) fn held(&self, at: Loc) -> Held {
        Held { fields: self.entries.fields(at), value: self.entries.value(at).into() }
    }

    /// How `entry` compares with what is held.
    fn compare(&self, at: Loc, entry: &Stamped) -> Ordering {
        let Fields { tag, touch, expires_at, since, .. } = self.entries.fields(at);
        let rank = |version: Version| (version.tag, version.dead, version.touch, version.expires_at);
        let held = (tag, since.is_some(), touch, expires_at);
        // Only where all else is equal does it come to the values, which have to be read for it.
        rank(entry.version()).cmp(&held).then_with(|| entry.cmp(&self.held(at).into_stamped()))
    }

    /// The key's entry, which is no value that has expired.
    fn find(&mut self, place: Place<'_>, now: UnixMillis) -> Option<Loc> {
        let at = self.entries.find(place.vnode, place.hash, place.key)?;
        if record::due(self.entries.head(at)).is_none_or(|due| due > now) {
            return Some(at);
        }
        self.expire_value(at, now);
        self.entries.find(place.vnode, place.hash, place.key)
    }

    /// Why a new entry is not stored, if there is a reason.
    fn refused(&mut self, new: &New<'_>, found: Option<Loc>) -> Option<PutOutcome> {
        if new.fields.since.is_some() {
            return None;
        }
        let len = new.fields.header_len(false) + new.key.len() + new.value.len();
        let remains = FIXED + self.policy.bytes() + self.entries.index_bytes();
        let (bytes, limit) = (class::cost(len, |_| false), self.limits.bytes.saturating_sub(remains));
        if bytes > limit {
            return Some(PutOutcome::TooLarge { bytes, limit });
        }
        if self.policy.evicts() {
            return None;
        }
        // Markers must find their part of the limit when they come.
        let for_markers = self.limits.marker_bytes.saturating_sub(self.entries.sum(MARKERS).bytes);
        let freed = found.map_or(0, |at| self.entries.weight(at));
        let wanted = self.values().bytes + self.entries.cost(len) + for_markers;
        (wanted > self.capacity() + freed).then_some(PutOutcome::Full { bytes, limit: self.limits.bytes })
    }

    fn insert(&mut self, new: &New<'_>, cause: Cause) {
        let list = match new.fields.since {
            Some(_) => MARKERS,
            None => self.policy.list_of_new(new.hash, cause == Cause::User),
        };
        if let Some(at) = self.entries.insert(new, list) {
            self.wheel.add(&mut self.entries, at);
        }
    }

    /// Puts a new value in a value's place, or a new marker in a marker's.
    fn replace(&mut self, at: Loc, new: &New<'_>, cause: Cause) {
        self.forget_due(at);
        let Some((at, old)) = self.entries.replace(at, new) else { return };
        self.wheel.add(&mut self.entries, at);
        if new.fields.since.is_some() {
            self.entries.move_first(at, MARKERS);
        } else if cause == Cause::User {
            self.policy.used(&mut self.entries, at, new.hash, 1);
        }
        if let Some(old) = old {
            self.entries.free(old);
        }
    }

    fn expire_value(&mut self, at: Loc, now: UnixMillis) {
        let fields = Fields { since: Some(now), value_len: 0, ..self.entries.fields(at) };
        let key = self.entries.key(at);
        let new = New { hash: self.entries.hash(at), fields, key: &key, value: &[] };
        self.remove(at);
        self.insert(&new, Cause::Repair);
        self.counters.expirations += 1;
        self.shed(EVICTIONS);
    }

    fn outlived_marker(&self, now: UnixMillis) -> Option<Loc> {
        let at = self.entries.last(MARKERS)?;
        let since = self.entries.fields(at).since?;
        (now.saturating_since(since) >= self.limits.marker_life).then_some(at)
    }

    /// Gives up values and markers until the limits hold: at most `budget` values, unless the ceiling is in danger.
    fn shed(&mut self, budget: usize) {
        self.shed_markers();
        let mut capacity = self.capacity();
        self.policy.settle(&mut self.entries, capacity);
        let mut done = 0;
        loop {
            let excess = self.values().bytes.saturating_sub(capacity);
            if excess == 0 || (done >= budget && self.used() <= self.ceiling) {
                break;
            }
            let Some(at) = self.policy.victim(&mut self.entries, capacity, excess) else { break };
            self.remove(at);
            self.counters.evictions += 1;
            done += 1;
            capacity = self.capacity();
        }
        self.ceiling = self.ceiling.min(self.used()).max(ceiling(self.limits.bytes));
    }

    fn shed_markers(&mut self) {
        while self.entries.sum(MARKERS).bytes > self.limits.marker_bytes
            && let Some(at) = self.entries.last(MARKERS)
        {
            self.entries.remove(at);
            self.counters.markers_dropped += 1;
        }
    }

    /// Takes a step towards the limit, if it is exceeded: gives up a few values, then pages.
    fn catch_up(&mut self) -> bool {
        let evictions = self.counters.evictions;
        if self.values().bytes > self.capacity() {
            self.shed(16);
        }
        let taken = self.entries.taken() + self.policy.bytes() + FIXED;
        evictions != self.counters.evictions
            || (taken > self.limits.bytes + self.limits.bytes / SPARE && self.entries.compact())
    }

    fn remove(&mut self, at: Loc) {
        self.forget_due(at);
        self.entries.remove(at);
    }

    fn forget_due(&mut self, at: Loc) {
        if record::due(self.entries.head(at)).is_some() {
            self.entries.remove_due(at);
        }
    }
}

/// What a shard takes beside entries and what is known of them.
const FIXED: u64 = (size_of::<Shard>() + (wheel::BUCKETS + MARKERS + 1) * 2 * size_of::<Loc>()) as u64;

fn ceiling(limit: u64) -> u64 {
    limit + limit / CEILING
}

fn new<'a>(place: Place<'a>, entry: &'a Stamped, now: UnixMillis) -> New<'a> {
    let Version { tag, dead, touch, expires_at, .. } = entry.version();
    let value = entry.value().map_or(&[][..], Value::as_bytes);
    let fields = Fields {
        vnode: place.vnode,
        tag,
        touch,
        expires_at,
        since: dead.then_some(now),
        key_len: place.key.len(),
        value_len: value.len(),
    };
    New { hash: place.hash, fields, key: place.key, value }
}

#[cfg(test)]
impl Shard {
    /// Checks that every structure tells the same story and that the limits hold.
    pub(super) fn check(&self) {
        self.entries.check(wheel::BUCKETS);
        assert!(self.used() <= self.ceiling || !self.policy.evicts());
        assert!(self.entries.sum(MARKERS).bytes <= self.limits.marker_bytes);
    }
}
