//! The store and libraries, each with keys and values of its own.

use crate::{KEYS, VALUE};
use shoal_node::store::{EvictionPolicy, Store, StoreConfig, weight};
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Vnode};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const VNODES: u16 = 1_024;

pub(crate) trait Cache: Send + Sync {
    /// Copies what is held under the key of this number; whether there is anything.
    fn get(&self, key: usize) -> bool;

    /// Looks at it.
    fn see(&self, key: usize) -> bool;

    /// Stores a value, of which a copy is made.
    fn put(&self, key: usize);
}

/// Bytes of the key of this number.
fn name(number: usize) -> String {
    format!("{:016x}", (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Keys, and the value that all of them have.
struct Data<K> {
    keys: Vec<K>,
    value: Vec<u8>,
}

fn data<K>(key: fn(String) -> K) -> Data<K> {
    Data { keys: (0..KEYS).map(|number| key(name(number))).collect(), value: vec![7; VALUE] }
}

pub(crate) struct Shoal {
    store: Store,
    keys: Vec<(Vnode, Key)>,
    value: Value,
    tag: AtomicU64,
}

/// The store, with room for about so many objects.
pub(crate) fn shoal(policy: EvictionPolicy, objects: usize) -> Shoal {
    let vnode = |number: usize| Vnode((number % usize::from(VNODES)) as u16);
    let key = |number| Key::new(name(number)).expect("short");
    let keys: Vec<_> = (0..KEYS).map(|number| (vnode(number), key(number))).collect();
    let value = Value::new(vec![7; VALUE]).expect("short");
    let config = |max_bytes| StoreConfig {
        max_bytes,
        policy,
        vnodes: VNODES,
        seed: 7,
        marker_life: Duration::from_secs(60),
        marker_share: 0.0,
    };
    let entry = Stamped::live(Tag::from_bits(1).expect("not zero"), 0, None, value.clone());
    let entries = objects as u64 * weight(&keys[0].1, &entry);
    let empty = Store::new(config(entries)).stats().overhead_bytes;
    Shoal { store: Store::new(config(entries + empty)), keys, value, tag: AtomicU64::new(0) }
}

impl Cache for Shoal {
    fn get(&self, key: usize) -> bool {
        let (vnode, key) = &self.keys[key];
        black_box(self.store.get(*vnode, key, NOW)).is_some()
    }

    fn see(&self, key: usize) -> bool {
        let (vnode, key) = &self.keys[key];
        let first = self.store.get_with(*vnode, key, NOW, |seen| seen.value().next().map(|piece| piece[0]));
        black_box(first).is_some()
    }

    fn put(&self, key: usize) {
        let (vnode, key) = &self.keys[key];
        let tag = Tag::from_bits(self.tag.fetch_add(1, Relaxed) + 1).expect("not zero");
        self.store.put(*vnode, key, Stamped::live(tag, 0, None, self.value.clone()), Cause::User, NOW);
    }
}

type Bytes = Box<[u8]>;

fn bytes(name: String) -> Bytes {
    name.into_bytes().into()
}

/// What libraries are asked to hold: bytes that can be handed out without a copy.
type Shared = Arc<[u8]>;

pub(crate) struct QuickCache(quick_cache::sync::Cache<Bytes, Shared>, Data<Bytes>);

pub(crate) fn quick_cache(objects: usize) -> QuickCache {
    QuickCache(quick_cache::sync::Cache::new(objects), data(bytes))
}

impl Cache for QuickCache {
    fn get(&self, key: usize) -> bool {
        self.0.get(&self.1.keys[key]).is_some_and(|value| black_box(value.to_vec()).len() == VALUE)
    }

    fn see(&self, key: usize) -> bool {
        self.0.get(&self.1.keys[key]).is_some_and(|value| black_box(value[0]) == 7)
    }

    fn put(&self, key: usize) {
        self.0.insert(self.1.keys[key].clone(), self.1.value.as_slice().into());
    }
}

pub(crate) struct Moka(moka::sync::Cache<Bytes, Shared>, Data<Bytes>);

pub(crate) fn moka(objects: usize) -> Moka {
    Moka(moka::sync::Cache::new(objects as u64), data(bytes))
}

impl Cache for Moka {
    fn get(&self, key: usize) -> bool {
        self.0.get(&self.1.keys[key]).is_some_and(|value| black_box(value.to_vec()).len() == VALUE)
    }

    fn see(&self, key: usize) -> bool {
        self.0.get(&self.1.keys[key]).is_some_and(|value| black_box(value[0]) == 7)
    }

    fn put(&self, key: usize) {
        self.0.insert(self.1.keys[key].clone(), self.1.value.as_slice().into());
    }
}

/// The library foyer-memory, as it evicts by itself.
pub(crate) struct Foyer(foyer_memory::Cache<Bytes, Shared>, Data<Bytes>);

pub(crate) fn foyer(objects: usize) -> Foyer {
    Foyer(foyer_memory::CacheBuilder::new(objects).build(), data(bytes))
}

impl Cache for Foyer {
    fn get(&self, key: usize) -> bool {
        let entry = self.0.get(&self.1.keys[key]);
        entry.is_some_and(|entry| black_box(entry.value().to_vec()).len() == VALUE)
    }

    fn see(&self, key: usize) -> bool {
        self.0.get(&self.1.keys[key]).is_some_and(|entry| black_box(entry.value()[0]) == 7)
    }

    fn put(&self, key: usize) {
        self.0.insert(self.1.keys[key].clone(), self.1.value.as_slice().into());
    }
}
