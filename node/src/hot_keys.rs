//! Pure: which keys get most of the requests.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams",
//! 2005) over counts that fade: as many counters as there is room for, and a key without one takes over the smallest
//! together with its count, which bounds by how much the newcomer is overestimated.

use bytes::Bytes;
use shoal_proto::types::{HotKey, Key};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Requests count for less by e every so long: a key is forgotten within a minute.
const MEMORY: Duration = Duration::from_secs(10);
/// What is counted less often than this, in samples that have not faded, is chance.
const FEWEST_SAMPLES: f64 = 2.0;

/// Counts the hottest keys of a stream within fixed memory.
#[derive(Debug)]
pub struct HotKeys {
    counters: Vec<Counter>,
    room: usize,
    longest_key: usize,
    /// The largest weight observed: what one sample stands for.
    sample: f64,
    /// How much time the counts stand for, faded as they are, in seconds.
    window: f64,
    too_long: u64,
}

#[derive(Debug)]
struct Counter {
    hash: u64,
    key: Key,
    /// Never less than the truth...
    count: f64,
    /// ...and by this much more at most.
    error: f64,
}

impl Counter {
    /// Requests that certainly were for the key.
    fn certain(&self) -> f64 {
        self.count - self.error
    }
}

impl HotKeys {
    /// At most `room` counters for keys of at most `longest_key` bytes.
    #[must_use]
    pub fn new(room: usize, longest_key: usize) -> Self {
        Self { counters: Vec::new(), room, longest_key, sample: 1.0, window: 0.0, too_long: 0 }
    }

    /// Counts `weight` requests for `key`.
    pub fn observe(&mut self, key: &Key, weight: u32) {
        let bytes = key.as_bytes();
        if bytes.len() > self.longest_key {
            self.too_long += 1;
            return;
        }
        let (hash, weight) = (xxh3_64(bytes), f64::from(weight));
        self.sample = self.sample.max(weight);
        let known = |counter: &&mut Counter| counter.hash == hash && counter.key == *key;
        if let Some(counter) = self.counters.iter_mut().find(known) {
            counter.count += weight;
            return;
        }
        // Copied: the key is a slice of whatever buffer its request came in.
        let Ok(key) = Key::new(Bytes::copy_from_slice(bytes)) else { return };
        if self.counters.len() < self.room {
            self.counters.push(Counter { hash, key, count: weight, error: 0.0 });
        } else if let Some(least) = self.counters.iter_mut().min_by(|a, b| a.count.total_cmp(&b.count)) {
            *least = Counter { hash, key, count: least.count + weight, error: least.count };
        }
    }

    /// Lets `passed` go by since the last call.
    pub fn fade(&mut self, passed: Duration) {
        let left = (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.window = (self.window + passed.as_secs_f64()) * left;
        for counter in &mut self.counters {
            counter.count *= left;
            counter.error *= left;
        }
        // Less than a tenth of a sample: nobody has asked for a while.
        let nothing = self.sample / 10.0;
        self.counters.retain(|counter| counter.count > nothing);
    }

    /// The `count` hottest keys, the hottest first, with as many requests per second as they certainly had.
    #[must_use]
    pub fn hottest(&self, count: usize) -> Vec<HotKey> {
        if self.window <= 0.0 {
            return Vec::new();
        }
        let chance = FEWEST_SAMPLES * self.sample;
        let mut hot: Vec<&Counter> = self.counters.iter().filter(|c| c.certain() >= chance).collect();
        hot.sort_by(|a, b| b.certain().total_cmp(&a.certain()).then_with(|| a.key.cmp(&b.key)));
        let hottest = hot.into_iter().take(count);
        hottest.map(|c| HotKey { key: c.key.clone(), per_second: c.certain() / self.window }).collect()
    }

    /// Requests whose keys were too long to be kept.
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.too_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ROOM: usize = 8;

    fn key(n: u8) -> Key {
        Key::new(vec![n]).unwrap()
    }

    proptest! {
        /// What the paper proves: no key is underestimated, none overestimated by more than its error, no error larger
        /// than the mean count, and a key with more than that many requests is always among the counted.
        #[test]
        fn counts_are_within_their_error_and_no_frequent_key_is_missed(
            stream in proptest::collection::vec((prop_oneof![0u8..3, any::<u8>()], 1u32..4), 0..400)
        ) {
            let mut hot_keys = HotKeys::new(ROOM, 64);
            let mut truth: BTreeMap<u8, u32> = BTreeMap::new();
            for (n, weight) in &stream {
                hot_keys.observe(&key(*n), *weight);
                *truth.entry(*n).or_default() += weight;
            }
            let total: u32 = truth.values().sum();
            let fair = f64::from(total) / ROOM as f64;
            prop_assert!(hot_keys.counters.len() <= ROOM);
            for counter in &hot_keys.counters {
                let real = f64::from(truth[&counter.key.as_bytes()[0]]);
                prop_assert!(counter.certain() <= real && real <= counter.count, "{:?} of {}", counter, real);
                prop_assert!(counter.error <= fair);
            }
            for (n, real) in truth.into_iter().filter(|(_, real)| f64::from(*real) > fair) {
                prop_assert!(hot_keys.counters.iter().any(|c| c.key == key(n)), "{} of {} missed", real, total);
            }
        }

        /// A steady rate is told as it is, however long it has lasted.
        #[test]
        fn a_steady_rate_is_told_exactly(per_tick in 1u32..1000, ticks in 3u32..60) {
            let mut hot_keys = HotKeys::new(ROOM, 64);
            for _ in 0..ticks {
                (0..per_tick).for_each(|_| hot_keys.observe(&key(1), 61));
                hot_keys.fade(Duration::from_millis(500));
            }
            let expected = f64::from(per_tick) * 61.0 / 0.5;
            for hot in hot_keys.hottest(1) {
                prop_assert!((hot.per_second / expected - 1.0).abs() < 1e-6, "{} for {}", hot.per_second, expected);
            }
            prop_assert!(per_tick < 3 || hot_keys.hottest(1).len() == 1);
        }
    }

    #[test]
    fn the_hottest_come_first_and_chance_is_left_out() {
        let mut hot_keys = HotKeys::new(ROOM, 64);
        for (n, times) in [(1, 10), (2, 30), (3, 1), (4, 20)] {
            (0..times).for_each(|_| hot_keys.observe(&key(n), 61));
        }
        assert!(hot_keys.hottest(9).is_empty(), "no time has passed: a rate would be made up");
        hot_keys.fade(Duration::from_secs(1));
        let keys = |count| hot_keys.hottest(count).into_iter().map(|hot| hot.key).collect::<Vec<_>>();
        assert_eq!(keys(9), [key(2), key(4), key(1)]);
        assert_eq!(keys(1), [key(2)]);
    }

    #[test]
    fn yesterdays_hot_key_fades_and_gives_its_room_back() {
        let mut hot_keys = HotKeys::new(ROOM, 64);
        (0..1_000).for_each(|_| hot_keys.observe(&key(1), 61));
        (0..20).for_each(|_| hot_keys.fade(Duration::from_secs(1)));
        (0..400).for_each(|_| hot_keys.observe(&key(2), 61));
        hot_keys.fade(Duration::from_secs(1));
        assert_eq!(hot_keys.hottest(1)[0].key, key(2), "a quarter of an older key's requests, but now");
        (0..120).for_each(|_| hot_keys.fade(Duration::from_secs(1)));
        assert!(hot_keys.hottest(9).is_empty() && hot_keys.counters.is_empty());
    }

    #[test]
    fn a_key_too_long_is_counted_but_not_kept_and_no_buffer_is_kept_alive() {
        let mut hot_keys = HotKeys::new(ROOM, 64);
        let buffer = Bytes::from(vec![7; 1 << 20]);
        hot_keys.observe(&Key::new(buffer.slice(..65)).unwrap(), 61);
        hot_keys.observe(&Key::new(buffer.slice(..64)).unwrap(), 61);
        assert_eq!((hot_keys.too_long(), hot_keys.counters.len()), (1, 1));
        assert!(buffer.is_unique(), "the counter shares the buffer");
    }
}
