//! The store under one core: a hit, an overwrite, and a new key that evicts another.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shoal_node::store::{EvictionPolicy, Store, StoreConfig};
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Vnode, WriterId};
use std::{hint::black_box, time::Duration};

const VNODES: u16 = 1_024;
const KEYS: u64 = 500_000;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

criterion_group!(benches, gets, puts);
criterion_main!(benches);

fn gets(c: &mut Criterion) {
    let store = filled(1 << 30);
    let keys = keys();
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(1));
    // Keys that stay in the processor's caches, then keys that never do.
    for (name, hot) in [("get hit, 5,000 keys", 5_000), ("get hit, 500,000 keys", KEYS)] {
        let mut next = stride(hot);
        group.bench_function(name, |b| {
            b.iter(|| {
                let (vnode, key) = &keys[next()];
                black_box(store.get(*vnode, key, NOW))
            });
        });
    }
    assert_eq!(store.stats().misses, 0);
}

fn puts(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(1));
    let mut ticks = 2;
    let mut entry = move |expires_at| {
        ticks += 1;
        stamped(ticks, expires_at)
    };

    for (name, expires_at) in [("put overwrite", None), ("put overwrite with expiry", Some(UnixMillis::MAX))]
    {
        let store = filled(1 << 30);
        let keys = keys();
        let mut next = stride(KEYS);
        group.bench_function(name, |b| {
            b.iter_batched(
                || (next(), entry(expires_at)),
                |(at, entry)| store.put(keys[at].0, &keys[at].1, entry, Cause::User, NOW),
                BatchSize::SmallInput,
            );
        });
    }

    let full = filled(64 << 20);
    assert!(full.stats().evictions > 0);
    let mut number = KEYS;
    group.bench_function("put new with eviction", |b| {
        b.iter_batched(
            || {
                number += 1;
                (place(number), entry(None))
            },
            |((vnode, key), entry)| full.put(vnode, &key, entry, Cause::User, NOW),
            BatchSize::SmallInput,
        );
    });
}

fn filled(max_bytes: u64) -> Store {
    let marker_life = Duration::from_secs(3600);
    let policy = EvictionPolicy::default();
    let store = Store::new(StoreConfig {
        max_bytes,
        policy,
        vnodes: VNODES,
        seed: 1,
        marker_life,
        marker_share: 0.05,
    });
    for (vnode, key) in keys() {
        store.put(vnode, &key, stamped(1, None), Cause::User, NOW);
    }
    store
}

fn keys() -> Vec<(Vnode, Key)> {
    (0..KEYS).map(place).collect()
}

/// A key of 16 bytes and a vnode for it.
fn place(number: u64) -> (Vnode, Key) {
    let key = Key::new(format!("{number:016}")).expect("short");
    (Vnode((number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as u16), key)
}

/// A value of 100 bytes.
fn stamped(ticks: u64, expires_at: Option<UnixMillis>) -> Stamped {
    let writer = WriterId::member(1).expect("in range");
    let tag = Tag::from_ticks(ticks, writer).expect("in range");
    Stamped::live(tag, 0, expires_at, Value::new(vec![7; 100]).expect("short"))
}

/// Visits the first `count` keys, all of them, in an order that caches cannot foresee.
fn stride(count: u64) -> impl FnMut() -> usize {
    let mut at = 0;
    move || {
        at = (at + 317_811) % count;
        at as usize
    }
}
