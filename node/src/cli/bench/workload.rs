//! What is asked: request after request, each a function of the seed and its number.

use super::{keys::Keys, payload::Sizes, trace::Entry};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

/// Apart from the numbers of requests, so that keys have streams of their own.
const SIZES: u64 = 1 << 63;

/// Read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Get,
    Set,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// The key's number.
    pub(crate) key: u32,
    /// What is done with it.
    pub(crate) action: Action,
    /// The size of its value, which is written too when a miss is filled.
    pub(crate) value_bytes: usize,
}

/// All requests of a run.
#[derive(Debug)]
pub(crate) enum Workload {
    /// Reads, as somebody recorded them.
    Trace { entries: Vec<Entry>, sizes: Sizes, seed: u64 },
    /// Reads and writes of keys as they are drawn, without end.
    Drawn { keys: Keys, read_ratio: f64, sizes: Sizes, seed: u64 },
    /// One write of each of so many keys.
    Load { keys: u32, sizes: Sizes, seed: u64 },
}

impl Workload {
    /// How many requests there are; `None` without end.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Trace { entries, .. } => Some(entries.len() as u64),
            Self::Drawn { .. } => None,
            Self::Load { keys, .. } => Some(u64::from(*keys)),
        }
    }

    /// Request number `index`; `None` beyond the last.
    pub(crate) fn request(&self, index: u64) -> Option<Request> {
        match self {
            Self::Trace { entries, sizes, seed } => {
                let entry = entries.get(usize::try_from(index).ok()?)?;
                let value_bytes = entry
                    .value_bytes
                    .map_or_else(|| size(entry.key, *sizes, *seed), |bytes| Sizes::clamp(bytes as usize));
                Some(Request { key: entry.key, action: Action::Get, value_bytes })
            }
            Self::Drawn { keys, read_ratio, sizes, seed } => {
                let mut rng = stream(*seed, index);
                let key = keys.draw(&mut rng);
                let action = if rng.random_bool(*read_ratio) { Action::Get } else { Action::Set };
                Some(Request { key, action, value_bytes: size(key, *sizes, *seed) })
            }
            Self::Load { keys, sizes, seed } => {
                let key = u32::try_from(index).ok().filter(|key| key < keys)?;
                Some(Request { key, action: Action::Set, value_bytes: size(key, *sizes, *seed) })
            }
        }
    }
}

/// A key's value always has the same size.
fn size(key: u32, sizes: Sizes, seed: u64) -> usize {
    if sizes.is_one() { sizes.least } else { sizes.draw(&mut stream(seed, SIZES | u64::from(key))) }
}

fn stream(seed: u64, number: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::keys::Popularity;
    use std::collections::BTreeMap;

    const SIZES_OF_TESTS: Sizes = Sizes { least: 10, most: 50 };

    fn drawn(seed: u64, read_ratio: f64) -> Vec<Request> {
        let keys = Keys::new(100, Popularity::Uniform);
        let workload = Workload::Drawn { keys, read_ratio, sizes: SIZES_OF_TESTS, seed };
        (0..10_000).map(|index| workload.request(index).unwrap()).collect()
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(drawn(1, 0.5), drawn(1, 0.5));
        assert_ne!(drawn(1, 0.5), drawn(2, 0.5));
    }

    #[test]
    fn reads_have_their_share() {
        for (ratio, range) in [(0.0, 0..=0), (0.95, 9_400..=9_600), (1.0, 10_000..=10_000)] {
            let gets = drawn(3, ratio).iter().filter(|request| request.action == Action::Get).count();
            assert!(range.contains(&gets), "{ratio}: {gets}");
        }
    }

    #[test]
    fn a_key_has_one_size_and_the_first_load_knows_it() {
        let mut sizes = BTreeMap::new();
        for request in drawn(4, 0.5) {
            assert_eq!(*sizes.entry(request.key).or_insert(request.value_bytes), request.value_bytes);
        }
        assert!(sizes.values().all(|size| (10..=50).contains(size)));
        let load = Workload::Load { keys: 100, sizes: SIZES_OF_TESTS, seed: 4 };
        let loaded: Vec<Request> = (0..).map_while(|index| load.request(index)).collect();
        assert_eq!(loaded.len(), 100);
        assert!(loaded.iter().all(|request| sizes.get(&request.key) == Some(&request.value_bytes)));
    }

    #[test]
    fn a_trace_is_played_once() {
        let entries = vec![Entry { key: 7, value_bytes: Some(20) }, Entry { key: 8, value_bytes: None }];
        let workload = Workload::Trace { entries, sizes: Sizes { least: 30, most: 30 }, seed: 1 };
        let played: Vec<_> = (0..).map_while(|index| workload.request(index)).collect();
        let expected = [(7, 20), (8, 30)];
        assert_eq!(
            played,
            expected.map(|(key, value_bytes)| Request { key, action: Action::Get, value_bytes })
        );
        assert_eq!(workload.len(), Some(2));
    }
}
