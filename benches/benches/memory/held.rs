//! What is held within this process.

use crate::{KEY_BYTES, Load};
use anyhow::ensure;
use clap::ValueEnum;
use shoal_benches::{
    load::{self, START},
    usage,
};
use shoal_node::store::EvictionPolicy;
use shoal_proto::types::{Cause, UnixMillis, Value};
use std::{hint::black_box, sync::Arc};

/// Bytes that an entry of the store may cost at most, with which its limit is twice what it needs.
const COST: u64 = 48;
/// How long values live that expire, at most, in milliseconds.
const LIVES: u64 = 10_000_000;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Held {
    Shoal,
    QuickCache,
    Moka,
    FoyerMemory,
}

impl Held {
    pub(crate) const ALL: [Self; 4] = [Self::Shoal, Self::QuickCache, Self::Moka, Self::FoyerMemory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shoal => "shoal",
            Self::QuickCache => "quick-cache",
            Self::Moka => "moka",
            Self::FoyerMemory => "foyer-memory",
        }
    }

    /// Whether it is tried with an expiry for each entry.
    pub(crate) fn can_expire(self) -> bool {
        self == Self::Shoal
    }

    /// By how many bytes this process grows as it takes the load.
    pub(crate) fn growth(self, load: Load) -> anyhow::Result<u64> {
        match self {
            Self::Shoal => shoal(load),
            Self::QuickCache => quick_cache(load),
            Self::Moka => moka(load),
            Self::FoyerMemory => foyer(load),
        }
    }
}

fn shoal(load: Load) -> anyhow::Result<u64> {
    let value = Value::new(vec![7; load.value_size])?;
    let before = usage::resident(None)?;
    let limit = 2 * load.entries * (KEY_BYTES + load.value_size as u64 + COST);
    let store = load::store(EvictionPolicy::default(), limit);
    for number in 0..load.entries {
        let (vnode, key) = load::place(number);
        let expires_at = load.expiring.then_some(UnixMillis(START.0 + 60_000 + number % LIVES));
        store.put(vnode, &key, load::live(number, expires_at, value.clone()), Cause::User, START);
    }
    let growth = usage::resident(None)? - before;
    ensure!(store.stats().entries == load.entries, "{} are held", store.stats().entries);
    Ok(growth)
}

type Bytes = Arc<[u8]>;

fn boxed(number: u64) -> Box<[u8]> {
    Box::new(load::key_bytes(number))
}

fn quick_cache(load: Load) -> anyhow::Result<u64> {
    let value = vec![7; load.value_size];
    let before = usage::resident(None)?;
    let cache = quick_cache::sync::Cache::<Box<[u8]>, Bytes>::new(2 * load.entries as usize);
    (0..load.entries).for_each(|number| cache.insert(boxed(number), Bytes::from(value.as_slice())));
    let growth = usage::resident(None)? - before;
    ensure!(cache.len() as u64 == load.entries, "{} are held", cache.len());
    Ok(growth)
}

fn moka(load: Load) -> anyhow::Result<u64> {
    let value = vec![7; load.value_size];
    let before = usage::resident(None)?;
    let cache = moka::sync::Cache::<Box<[u8]>, Bytes>::new(2 * load.entries);
    (0..load.entries).for_each(|number| cache.insert(boxed(number), Bytes::from(value.as_slice())));
    cache.run_pending_tasks();
    let growth = usage::resident(None)? - before;
    ensure!(cache.entry_count() == load.entries, "{} are held", cache.entry_count());
    Ok(growth)
}

fn foyer(load: Load) -> anyhow::Result<u64> {
    let value = vec![7; load.value_size];
    let before = usage::resident(None)?;
    let cache: foyer_memory::Cache<Box<[u8]>, Bytes> =
        foyer_memory::CacheBuilder::new(2 * load.entries as usize).build();
    for number in 0..load.entries {
        black_box(cache.insert(boxed(number), Bytes::from(value.as_slice())));
    }
    let growth = usage::resident(None)? - before;
    ensure!(cache.entries() as u64 == load.entries, "{} are held", cache.entries());
    Ok(growth)
}
