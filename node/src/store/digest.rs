//! What is held of each vnode that is not settled, in a few numbers that owners can compare.
//!
//! Stamps fall into buckets of some seconds. Of each bucket a sum is kept over everything that is held with a stamp in it,
//! or that a ghost stands for: so eviction changes nothing. Nor does expiry: a value and its marker count alike. The hash
//! of the value does not count either: two values of one tag come of two clients whose writer ids happen to be the same.
//!
//! Sums of neighbouring buckets can be added up, so that owners need not keep the same: each keeps the newest few and one
//! of everything older.

use super::record::Fields;
use parking_lot::Mutex;
use shoal_proto::types::{Tag, UnixMillis, Version, Vnode, WriterId};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Buckets kept of each vnode.
const BUCKETS: usize = 8;

/// What is held of a vnode with stamps in a span of time that begins where the previous one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The last stamp of the span.
    pub through: Tag,
    /// The sum over all that is held, equal on owners that hold the same.
    pub sum: u64,
    /// How much that is.
    pub count: u64,
}

/// How stamps are divided into buckets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    millis: u64,
}

impl Bucket {
    pub(super) const fn new(length: Duration) -> Self {
        let millis = length.as_millis() as u64;
        Self { millis: if millis == 0 { 1 } else { millis } }
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_millis(self.millis)
    }

    pub(super) fn of(&self, stamp: Tag) -> u64 {
        stamp.millis().0 / self.millis
    }

    /// The last stamp of a bucket.
    pub(super) fn end(&self, bucket: u64) -> Tag {
        let next = UnixMillis(bucket.saturating_add(1).saturating_mul(self.millis));
        let first = Tag::first_tick(next).checked_mul(1 << WriterId::BITS).unwrap_or(u64::MAX);
        Tag::from_bits(first - 1).expect("a bucket has stamps, the last of which is not zero")
    }

    /// The last bucket that ends at or under `through`.
    pub(super) fn last_closed(&self, through: Tag) -> Option<u64> {
        let bucket = self.of(through);
        if self.end(bucket) <= through { Some(bucket) } else { bucket.checked_sub(1) }
    }
}

/// The digests of all vnodes.
pub(super) struct Digests {
    bucket: Bucket,
    /// Each lock is held for a few instructions, under that of a shard.
    vnodes: Box<[Mutex<Sums>]>,
}

/// Sums of the buckets from `first` on, in their order. The first has everything older as well, from `floor` on: what is
/// older still is settled.
#[derive(Clone, Copy, Default)]
struct Sums {
    floor: u64,
    first: u64,
    sums: [Sum; BUCKETS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    digest: u64,
    count: u64,
}

impl Digests {
    pub(super) fn new(vnodes: u16, bucket: Bucket) -> Self {
        Self { bucket, vnodes: (0..vnodes).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        size_of_val(&*self.vnodes) as u64
    }

    /// Counts what is held under the key of this hash.
    pub(super) fn add(&self, hash: u64, held: &Fields) {
        self.change(hash, held, |sum, digest| {
            sum.digest = sum.digest.wrapping_add(digest);
            sum.count += 1;
        });
    }

    /// Counts it no more.
    pub(super) fn remove(&self, hash: u64, held: &Fields) {
        self.change(hash, held, |sum, digest| {
            sum.digest = sum.digest.wrapping_sub(digest);
            sum.count = sum.count.wrapping_sub(1);
        });
    }

    /// Everything up to the end of the bucket is settled, and not compared any more.
    pub(super) fn settle(&self, vnode: Vnode, bucket: u64) {
        if let Some(sums) = self.vnodes.get(usize::from(vnode.0)) {
            sums.lock().settle(bucket);
        }
    }

    /// Forgets all that was counted.
    pub(super) fn reset(&self, vnode: Vnode) {
        if let Some(sums) = self.vnodes.get(usize::from(vnode.0)) {
            *sums.lock() = Sums::default();
        }
    }

    /// Those of a vnode, without buckets in which there is nothing.
    pub(super) fn of(&self, vnode: Vnode) -> Vec<Digest> {
        let Some(sums) = self.vnodes.get(usize::from(vnode.0)).map(|sums| *sums.lock()) else {
            return Vec::new();
        };
        let each = (sums.first..).zip(sums.sums).filter(|(_, sum)| *sum != Sum::default());
        each.map(|(n, Sum { digest, count })| Digest { through: self.bucket.end(n), sum: digest, count })
            .collect()
    }

    fn change(&self, hash: u64, held: &Fields, change: impl FnOnce(&mut Sum, u64)) {
        let Some(sums) = self.vnodes.get(usize::from(held.vnode.0)) else { return };
        let bucket = self.bucket.of(held.rank().stamp());
        let digest = of_version(hash, &held.rank());
        if let Some(sum) = sums.lock().sum(bucket) {
            change(sum, digest);
        }
    }
}

impl Sums {
    /// That in which a bucket counts; `None` if it is settled.
    fn sum(&mut self, bucket: u64) -> Option<&mut Sum> {
        if bucket < self.floor {
            return None;
        }
        let newest = self.first.saturating_add(BUCKETS as u64 - 1);
        if bucket > newest {
            self.advance(bucket - newest);
        }
        Some(&mut self.sums[bucket.saturating_sub(self.first) as usize])
    }

    /// Begins with a later bucket, which takes up those before.
    fn advance(&mut self, by: u64) {
        let older = usize::try_from(by).map_or(BUCKETS, |by| by.min(BUCKETS));
        let sum = self.sums[..older].iter().fold(Sum::default(), |all, sum| all.plus(sum));
        self.forget(by, older);
        self.sums[0] = self.sums[0].plus(&sum);
    }

    fn settle(&mut self, bucket: u64) {
        // What the first sum has taken up of older buckets cannot be told apart: then it waits until all that is settled.
        if bucket >= self.first {
            let by = bucket + 1 - self.first;
            self.forget(by, usize::try_from(by).map_or(BUCKETS, |by| by.min(BUCKETS)));
            self.floor = self.first;
        }
    }

    fn forget(&mut self, by: u64, sums: usize) {
        self.sums[..sums].fill(Sum::default());
        self.sums.rotate_left(sums);
        self.first += by;
    }
}

impl Sum {
    fn plus(&self, other: &Self) -> Self {
        Self { digest: self.digest.wrapping_add(other.digest), count: self.count.wrapping_add(other.count) }
    }
}

/// What one version adds to a sum.
pub(super) fn of_version(hash: u64, version: &Version) -> u64 {
    // The marker of an expired value has its expiry, a tombstone has none: that tells it from a value.
    let deleted = version.dead && version.expires_at.is_none();
    let mut bytes = [0; 35];
    let touched_at = version.touched_at.map_or(0, Tag::to_bits);
    let expires_at = version.expires_at.map_or(0, |at| at.0);
    for (bytes, number) in
        bytes.chunks_exact_mut(8).zip([hash, version.tag.to_bits(), touched_at, expires_at])
    {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    bytes[32..34].copy_from_slice(&version.touch.to_le_bytes());
    bytes[34] = deleted.into();
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::{super::record::Kind, *};
    use proptest::prelude::*;

    const BUCKET: Bucket = Bucket { millis: 10 };
    const HERE: Vnode = Vnode(0);

    fn at(millis: u64, hash: u64) -> (u64, Fields) {
        let tag = Tag::from_ticks(millis << 10 | 5, WriterId::member(1).unwrap()).unwrap();
        let fields = Fields {
            vnode: HERE,
            tag,
            touch: 0,
            expires_at: None,
            touched_at: None,
            kind: Kind::Value,
            key_len: 1,
            value_len: 1,
        };
        (hash, fields)
    }

    /// The sum over everything with a stamp up to the end of `bucket`.
    fn through(digests: &Digests, bucket: u64) -> (u64, u64) {
        let of = digests.of(HERE).into_iter().filter(|digest| digest.through <= BUCKET.end(bucket));
        of.fold((0, 0), |(sum, count), digest| (digest.sum.wrapping_add(sum), digest.count + count))
    }

    #[test]
    fn a_bucket_ends_with_the_last_tag_of_its_last_millisecond() {
        let end = BUCKET.end(7);
        assert_eq!((BUCKET.of(end), end.millis()), (7, UnixMillis(79)));
        let next = Tag::from_bits(end.to_bits() + 1).unwrap();
        assert_eq!((BUCKET.of(next), next.millis()), (8, UnixMillis(80)));
        assert_eq!((BUCKET.last_closed(end), BUCKET.last_closed(next)), (Some(7), Some(7)));
        assert_eq!(BUCKET.last_closed(Tag::from_bits(1).unwrap()), None);
        let last = Tag::from_bits(u64::MAX).unwrap();
        assert!(BUCKET.end(BUCKET.of(last)) < last, "and the last there is does not overflow");
    }

    proptest! {
        #[test]
        fn owners_that_hold_the_same_agree_in_whatever_order_it_came(
            entries in proptest::collection::btree_set((0..200u64, 0..5u64), 0..60)
                .prop_flat_map(|set| { let all: Vec<_> = set.into_iter().collect(); (Just(all.clone()), Just(all).prop_shuffle()) }),
            removed in proptest::collection::vec(proptest::bool::ANY, 60),
            settled in proptest::option::of(0..25u64),
            compared in 12..25u64,
        ) {
            let digests = [Digests::new(1, BUCKET), Digests::new(1, BUCKET)];
            for (number, (millis, hash)) in entries.0.iter().enumerate() {
                let (hash, held) = at(*millis, *hash);
                digests[0].add(hash, &held);
                if removed[number] {
                    digests[0].remove(hash, &held);
                }
            }
            for (millis, hash) in &entries.1 {
                let number = entries.0.iter().position(|entry| entry == &(*millis, *hash)).unwrap();
                if !removed[number] {
                    let (hash, held) = at(*millis, *hash);
                    digests[1].add(hash, &held);
                }
            }
            if let Some(bucket) = settled {
                digests.iter().for_each(|digests| digests.settle(HERE, bucket));
            }
            // Each keeps its own newest buckets; beyond the older one's first they add up to the same, unless one has
            // left behind what the other has not.
            let firsts = digests.each_ref().map(|digests| digests.vnodes[0].lock().first);
            let floors = digests.each_ref().map(|digests| digests.vnodes[0].lock().floor);
            if floors[0] == floors[1] && firsts.iter().all(|first| *first <= compared) {
                prop_assert_eq!(through(&digests[0], compared), through(&digests[1], compared));
            }
        }

        #[test]
        fn what_differs_in_anything_but_its_value_or_life_differs_in_its_sum(
            a in (1..50u64, 0..3u64, 0..2u16, proptest::option::of(1..3u64), proptest::option::of(1..3u64)),
            b in (1..50u64, 0..3u64, 0..2u16, proptest::option::of(1..3u64), proptest::option::of(1..3u64)),
        ) {
            let sum = |(millis, hash, touch, expires_at, touched_at): (u64, u64, u16, Option<u64>, Option<u64>), kind| {
                let (hash, held) = at(millis, hash);
                let (expires_at, touched_at) = (expires_at.map(UnixMillis), touched_at.and_then(Tag::from_bits));
                of_version(hash, &Fields { touch, expires_at, touched_at, kind, ..held }.rank())
            };
            prop_assert_eq!(sum(a, Kind::Value) == sum(b, Kind::Value), a == b);
            prop_assert_eq!(sum(a, Kind::Value), sum(a, Kind::Ghost { hash: a.1 }));
            let marker = sum(a, Kind::Marker { since: UnixMillis(1) });
            prop_assert_eq!(marker == sum(a, Kind::Value), a.3.is_some(), "deleted is not expired");
        }
    }
}
