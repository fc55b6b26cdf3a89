//! The store under each of its policies, and libraries beside it.

use bytes::Bytes;
use foyer_memory::{CacheBuilder, LfuConfig};
use quick_cache::Weighter;
use shoal_node::store::{EvictionPolicy, Store, StoreConfig};
use shoal_proto::types::{Cause, Key, MAX_VALUE_BYTES, Stamped, Tag, UnixMillis, Value, Vnode};
use std::time::Duration;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const VNODES: u16 = 64;

/// Charged for every object beside its value, by the libraries: about what the store takes.
pub(crate) const OVERHEAD: u64 = 40;

pub(crate) trait Cache {
    /// Whether the key is held.
    fn get(&mut self, key: u32) -> bool;

    /// Fills a miss.
    fn put(&mut self, key: u32, bytes: u64);
}

/// The store as it is.
pub(crate) struct Shoal {
    store: Store,
    tag: u64,
    value: Bytes,
}

impl Shoal {
    pub(crate) fn with_bytes(policy: EvictionPolicy, max_bytes: u64) -> Self {
        let marker_life = Duration::from_secs(1);
        let (vnodes, marker_share) = (VNODES, 0.0);
        let config = StoreConfig { max_bytes, policy, vnodes, seed: 7, marker_life, marker_share };
        Self { store: Store::new(config), tag: 0, value: Bytes::from(vec![7; MAX_VALUE_BYTES]) }
    }

    /// With a limit under which just so many values of `bytes` fit.
    pub(crate) fn with_objects(policy: EvictionPolicy, objects: u64, bytes: u64) -> Self {
        let holds = |max_bytes: u64| {
            let mut cache = Self::with_bytes(policy, max_bytes);
            (0..objects as u32 + 2).for_each(|key| cache.put(key, bytes));
            cache.store.stats().entries
        };
        let (mut too_few, mut enough) = (0, 1_000_000 + objects * (2 * bytes + 100));
        while too_few + 1 < enough {
            let half = u64::midpoint(too_few, enough);
            *if holds(half) < objects { &mut too_few } else { &mut enough } = half;
        }
        Self::with_bytes(policy, enough)
    }

    /// Bytes that an empty store takes.
    pub(crate) fn empty_bytes(policy: EvictionPolicy) -> u64 {
        Self::with_bytes(policy, 1 << 20).store.stats().overhead_bytes
    }
}

fn place(key: u32) -> (Vnode, Key) {
    let bytes = key.to_le_bytes().to_vec();
    (Vnode((key % u32::from(VNODES)) as u16), Key::new(bytes).expect("short"))
}

impl Cache for Shoal {
    fn get(&mut self, key: u32) -> bool {
        let (vnode, key) = place(key);
        self.store.get(vnode, &key, NOW).is_some()
    }

    fn put(&mut self, key: u32, bytes: u64) {
        let (vnode, key) = place(key);
        self.tag += 1;
        let tag = Tag::from_bits(self.tag).expect("not zero");
        let value = Value::new(self.value.slice(..bytes as usize)).expect("short");
        self.store.put(vnode, &key, Stamped::live(tag, 0, None, value), Cause::User, NOW);
    }
}

/// The library quick_cache.
pub(crate) struct QuickCache(quick_cache::unsync::Cache<u32, u64, Bytewise>);

#[derive(Clone)]
pub(crate) struct Bytewise;

impl Weighter<u32, u64> for Bytewise {
    fn weight(&self, _: &u32, bytes: &u64) -> u64 {
        *bytes
    }
}

impl QuickCache {
    /// With room for so many bytes, of about so many objects.
    pub(crate) fn new(objects: u64, bytes: u64) -> Self {
        Self(quick_cache::unsync::Cache::with_weighter(objects as usize, bytes, Bytewise))
    }
}

impl Cache for QuickCache {
    fn get(&mut self, key: u32) -> bool {
        self.0.get(&key).is_some()
    }

    fn put(&mut self, key: u32, bytes: u64) {
        self.0.insert(key, bytes);
    }
}

/// The library moka.
pub(crate) struct Moka(moka::sync::Cache<u32, u64>);

impl Moka {
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |_: &u32, bytes: &u64| u32::try_from(*bytes).unwrap_or(u32::MAX);
        Self(moka::sync::Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }
}

impl Cache for Moka {
    fn get(&mut self, key: u32) -> bool {
        self.0.get(&key).is_some()
    }

    fn put(&mut self, key: u32, bytes: u64) {
        self.0.insert(key, bytes);
        // Otherwise it is done by and by, and the limit is exceeded meanwhile.
        self.0.run_pending_tasks();
    }
}

/// The library foyer-memory, with its own W-TinyLFU.
pub(crate) struct Foyer(foyer_memory::Cache<u32, u64>);

impl Foyer {
    pub(crate) fn new(bytes: u64) -> Self {
        let builder = CacheBuilder::new(bytes as usize).with_shards(1);
        let weighed = builder.with_weighter(|_: &u32, bytes: &u64| *bytes as usize);
        Self(weighed.with_eviction_config(LfuConfig::default()).build())
    }
}

impl Cache for Foyer {
    fn get(&mut self, key: u32) -> bool {
        self.0.get(&key).is_some()
    }

    fn put(&mut self, key: u32, bytes: u64) {
        self.0.insert(key, bytes);
    }
}
