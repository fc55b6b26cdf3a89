//! What one node holds: keys and their newest known states, bounded by bytes.
//!
//! ```text
//! Store -> shard (hash range) -> entries -> index: vnode, hash -> location
//!               |                        -> arena: pages of slots of one size, records cut into pieces
//!               |                        -> order: what was used when, by links that run through the records
//!               |-> policy: which value goes when memory is full
//!               `-> wheel: which value expires next
//! ```
//!
//! - A key holds a value or a marker (deleted or expired), and only ever moves up in the order of versions, until it is
//!   evicted or its marker is dropped.
//! - The limit covers everything: entries, begun pages, index, sketch. Markers and ghosts have a part of it that they may
//!   not exceed.
//! - No value is returned past its expiry; time is an argument.
//!
//! Owners agree on each vnode up to [`Watermarks`], by [`Digest`]s of what they hold: see [`Store::seal`]. What one gives up
//! before that leaves a ghost. Of a vnode that was never sealed nothing is known to be agreed, and nothing leaves ghosts.

mod arena;
mod class;
mod digest;
mod entries;
mod fault;
mod found;
mod index;
mod links;
mod list;
mod loan;
mod order;
mod policy;
mod record;
mod scan;
mod shard;
mod stats;
mod watermarks;
mod wheel;

#[cfg(test)]
mod tests;

pub use digest::Digest;
pub use found::Found;
pub use list::Listed;
pub use policy::EvictionPolicy;
pub use shard::Seen;
pub use stats::{EvictedFor, Refused, StoreStats};
pub use watermarks::Watermarks;

use crate::limits::{STORE_SHARD_BYTES, STORE_SHARD_BYTES_MAX, TAG_BUCKET};
use digest::{Bucket, Digests};
use list::List;
use loan::{Loan, Shares};
use parking_lot::{Mutex, MutexGuard};
use policy::steering::Steering;
use scan::Page;
use shard::{Held, Layout, Limits, Place, Shard};
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Version, Vnode, WriterId};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use watermarks::Marks;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Entries forgotten under one hold of a shard's lock.
const CLEARED_AT_ONCE: usize = 256;

/// How a store is laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreConfig {
    /// Bytes of everything: values, markers, index, what is known of keys.
    pub max_bytes: u64,
    /// What is given up when they are full.
    pub policy: EvictionPolicy,
    /// How many vnodes the keys are spread over.
    pub vnodes: u16,
    /// Seed of the index hash, secret from those who choose keys.
    pub seed: u64,
    /// How long a marker or a ghost stands at most: less if it is settled before.
    pub marker_life: Duration,
    /// The part of `max_bytes` that markers and ghosts may take together, 0 to 1.
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
    /// The same entry was held already, or was given up and has left its ghost, or has passed before this owner
    /// confirmed that it had seen everything of that time. It counts as held.
    Unchanged {
        /// It is a live value.
        was_live: bool,
    },
    /// A larger version is held, or was given up and has left its ghost.
    Superseded {
        /// That version; without the hash of its value if it is a ghost's.
        by: Version,
        /// It is a live value.
        was_live: bool,
    },
    /// It comes too late: the vnode is sealed beyond its stamp. Nothing changed.
    Sealed {
        /// Up to where the vnode is sealed.
        through: Tag,
    },
    /// Nothing is given up for the entry, by the store's policy. Nothing changed.
    Full {
        /// What the entry would be charged.
        bytes: u64,
        /// What its shard may hold.
        limit: u64,
    },
    /// The entry would not fit an empty store. Nothing changed: what was held before still is.
    TooLarge {
        /// What the entry would be charged.
        bytes: u64,
        /// The most that one entry may be charged.
        limit: u64,
    },
}

/// The map of one node, shared by all its tasks.
///
/// Keys are spread over the shards by hash rather than by vnode: a node owns long runs of neighbouring vnodes, which
/// would leave most of the shards, and their share of the memory, to nobody.
pub struct Store {
    /// Ascending ranges of hashes. Each lock is held for one short step and never across an await.
    shards: Box<[Mutex<Shard>]>,
    /// Held shortly, under a shard's lock.
    steering: Mutex<Steering>,
    layout: Layout,
    /// The seed of the hashes of keys, once it is that of the cluster.
    shared_seed: OnceLock<u64>,
    agreement: Arc<Agreement>,
    marker_life: Duration,
    marker_share: f64,
    max_bytes: AtomicU64,
    /// Held while shares change, and never taken under a shard's lock.
    loan: Mutex<Option<Loan>>,
    /// Counts the turns of shards in expiry.
    next_expired: AtomicUsize,
}

/// How far owners agree, and on what, for all shards.
struct Agreement {
    marks: Marks,
    digests: Digests,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        Self::with_bucket(config, TAG_BUCKET)
    }

    /// An empty store whose digests are of buckets of this length: the same for all owners.
    #[must_use]
    pub fn with_bucket(config: StoreConfig, bucket: Duration) -> Self {
        let StoreConfig { max_bytes, policy, vnodes, seed, marker_life, marker_share } = config;
        let count = shard_count(max_bytes);
        let digests = Digests::new(vnodes, Bucket::new(bucket));
        let agreement = Arc::new(Agreement { marks: Marks::new(vnodes), digests });
        let common_bytes = (agreement.marks.bytes() + agreement.digests.bytes()) / count;
        let layout = Layout { vnodes, seed, common_bytes, shared_bits: count.ilog2(), policy };
        let limits = limits(max_bytes / count, marker_share, marker_life);
        let shard = || Mutex::new(Shard::new(limits, layout, agreement.clone()));
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            shared_seed: OnceLock::new(),
            agreement: agreement.clone(),
            steering: Mutex::new(Steering::new(count)),
            layout,
            marker_life,
            marker_share,
            max_bytes: AtomicU64::new(max_bytes),
            loan: Mutex::new(None),
            next_expired: AtomicUsize::new(0),
        }
    }

    /// Hashes keys by the seed that all nodes of the cluster share, which hashes in lists and ghosts refer to. Only the
    /// first call counts. It must come before anything is put.
    pub fn share_seed(&self, seed: u64) {
        self.shared_seed.get_or_init(|| {
            self.shards.iter().for_each(|shard| shard.lock().reseed(seed));
            seed
        });
    }

    /// What is known of `key`, read by a user: counts as use of the key and as a hit or a miss. An expired value is its
    /// marker.
    #[must_use]
    pub fn read(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Found {
        let place = self.place(vnode, key);
        let mut shard = self.shard(place.hash).lock();
        let found = shard.look_up(place, now);
        self.steer(&mut shard);
        let held = found.map(|at| shard.held(at));
        let ghost = if held.is_none() { shard.ghost(place) } else { None };
        drop(shard);
        Found::new(held, ghost)
    }

    /// As [`Store::read`], but by the system itself: leaves order of use and counters alone.
    #[must_use]
    pub fn look(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Found {
        let place = self.place(vnode, key);
        let mut shard = self.shard(place.hash).lock();
        let held = shard.peek(place, now);
        let ghost = if held.is_none() { shard.ghost(place) } else { None };
        drop(shard);
        Found::new(held, ghost)
    }

    /// What is held under `key`, as of [`Store::read`].
    #[must_use]
    pub fn get(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let place = self.place(vnode, key);
        let mut shard = self.shard(place.hash).lock();
        let found = shard.look_up(place, now);
        self.steer(&mut shard);
        let held = found.map(|at| shard.held(at));
        drop(shard);
        held.map(Held::into_stamped)
    }

    /// Shows `look` what is held under `key` where it lies, otherwise as [`Store::get`] does. Others wait meanwhile: to
    /// look must not take long.
    pub fn get_with<T>(
        &self,
        vnode: Vnode,
        key: &Key,
        now: UnixMillis,
        look: impl FnOnce(&Seen<'_>) -> T,
    ) -> Option<T> {
        let place = self.place(vnode, key);
        let mut shard = self.shard(place.hash).lock();
        let found = shard.look_up(place, now);
        self.steer(&mut shard);
        found.map(|at| look(&shard.seen(at)))
    }

    /// What is held under `key`, as of [`Store::look`].
    #[must_use]
    pub fn peek(&self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let place = self.place(vnode, key);
        let held = self.shard(place.hash).lock().peek(place, now);
        held.map(Held::into_stamped)
    }

    /// Counts `times` reads of `key` that another owner has served as use of it.
    pub fn used_elsewhere(&self, vnode: Vnode, key: &Key, times: u32, now: UnixMillis) {
        let place = self.place(vnode, key);
        self.shard(place.hash).lock().used_elsewhere(place, times, now);
    }

    /// How often `key` was used lately, up to a small number, where the policy counts that.
    #[must_use]
    pub fn uses(&self, key: &Key) -> Option<u32> {
        let hash = self.hash(key);
        self.shard(hash).lock().uses(hash)
    }

    /// Keeps the larger of `entry` and what is held under `key`, in one step. The bytes are copied. A user's write
    /// counts as use of the key, any other only puts a new key among the recently used.
    ///
    /// What is neither held nor superseded, not even by a ghost, is refused where the vnode is sealed, unless a round, a
    /// repair or a rebuild brings it; and where it is confirmed, unless a rebuild does: there, what a round or a repair
    /// brings counts as held.
    pub fn put(&self, vnode: Vnode, key: &Key, entry: Stamped, cause: Cause, now: UnixMillis) -> PutOutcome {
        let (place, entry) = (self.place(vnode, key), entry.as_of(now));
        let put = || {
            let mut shard = self.shard(place.hash).lock();
            let outcome = shard.put(place, &entry, cause, now);
            self.steer(&mut shard);
            outcome
        };
        let refused = put();
        let PutOutcome::TooLarge { bytes, limit } = refused else { return refused };
        let mut loan = self.loan.lock();
        let number = self.shard_number(place.hash);
        let taken = self.shares().of(number, loan.as_ref()).saturating_sub(limit);
        let Some(new) = Loan::for_entry((vnode, key), number, (bytes, taken), self.shares()) else {
            return refused;
        };
        self.divide(&mut loan, Some(new));
        put()
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
        let (first, mut from) = (after.map_or(0, |hash| self.shard_number(hash)), after.unwrap_or(0));
        let end = self.shards[first..].iter().all(|shard| {
            let all = shard.lock().scan(vnode, from, now, &mut page);
            from = 0;
            all
        });
        page.finish(end)
    }

    /// Forgets what is held under `key`, marker or value, if its tag is at or under `through`. Returns whether it was.
    pub fn forget(&self, vnode: Vnode, key: &Key, through: Tag) -> bool {
        let place = self.place(vnode, key);
        self.shard(place.hash).lock().forget(place, through)
    }

    /// Turns expired values into markers, drops markers and ghosts that are settled or have stood for their life, and
    /// gives back memory beyond the limit; at most `budget` steps of all these, a few at a time from each shard in turn.
    /// Returns how many: fewer than `budget` means that nothing is due any more.
    pub fn expire(&self, now: UnixMillis, budget: usize) -> usize {
        self.settle_loan(now);
        let (mut done, mut idle) = (0, 0);
        while done < budget && idle < self.shards.len() {
            // Goes on next time where it ended, lest a shard that is always busy keep the others from their turn.
            let number = self.next_expired.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            let steps = (budget - done).min(STEPS_AT_ONCE);
            let taken = self.shards[number].lock().expire(now, steps);
            done += taken;
            idle = if taken < steps { idle + 1 } else { 0 };
        }
        done
    }

    /// Forgets everything of `vnode`: what is held, ghosts and watermarks. Nobody may use it meanwhile.
    pub fn clear_vnode(&self, vnode: Vnode) {
        for shard in &self.shards {
            while !shard.lock().clear_vnode(vnode, CLEARED_AT_ONCE) {}
        }
        self.agreement.marks.reset(vnode);
        self.agreement.digests.reset(vnode);
    }

    /// Changes the limit. What is too much is given up step by step, by later writes and by [`Store::expire`].
    pub fn set_max_bytes(&self, max_bytes: u64) {
        let mut loan = self.loan.lock();
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        self.divide(&mut loan, None);
    }

    /// The store's numbers, each shard's at its own moment.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats::default();
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        StoreStats { max_bytes: self.max_bytes.load(Ordering::Relaxed), ..stats }
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

    /// What is given up when memory is full.
    #[must_use]
    pub fn policy(&self) -> EvictionPolicy {
        self.layout.policy
    }

    /// The part of the values' memory that is the window's, and how many hits a byte of it is worth as a multiple of
    /// a byte outside. Means something under W-TinyLFU alone.
    #[must_use]
    pub fn window(&self) -> (f64, f64) {
        let steering = self.steering.lock();
        (steering.share(), steering.density())
    }

    fn shares(&self) -> Shares {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        Shares { max_bytes, count: self.shards.len() as u64 }
    }

    /// Divides the limit among the shards, such that one has this loan.
    fn divide(&self, loan: &mut MutexGuard<'_, Option<Loan>>, new: Option<Loan>) {
        **loan = new;
        for (number, shard) in self.shards.iter().enumerate() {
            let share = self.shares().of(number, loan.as_ref());
            shard.lock().set_limits(limits(share, self.marker_share, self.marker_life));
        }
    }

    /// Takes a loan back whose entry is not held any more.
    fn settle_loan(&self, now: UnixMillis) {
        let mut loan = self.loan.lock();
        let is_needed =
            |loan: &Loan| self.peek(loan.vnode, &loan.key, now).is_some_and(|entry| entry.value().is_some());
        if loan.as_ref().is_some_and(|loan| !is_needed(loan)) {
            self.divide(&mut loan, None);
        }
    }

    /// Lets a shard's observations count, and tells it what came of all of them.
    fn steer(&self, shard: &mut Shard) {
        if let Some(sample) = shard.sample() {
            shard.steer(self.steering.lock().add(&sample));
        }
    }

    fn place<'a>(&self, vnode: Vnode, key: &'a Key) -> Place<'a> {
        Place { vnode, hash: self.hash(key), key: key.as_bytes() }
    }

    fn hash(&self, key: &Key) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), *self.shared_seed.get().unwrap_or(&self.layout.seed))
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[self.shard_number(hash)]
    }

    /// Ascending with the hash, so that walking the shards in order walks the hashes in order.
    fn shard_number(&self, hash: u64) -> usize {
        hash.checked_shr(u64::BITS - self.layout.shared_bits).unwrap_or(0) as usize
    }
}

/// How owners come to agree on a vnode: each seals it up to some stamp; they compare digests of what they hold up to there,
/// and list and fetch what differs; each confirms, and once all have, each settles.
impl Store {
    /// Refuses writes of `vnode` with a stamp at or under `through` from now on. Once this returns, none is under way: what
    /// is listed up to there is all there is, but for what a round pulls.
    pub fn seal(&self, vnode: Vnode, through: Tag) {
        self.agreement.marks.seal(vnode, through);
        self.await_puts();
    }

    /// This owner holds everything up to `through` that any owner did when it was sealed, or its ghost, or something newer:
    /// nothing installs there from now on. No further than the vnode is sealed.
    pub fn confirm(&self, vnode: Vnode, through: Tag) {
        self.agreement.marks.confirm(vnode, through);
        self.await_puts();
    }

    /// All owners have confirmed: up to the last bucket that ends at or under `through`, eviction leaves no ghosts, and
    /// ghosts and markers are dropped in the course of [`Store::expire`]; markers of what has expired once the watermark
    /// is past that time too. No further than this owner has confirmed. Late is as good as at once.
    pub fn settle(&self, vnode: Vnode, through: Tag) {
        let Agreement { marks, digests } = &*self.agreement;
        if let Some(bucket) = marks.settle(vnode, through, digests.bucket()) {
            digests.settle(vnode, bucket);
        }
    }

    /// Takes over another owner's watermarks, where they are higher: what a rebuild begins with, before anything is put.
    pub fn adopt(&self, vnode: Vnode, watermarks: Watermarks) {
        let Watermarks { sealed, confirmed, settled } = watermarks;
        sealed.max(confirmed).max(settled).into_iter().for_each(|through| self.seal(vnode, through));
        confirmed.max(settled).into_iter().for_each(|through| self.confirm(vnode, through));
        settled.into_iter().for_each(|through| self.settle(vnode, through));
    }

    /// Up to where `vnode` is agreed on.
    #[must_use]
    pub fn watermarks(&self, vnode: Vnode) -> Watermarks {
        self.agreement.marks.of(vnode)
    }

    /// The last stamp of the last bucket that is over at `now`: what a round can go up to.
    #[must_use]
    pub fn last_closed(&self, now: UnixMillis) -> Option<Tag> {
        let bucket = self.agreement.digests.bucket();
        let first = Tag::from_bits(Tag::first_tick(now) << WriterId::BITS)?;
        bucket.last_closed(Tag::from_bits(first.to_bits() - 1)?).map(|closed| bucket.end(closed))
    }

    /// What is held of `vnode`, and not settled, in sums per bucket, the oldest first; of buckets in which there is
    /// something. What stands for a ghost is the value. Up to where the vnode is sealed the sums change only by what
    /// rounds and rebuilds bring, by what is dropped for room, and by what settles.
    ///
    /// Owners may keep different buckets apart, but those of one are always unions of neighbouring ones of another: they
    /// hold the same up to some stamp if what they have up to there adds up to the same.
    #[must_use]
    pub fn digests(&self, vnode: Vnode) -> Vec<Digest> {
        self.agreement.digests.of(vnode)
    }

    /// The last stamp of the oldest bucket of `vnode` in which there is something that is not settled.
    #[must_use]
    pub fn oldest_unsettled(&self, vnode: Vnode) -> Option<Tag> {
        self.digests(vnode).first().map(|digest| digest.through)
    }

    /// How much of their part of the limit markers and ghosts take, in the shard where that is most. At 1 the oldest are
    /// dropped, settled or not: whoever keeps the vnodes from settling should not be waited for any longer.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        self.shards.iter().map(|shard| shard.lock().pressure()).fold(0.0, f64::max)
    }

    /// What is held of `vnode`, ghosts too, with a stamp above one and at or under another: in ascending order of the
    /// keys' hashes, beyond `after`, at most `max` of them but at least one; and where the next page begins, `None` if
    /// there is none.
    #[must_use]
    pub fn list(
        &self,
        vnode: Vnode,
        above: Option<Tag>,
        through: Tag,
        after: Option<u64>,
        max: usize,
        now: UnixMillis,
    ) -> (Vec<Listed>, Option<u64>) {
        let mut list = List::new(above, through, after, max);
        let (first, mut from) = (after.map_or(0, |hash| self.shard_number(hash)), after.unwrap_or(0));
        let end = self.shards[first..].iter().all(|shard| {
            let all = shard.lock().list(vnode, from, &mut list);
            from = 0;
            all
        });
        list.finish(end, now)
    }

    /// The entries of `vnode` whose keys have these hashes, as far as they are held, about `max_bytes` of them; and how many
    /// of the hashes that answers, at least one.
    #[must_use]
    pub fn fetch(
        &self,
        vnode: Vnode,
        hashes: &[u64],
        max_bytes: usize,
        now: UnixMillis,
    ) -> (Vec<(Key, Stamped)>, usize) {
        let mut page = Page::new(None, max_bytes);
        for (number, hash) in hashes.iter().enumerate() {
            if number > 0 && !page.has_room(*hash) {
                return (page.finish(false).0, number);
            }
            let held = self.shard(*hash).lock().fetch(vnode, *hash, now);
            if let Some((key, held)) = held {
                page.add(*hash, key, held.into_stamped());
            }
        }
        (page.finish(true).0, hashes.len())
    }

    /// Takes over a ghost of another owner: what is held here and older goes, and what comes and is older is refused.
    /// Without effect at or under what this owner has confirmed.
    pub fn put_ghost(&self, vnode: Vnode, hash: u64, version: Version, now: UnixMillis) {
        self.shard(hash).lock().put_ghost(vnode, hash, version, now);
    }

    /// Returns once every put has ended that may not have seen a watermark which was raised before.
    fn await_puts(&self) {
        self.shards.iter().for_each(|shard| drop(shard.lock()));
    }
}

/// What an entry is charged: key, value, and what it takes to keep them.
#[must_use]
pub fn weight(key: &Key, entry: &Stamped) -> u64 {
    let value_len = entry.value().map_or(0, |value| Value::as_bytes(value).len());
    class::charge(record::len(&entry.version(), key.as_bytes().len() + value_len)) + ENTRY_OVERHEAD
}

/// About what an entry takes of index and sketch.
const ENTRY_OVERHEAD: u64 = 10;

/// Steps of expiry under one hold of a shard's lock, for which those who wait for an answer wait, too.
const STEPS_AT_ONCE: usize = 32;

fn limits(share: u64, marker_share: f64, marker_life: Duration) -> Limits {
    let bytes = share.min(STORE_SHARD_BYTES_MAX);
    Limits { bytes, marker_bytes: (bytes as f64 * marker_share.clamp(0.0, 1.0)) as u64, marker_life }
}

fn shard_count(max_bytes: u64) -> u64 {
    max_bytes.div_ceil(STORE_SHARD_BYTES).next_power_of_two()
}
