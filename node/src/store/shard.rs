mod ghosts;
mod listing;

use super::{
    Agreement, EvictionPolicy, PutOutcome,
    arena::Loc,
    class,
    entries::{Entries, New, Sum},
    fault,
    index::Index,
    policy::{self, Policy, steering::Sample},
    record::{self, Fields, Kind},
    scan::Page,
    stats::{Counters, Need, StoreStats},
    wheel::{self, Turn, Wheel},
};
use bytes::Bytes;
use ghosts::Pass;
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Version, Vnode};
use std::{cmp::Ordering, sync::Arc, time::Duration};

/// The list of markers and ghosts, the first to come last.
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
    /// Of them, bytes of markers and ghosts.
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
    /// What each shard is charged of what the store has for all of them.
    pub(super) common_bytes: u64,
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
        record::is_value(self.entries.head(self.at))
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
/// Every value stands in a list of the policy and, if it expires, in the wheel; every marker and every ghost in the list
/// of markers.
pub(super) struct Shard {
    limits: Limits,
    agreement: Arc<Agreement>,
    entries: Entries,
    wheel: Wheel,
    policy: Box<dyn Policy>,
    counters: Counters,
    /// Of the list of markers, what is ghosts.
    ghosts: Sum,
    pass: Pass,
    /// What the shard takes beside entries and what is known of them.
    fixed: u64,
    /// What must not be exceeded even for the sake of short steps.
    ceiling: u64,
}

impl Held {
    pub(super) fn value_len(&self) -> usize {
        self.value.len()
    }

    pub(super) fn into_stamped(self) -> Stamped {
        let Self { fields, value } = self;
        let Fields { tag, touch, expires_at, touched_at, .. } = fields;
        let entry = match fields.kind {
            Kind::Value => {
                let value = Value::new(value).expect("was a value when it was stored");
                Stamped::live(tag, touch, expires_at, value)
            }
            Kind::Marker { .. } | Kind::Ghost { .. } => Stamped::marker(tag, touch, expires_at),
        };
        entry.touched_at(touched_at)
    }
}

impl Shard {
    pub(super) fn new(limits: Limits, layout: Layout, agreement: Arc<Agreement>) -> Self {
        let index = Index::new(layout.vnodes, layout.shared_bits);
        Self {
            limits,
            agreement,
            entries: Entries::new(index, layout.seed, wheel::BUCKETS),
            wheel: Wheel::default(),
            policy: layout.policy.for_shard(layout.seed),
            counters: Counters::default(),
            ghosts: Sum::default(),
            pass: Pass::default(),
            fixed: FIXED + layout.common_bytes,
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
        let ghost = if found.is_none() { self.find_ghost(place.vnode, place.hash) } else { None };
        let barred = ghost.and_then(|at| self.haunted(at, entry));
        let closed = |shard: &mut Self| shard.closed(place.vnode, entry, cause, was_live);
        let is_marker = self.is_marker_of(found, entry);
        if let Some(outcome) = barred.or_else(|| (!is_marker).then(|| closed(self)).flatten()) {
            return outcome;
        }
        if cause != Cause::Rebuild && self.lacks_value_of(place.vnode, found, entry) {
            self.put_ghost(place.vnode, place.hash, rank(entry), now);
            return PutOutcome::Unchanged { was_live };
        }
        let new = new(place, entry, now);
        if let Some(refused) = self.refused(&new, found) {
            return refused;
        }
        if let Some(at) = ghost {
            self.remove(at);
        }
        let kept = found.filter(|_| was_live == entry.value().is_some());
        match (kept, found) {
            (Some(at), _) => self.replace(at, &new, cause),
            (None, Some(at)) => {
                self.remove(at);
                self.add(&new, cause);
            }
            (None, None) => self.add(&new, cause),
        }
        self.shed(EVICTIONS, if new.fields.kind == Kind::Value { Need::Value } else { Need::Marker });
        PutOutcome::Stored { was_live }
    }

    /// Adds entries of `vnode` that follow the page's last one, until it is full; says whether all fitted.
    pub(super) fn scan(&self, vnode: Vnode, after: u64, now: UnixMillis, page: &mut Page) -> bool {
        let from = page.last();
        self.in_order(vnode, after, from, |hash, at| {
            if record::is_ghost(self.entries.head(at)) {
                return true;
            }
            let has_room = page.has_room(hash);
            if has_room {
                let key = Key::new(self.entries.key(at)).expect("was a key when it was stored");
                page.add(hash, key, self.held(at).into_stamped().as_of(now));
            }
            has_room
        })
    }

    /// Visits what is held of `vnode`, ghosts too, in ascending order of hash from `after` on, and beyond `beyond` if there
    /// is such a hash, until told to stop; says whether that was all.
    fn in_order(
        &self,
        vnode: Vnode,
        after: u64,
        beyond: Option<u64>,
        mut visit: impl FnMut(u64, Loc) -> bool,
    ) -> bool {
        let mut walk = self.entries.walk(vnode, after).peekable();
        let mut alike = Vec::new();
        while let Some((mark, first)) = walk.next() {
            // In order of the bits that the index keeps; those alike in them are put in order here.
            alike.clear();
            alike.push((self.entries.hash(first), first));
            while let Some((_, at)) = walk.next_if(|(other, _)| *other == mark) {
                alike.push((self.entries.hash(at), at));
            }
            alike.retain(|(hash, _)| beyond.is_none_or(|beyond| *hash > beyond));
            alike.sort_unstable();
            if !alike.iter().all(|(hash, at)| visit(*hash, *at)) {
                return false;
            }
        }
        true
    }

    /// Turns expired values into markers, drops markers and ghosts that have outlived their life or their purpose and
    /// catches up with a limit that is exceeded; at most `budget` steps of all these.
    pub(super) fn expire(&mut self, now: UnixMillis, budget: usize) -> usize {
        for done in 0..budget {
            match self.wheel.turn(&mut self.entries, now) {
                Turn::Due(at) => self.expire_value(at, now),
                Turn::Moved => {}
                Turn::Idle => {
                    if let Some(at) = self.outlived_marker(now) {
                        self.remove(at);
                    } else if !self.drop_settled(now) && !self.catch_up() {
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
        let ghost = self.find_ghost(place.vnode, place.hash);
        if let Some(at) = found.or(ghost.filter(|at| self.entries.fields(*at).tag <= through)) {
            self.remove(at);
        }
        found.is_some()
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

    /// Hashes keys by another seed from now on; only while there are none.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.entries.reseed(seed);
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
        stats.markers += markers.count - self.ghosts.count;
        stats.ghosts += self.ghosts.count;
        stats.bytes += values.bytes;
        stats.marker_bytes += markers.bytes - self.ghosts.bytes;
        stats.ghost_bytes += self.ghosts.bytes;
        stats.overhead_bytes += self.used() - values.bytes - markers.bytes;
        stats.index_bytes += self.entries.index_bytes();
        stats.sketch_bytes += self.policy.bytes();
        stats.slack_bytes += self.entries.bytes() - self.entries.index_bytes() - values.bytes - markers.bytes;
        stats.max_bytes += self.limits.bytes;
        self.counters.add_to(stats);
    }

    /// The part of what markers and ghosts may take that is taken.
    pub(super) fn pressure(&self) -> f64 {
        self.entries.sum(MARKERS).bytes as f64 / self.limits.marker_bytes.max(1) as f64
    }

    /// Bytes of everything.
    fn used(&self) -> u64 {
        self.entries.bytes() + self.policy.bytes() + self.fixed
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
        record::is_value(self.entries.head(at))
    }

    /// What was found, copied.
    pub(super) fn held(&self, at: Loc) -> Held {
        Held { fields: self.entries.fields(at), value: self.entries.value(at).into() }
    }

    /// How `entry` compares with what is held.
    fn compare(&self, at: Loc, entry: &Stamped) -> Ordering {
        // Only where all else is equal does it come to the values, which have to be read for it.
        rank(entry)
            .cmp(&self.entries.fields(at).rank())
            .then_with(|| entry.cmp(&self.held(at).into_stamped()))
    }

    /// The key's entry, which is no value that has expired.
    fn find(&mut self, place: Place<'_>, now: UnixMillis) -> Option<Loc> {
        let at = self.entries.find(place.vnode, place.hash, place.key)?;
        let due = record::due(self.entries.head(at)).filter(|_| !fault::active("resurrect_expired"));
        if due.is_none_or(|due| due > now) {
            return Some(at);
        }
        self.expire_value(at, now);
        self.entries.find(place.vnode, place.hash, place.key)
    }

    /// Why a new entry is not stored, if there is a reason.
    fn refused(&mut self, new: &New<'_>, found: Option<Loc>) -> Option<PutOutcome> {
        if new.fields.kind != Kind::Value {
            return None;
        }
        let len = new.fields.header_len(false) + new.key.len() + new.value.len();
        let remains = self.fixed + self.policy.bytes() + self.entries.index_bytes();
        let (bytes, limit) = (class::cost(len, |_| false), self.limits.bytes.saturating_sub(remains));
        if bytes > limit {
            self.counters.refused.too_large += 1;
            return Some(PutOutcome::TooLarge { bytes, limit });
        }
        if self.policy.evicts() {
            return None;
        }
        // Markers must find their part of the limit when they come.
        let for_markers = self.limits.marker_bytes.saturating_sub(self.entries.sum(MARKERS).bytes);
        let freed = found.map_or(0, |at| self.entries.weight(at));
        let wanted = self.values().bytes + self.entries.cost(len) + for_markers;
        if wanted <= self.capacity() + freed {
            return None;
        }
        self.counters.refused.full += 1;
        Some(PutOutcome::Full { bytes, limit: self.limits.bytes })
    }

    fn add(&mut self, new: &New<'_>, cause: Cause) {
        if self.insert(new, cause) {
            self.agreement.digests.add(new.hash, &new.fields);
        }
    }

    /// Stores what is not there, and does not count it among what is held; false when there is no room to be had at all.
    fn insert(&mut self, new: &New<'_>, cause: Cause) -> bool {
        let list = match new.fields.kind {
            Kind::Value => self.policy.list_of_new(new.hash, cause == Cause::User),
            Kind::Marker { .. } | Kind::Ghost { .. } => MARKERS,
        };
        let Some(at) = self.entries.insert(new, list) else { return false };
        self.wheel.add(&mut self.entries, at);
        if list == MARKERS && record::is_ghost(self.entries.head(at)) {
            self.ghosts.count += 1;
            self.ghosts.bytes += self.entries.weight(at);
        }
        true
    }

    /// Puts a new value in a value's place, or a new marker in a marker's.
    fn replace(&mut self, at: Loc, new: &New<'_>, cause: Cause) {
        self.forget_due(at);
        let before = self.entries.fields(at);
        let Some((at, old)) = self.entries.replace(at, new) else { return };
        self.agreement.digests.remove(new.hash, &before);
        self.agreement.digests.add(new.hash, &new.fields);
        self.wheel.add(&mut self.entries, at);
        if new.fields.kind != Kind::Value {
            self.entries.move_first(at, MARKERS);
        } else if cause == Cause::User {
            self.policy.used(&mut self.entries, at, new.hash, 1);
        }
        if let Some(old) = old {
            self.entries.free(old);
        }
    }

    fn expire_value(&mut self, at: Loc, now: UnixMillis) {
        let value = self.entries.fields(at);
        let fields = Fields { kind: Kind::Marker { since: now }, value_len: 0, ..value };
        let key = self.entries.key(at);
        let new = New { hash: self.entries.hash(at), fields, key: &key, value: &[] };
        self.unlink(at, new.hash);
        if !self.insert(&new, Cause::Repair) {
            self.agreement.digests.remove(new.hash, &value);
        }
        self.counters.expirations += 1;
        self.shed(EVICTIONS, Need::Marker);
    }

    fn outlived_marker(&self, now: UnixMillis) -> Option<Loc> {
        let at = self.entries.last(MARKERS)?;
        let since = match self.entries.fields(at) {
            Fields { kind: Kind::Marker { since }, .. } => since,
            ghost => ghost.rank().stamp().millis(),
        };
        (now.saturating_since(since) >= self.limits.marker_life).then_some(at)
    }

    /// Gives up values and markers until the limits hold: at most `budget` values, unless the ceiling is in danger.
    fn shed(&mut self, budget: usize, need: Need) {
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
            self.counters.evicted(self.entries.list(at), need);
            self.evict(at);
            done += 1;
            capacity = self.capacity();
        }
        self.ceiling = self.ceiling.min(self.used()).max(ceiling(self.limits.bytes));
    }

    fn shed_markers(&mut self) {
        while self.entries.sum(MARKERS).bytes > self.limits.marker_bytes
            && let Some(at) = self.entries.last(MARKERS)
        {
            match (self.is_settled(&self.entries.fields(at)), record::is_ghost(self.entries.head(at))) {
                (true, _) => self.counters.settled += 1,
                (false, true) => self.counters.ghosts_dropped += 1,
                (false, false) => self.counters.markers_dropped += 1,
            }
            self.remove(at);
        }
    }

    /// Takes a step towards the limit, if it is exceeded: gives up a few values, then pages.
    fn catch_up(&mut self) -> bool {
        let evictions = self.counters.evictions();
        if self.values().bytes > self.capacity() {
            self.shed(16, Need::Limit);
        }
        let taken = self.entries.taken() + self.policy.bytes() + self.fixed;
        evictions != self.counters.evictions()
            || (taken > self.limits.bytes + self.limits.bytes / SPARE && self.entries.compact())
    }

    /// Forgets an entry without a trace.
    fn remove(&mut self, at: Loc) {
        let hash = self.entries.hash(at);
        self.agreement.digests.remove(hash, &self.entries.fields(at));
        self.unlink(at, hash);
    }

    /// Forgets an entry that goes on to count among what is held, since something takes its place.
    fn unlink(&mut self, at: Loc, hash: u64) {
        if record::is_ghost(self.entries.head(at)) {
            self.ghosts.count -= 1;
            self.ghosts.bytes -= self.entries.weight(at);
        }
        self.forget_due(at);
        self.entries.remove(at, hash);
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

/// The version, but for the hash of the value.
fn rank(entry: &Stamped) -> Version {
    Version { value_hash: 0, ..entry.version() }
}

fn new<'a>(place: Place<'a>, entry: &'a Stamped, now: UnixMillis) -> New<'a> {
    let Version { tag, dead, touch, expires_at, touched_at, .. } = entry.version();
    let value = entry.value().map_or(&[][..], Value::as_bytes);
    let fields = Fields {
        vnode: place.vnode,
        tag,
        touch,
        expires_at,
        touched_at,
        kind: if dead { Kind::Marker { since: now } } else { Kind::Value },
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
        assert_eq!(self.ghosts, self.entries.count_ghosts(MARKERS));
        assert!(self.used() <= self.ceiling || !self.policy.evicts());
        assert!(self.entries.sum(MARKERS).bytes <= self.limits.marker_bytes);
    }
}
