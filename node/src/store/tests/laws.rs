//! Properties of the store under random use.

use super::{model::Model, *};
use proptest::prelude::*;

const VNODES: u16 = 4;
const STEP: u64 = 1_000;

#[derive(Debug, Clone)]
enum Op {
    Get(u16),
    Peek(u16),
    Put {
        key: u16,
        version: Draft,
        cause: Cause,
    },
    /// Puts what the n-th put did, counted from the first and around.
    PutAgain(usize, Cause),
    Advance(u64),
    Expire {
        budget: usize,
    },
    Scan {
        page_bytes: usize,
    },
    Clear(u16),
    Forget {
        key: u16,
        through: u64,
    },
}

/// A version as drawn: when it expires depends on when it is put.
#[derive(Debug, Clone)]
struct Draft {
    ticks: u64,
    touch: u16,
    expires_in: Option<u64>,
    /// `None` deletes.
    value_len: Option<usize>,
}

impl Draft {
    /// Expiry times are told apart by `unique`, so that their order is the same in store and model.
    fn stamped(&self, now: UnixMillis, unique: usize) -> Stamped {
        let expires_at =
            self.expires_in.map(|steps| UnixMillis((now.0 / STEP + steps) * STEP + unique as u64));
        match self.value_len {
            Some(len) => {
                Stamped::live(tag(self.ticks), self.touch, expires_at, Value::new(vec![7; len]).unwrap())
            }
            None => Stamped::tombstone(tag(self.ticks)),
        }
    }
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![3 => Just(Cause::User), 1 => Just(Cause::Repair), 1 => Just(Cause::Hint)]
}

fn draft(max_len: usize) -> impl Strategy<Value = Draft> {
    let value_len =
        prop_oneof![1 => Just(None), 3 => (0..200usize).prop_map(Some), 1 => (0..max_len).prop_map(Some)];
    (1..30u64, 0..3u16, proptest::option::of(0..5u64), value_len)
        .prop_map(|(ticks, touch, expires_in, value_len)| Draft { ticks, touch, expires_in, value_len })
}

fn ops(keys: u16, max_len: usize) -> impl Strategy<Value = Vec<Op>> {
    let put =
        (0..keys, draft(max_len), cause()).prop_map(|(key, version, cause)| Op::Put { key, version, cause });
    let op = prop_oneof![
        4 => (0..keys).prop_map(Op::Get),
        2 => (0..keys).prop_map(Op::Peek),
        8 => put,
        2 => (any::<usize>(), cause()).prop_map(|(which, cause)| Op::PutAgain(which, cause)),
        2 => (0..3 * STEP).prop_map(Op::Advance),
        1 => Just(Op::Advance(30 * STEP)),
        2 => (1..5usize).prop_map(|budget| Op::Expire { budget }),
        1 => (0..600usize).prop_map(|page_bytes| Op::Scan { page_bytes }),
        1 => (0..4 * VNODES).prop_map(Op::Clear),
        2 => (0..keys, 1..30u64).prop_map(|(key, through)| Op::Forget { key, through }),
    ];
    proptest::collection::vec(op, 1..150)
}

/// The vnode and key of number `n`.
fn place(n: u16) -> (Vnode, Key) {
    (Vnode(n % VNODES), key(&format!("key {n}")))
}

/// Walks a vnode page by page. Every page but the last has an entry.
fn walk(store: &Store, vnode: Vnode, page_bytes: usize, now: UnixMillis) -> Vec<(Key, Stamped)> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = store.scan(vnode, after, page_bytes, now);
        assert!(next.is_none() || (!page.is_empty() && next > after));
        all.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    all.sort();
    all
}

/// Store and model go through `ops` side by side.
fn compare(store: &Store, mut model: Model, ops: Vec<Op>) {
    let mut now = NOW;
    let mut puts: Vec<(u16, Stamped)> = Vec::new();
    for (number, op) in ops.into_iter().enumerate() {
        match op {
            Op::Get(n) => {
                let (vnode, key) = place(n);
                assert_eq!(store.get(vnode, &key, now), model.get(vnode, &key, now));
            }
            Op::Forget { key: n, through } => {
                let (vnode, key) = place(n);
                assert_eq!(store.forget(vnode, &key, tag(through)), model.forget(vnode, &key, tag(through)));
            }
            Op::Peek(n) => {
                let (vnode, key) = place(n);
                assert_eq!(store.peek(vnode, &key, now), model.peek(vnode, &key, now));
            }
            Op::Put { key: n, version, cause } => {
                let entry = version.stamped(now, number);
                puts.push((n, entry.clone()));
                let (vnode, key) = place(n);
                let outcome = store.put(vnode, &key, entry.clone(), cause, now);
                assert_eq!(outcome, model.put(vnode, &key, entry, cause, now));
            }
            Op::PutAgain(which, cause) => {
                if let Some((n, entry)) = puts.get(which % puts.len().max(1)).cloned() {
                    let (vnode, key) = place(n);
                    let outcome = store.put(vnode, &key, entry.clone(), cause, now);
                    assert_eq!(outcome, model.put(vnode, &key, entry, cause, now));
                }
            }
            Op::Advance(millis) => now.0 += millis,
            Op::Expire { budget } => {
                while store.expire(now, budget) == budget {}
                model.expire(now);
            }
            Op::Scan { page_bytes } => {
                for vnode in (0..VNODES).map(Vnode) {
                    assert_eq!(walk(store, vnode, page_bytes, now), model.scan(vnode, now));
                }
            }
            Op::Clear(n) if n < VNODES => {
                store.clear_vnode(Vnode(n));
                model.clear_vnode(Vnode(n));
            }
            Op::Clear(_) => {}
        }
        store.check();
        assert_eq!(store.stats(), model.stats());
        for vnode in (0..VNODES).map(Vnode) {
            assert_eq!(walk(store, vnode, usize::MAX, now), model.scan(vnode, now));
        }
    }
}

proptest! {
    #[test]
    fn with_ample_memory_several_shards_do_what_the_model_does(ops in ops(12, 2_000)) {
        let four_shards = 4 * STORE_SHARD_BYTES;
        compare(&store(four_shards, 0.5), Model::new(four_shards, STORE_SHARD_BYTES / 2 - 64, u64::MAX), ops);
    }

    #[test]
    fn with_little_memory_a_shard_evicts_and_drops_what_the_model_does(ops in ops(24, 4_000)) {
        let store = store(4_096, 0.15);
        let markers = ((4_096 - Index::fixed_bytes(VNODES)) as f64 * 0.15) as u64;
        let model = Model::new(4_096, 4_096 - Index::fixed_bytes(VNODES) - markers, markers);
        compare(&store, model, ops);
    }

    #[test]
    fn puts_in_any_order_and_number_end_in_the_same_state(
        (drafts, shuffled) in proptest::collection::vec(draft(50), 1..12)
            .prop_flat_map(|drafts| {
                let numbered: Vec<_> = drafts.into_iter().enumerate().collect();
                let twice = [numbered.clone(), numbered.clone()].concat();
                (Just(numbered), Just(twice).prop_shuffle())
            }),
        steps in 0..4u64,
    ) {
        let now = UnixMillis(NOW.0 + steps * STEP);
        let (in_order, in_disorder) = (store(AMPLE, 0.1), store(AMPLE, 0.1));
        for (store, drafts) in [(&in_order, &drafts), (&in_disorder, &shuffled)] {
            for (unique, draft) in drafts {
                store.put(HERE, &key("k"), draft.stamped(NOW, *unique), Cause::User, now);
            }
        }
        let largest = drafts.iter().map(|(unique, draft)| draft.stamped(NOW, *unique).as_of(now)).max();
        prop_assert_eq!(in_order.peek(HERE, &key("k"), now), largest.clone());
        prop_assert_eq!(in_disorder.peek(HERE, &key("k"), now), largest);
    }

    #[test]
    fn a_walk_sees_what_stays_exactly_once_while_other_keys_come_and_go(
        staying in proptest::collection::btree_set(0..1_000u16, 0..60),
        changes in proptest::collection::vec((1_000..1_200u16, proptest::bool::ANY), 0..200),
        page_bytes in 1..2_000usize,
        max_bytes in prop_oneof![Just(AMPLE), Just(STORE_SHARD_BYTES)],
    ) {
        let store = store(max_bytes, 0.5);
        let name = |n: u16| key(&n.to_string());
        for n in &staying {
            store.put(HERE, &name(*n), small(1), Cause::User, NOW);
        }
        let mut changes = changes.into_iter().zip(1..);
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = store.scan(HERE, after, page_bytes, NOW);
            seen.extend(page.into_iter().map(|(key, _)| key));
            for ((n, delete), ticks) in changes.by_ref().take(10) {
                let entry = if delete { Stamped::tombstone(tag(ticks)) } else { small(ticks) };
                store.put(HERE, &name(n), entry, Cause::User, NOW);
                // Tombstones go at once, and slots with them.
                store.expire(UnixMillis(NOW.0 + LIFE.as_millis() as u64), usize::MAX);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        let staying: Vec<_> = staying.into_iter().map(name).collect();
        prop_assert!(staying.iter().all(|key| seen.iter().filter(|other| *other == key).count() == 1));
        seen.sort();
        prop_assert!(seen.is_sorted_by(|a, b| a < b), "no key is seen twice");
    }
}
