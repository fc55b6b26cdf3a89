//! Properties of the store under random use.

use super::{model::Model, *};
use proptest::{
    prelude::*,
    test_runner::{TestError, TestRunner},
};

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
    Limit(u64),
    Seal(u16, u64),
    Confirm(u16, u64),
    Settle(u16, u64),
    Adopt(u16, [Option<u64>; 3]),
    PutGhost {
        key: u16,
        version: Draft,
    },
    List {
        above: Option<u64>,
        through: u64,
        max: usize,
    },
    Fetch {
        keys: Vec<u16>,
        page_bytes: usize,
    },
}

/// A version as drawn: when it expires depends on when it is put.
#[derive(Debug, Clone)]
struct Draft {
    ticks: u64,
    touch: u16,
    /// How long after the value was written its expiry was changed.
    touched_after: Option<u64>,
    expires_in: Option<u64>,
    /// `None` deletes.
    value_len: Option<usize>,
}

impl Draft {
    /// Expiry times are told apart by `unique`, so that their order is the same in store and model.
    fn stamped(&self, now: UnixMillis, unique: usize) -> Stamped {
        let expires_at =
            self.expires_in.map(|steps| UnixMillis((now.0 / STEP + steps) * STEP + unique as u64));
        let entry = match self.value_len {
            Some(len) => {
                Stamped::live(tag(self.ticks), self.touch, expires_at, Value::new(vec![7; len]).unwrap())
            }
            None => return Stamped::tombstone(tag(self.ticks)),
        };
        entry.touched_at(self.touched_after.map(|ticks| tag(self.ticks + ticks)))
    }
}

fn cause() -> impl Strategy<Value = Cause> {
    use Cause::{Hint, Rebuild, Repair, Round, User};
    prop_oneof![4 => Just(User), 1 => Just(Repair), 1 => Just(Hint), 1 => Just(Round), 1 => Just(Rebuild)]
}

fn draft(max_len: usize) -> impl Strategy<Value = Draft> {
    let value_len = prop_oneof![1 => Just(None), 3 => (0..200usize).prop_map(Some), 1 => (0..5_000usize).prop_map(Some), 1 => (0..max_len).prop_map(Some)];
    let touch = (0..3u16, proptest::option::weighted(0.3, 0..20u64));
    (1..30u64, touch, proptest::option::of(0..5u64), value_len).prop_map(
        |(ticks, (touch, touched_after), expires_in, value_len)| Draft {
            ticks,
            touch,
            touched_after,
            expires_in,
            value_len,
        },
    )
}

fn ops(keys: u16, max_len: usize, limits: std::ops::Range<u64>) -> impl Strategy<Value = Vec<Op>> {
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
        1 => limits.prop_map(Op::Limit),
        3 => agreement(keys, max_len),
    ];
    proptest::collection::vec(op, 1..300)
}

/// What owners do to agree, up to stamps that become later more often than not.
fn agreement(keys: u16, max_len: usize) -> impl Strategy<Value = Op> {
    let mark = || (0..VNODES, 1..50u64);
    let marks =
        [proptest::option::of(1..50u64), proptest::option::of(1..50u64), proptest::option::of(1..50u64)];
    prop_oneof![
        3 => mark().prop_map(|(vnode, through)| Op::Seal(vnode, through)),
        3 => mark().prop_map(|(vnode, through)| Op::Confirm(vnode, through)),
        3 => mark().prop_map(|(vnode, through)| Op::Settle(vnode, through)),
        1 => (0..VNODES, marks).prop_map(|(vnode, marks)| Op::Adopt(vnode, marks)),
        4 => (0..keys, draft(max_len)).prop_map(|(key, version)| Op::PutGhost { key, version }),
        1 => (proptest::option::of(0..50u64), 0..50u64, 1..20usize)
            .prop_map(|(above, through, max)| Op::List { above, through, max }),
        1 => (proptest::collection::vec(0..keys, 1..20), 1..3_000usize)
            .prop_map(|(keys, page_bytes)| Op::Fetch { keys, page_bytes }),
    ]
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

/// Walks a list page by page.
fn list(
    store: &Store,
    vnode: Vnode,
    above: Option<Tag>,
    through: Tag,
    max: usize,
    now: UnixMillis,
) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.list(vnode, above, through, after, max, now);
        assert!(page.len() <= max && (next.is_none() || !page.is_empty()));
        all.extend(page);
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

/// Fetches by hash, page by page.
fn fetch(
    store: &Store,
    vnode: Vnode,
    keys: &[Key],
    page_bytes: usize,
    now: UnixMillis,
) -> Vec<(Key, Stamped)> {
    let hashes: Vec<_> = keys.iter().map(|key| store.hash(key)).collect();
    let (mut left, mut all) = (&hashes[..], Vec::new());
    while !left.is_empty() {
        let (page, answered) = store.fetch(vnode, left, page_bytes, now);
        assert!(answered > 0);
        all.extend(page);
        left = &left[answered..];
    }
    all
}

/// Whether the store's sums are those of what the model holds.
fn compare_digests(store: &Store, model: &mut Model, vnode: Vnode) {
    let sum = |held: &[(Key, Version)]| {
        held.iter()
            .fold(0u64, |sum, (key, version)| sum.wrapping_add(digest::of_version(store.hash(key), version)))
    };
    let expected = model.buckets(vnode).into_iter().map(|(bucket, held)| Digest {
        through: BUCKET_OF.end(bucket),
        sum: sum(&held),
        count: held.len() as u64,
    });
    assert_eq!(store.digests(vnode), expected.collect::<Vec<_>>());
}

/// Store and model go through `ops` side by side. The store may give things up, but must say how many.
fn compare(store: &Store, ops: Vec<Op>) {
    let (mut model, count) = (Model::default(), ops.len());
    let mut now = NOW;
    let mut puts: Vec<(u16, Stamped)> = Vec::new();
    for (number, op) in ops.into_iter().enumerate() {
        let before = store.stats();
        match op {
            Op::Get(n) => {
                let (vnode, key) = place(n);
                assert_eq!(store.read(vnode, &key, now), model.read(vnode, &key, now));
            }
            Op::Forget { key: n, through } => {
                let (vnode, key) = place(n);
                assert_eq!(
                    store.forget(vnode, &key, tag(through)),
                    model.forget_key(vnode, &key, tag(through))
                );
            }
            Op::Peek(n) => {
                let (vnode, key) = place(n);
                assert_eq!(store.look(vnode, &key, now), model.look(vnode, &key, now));
            }
            Op::Put { key: n, version, cause } => {
                let entry = version.stamped(now, number);
                puts.push((n, entry.clone()));
                put_both(store, &mut model, n, entry, cause, now);
            }
            Op::PutAgain(which, cause) => {
                if let Some((n, entry)) = puts.get(which % puts.len().max(1)).cloned() {
                    put_both(store, &mut model, n, entry, cause, now);
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
            Op::Limit(max_bytes) => store.set_max_bytes(max_bytes),
            Op::Seal(vnode, through) => {
                store.seal(Vnode(vnode), tag(through));
                model.seal(Vnode(vnode), tag(through));
            }
            Op::Confirm(vnode, through) => {
                store.confirm(Vnode(vnode), tag(through));
                model.confirm(Vnode(vnode), tag(through));
            }
            Op::Settle(vnode, through) => {
                store.settle(Vnode(vnode), tag(through));
                model.settle(Vnode(vnode), tag(through));
            }
            Op::Adopt(vnode, marks) => {
                let mut marks = marks.map(|ticks| ticks.map(tag));
                marks.sort();
                let [settled, confirmed, sealed] = marks;
                store.adopt(Vnode(vnode), Watermarks { sealed, confirmed, settled });
                sealed.into_iter().for_each(|through| model.seal(Vnode(vnode), through));
                confirmed.into_iter().for_each(|through| model.confirm(Vnode(vnode), through));
                settled.into_iter().for_each(|through| model.settle(Vnode(vnode), through));
            }
            Op::PutGhost { key: n, version } => {
                let ((vnode, key), entry) = (place(n), version.stamped(now, number));
                let version = Version { dead: false, value_hash: 0, ..entry.version() };
                store.put_ghost(vnode, store.hash(&key), version, now);
                model.put_ghost(vnode, &key, version, now);
            }
            Op::List { above, through, max } => {
                let above = above.map(|ticks| tag(ticks + 1));
                for vnode in (0..VNODES).map(Vnode) {
                    let expected = model.list(store, vnode, above, tag(through + 1), now);
                    assert_eq!(list(store, vnode, above, tag(through + 1), max, now), expected);
                }
            }
            Op::Fetch { keys, page_bytes } => {
                let of =
                    |vnode: u16| keys.iter().map(|n| place(*n)).filter(move |(other, _)| other.0 == vnode);
                for vnode in 0..VNODES {
                    let keys: Vec<_> = of(vnode).map(|(_, key)| key).collect();
                    let fetched = fetch(store, Vnode(vnode), &keys, page_bytes, now);
                    let looked = keys.iter().filter_map(|key| match model.look(Vnode(vnode), key, now) {
                        Found::Held(entry) => Some((key.clone(), entry)),
                        _ => None,
                    });
                    assert_eq!(fetched, looked.collect::<Vec<_>>());
                }
            }
        }
        let gone = model.follow(store, now);
        let after = store.stats();
        let counted = |count: fn(&StoreStats) -> u64| count(&after) - count(&before);
        let evicted = counted(|stats| stats.evictions);
        let fits = |count: u64, least: u64, most: u64| (least..=most + gone.unsure).contains(&count);
        assert!(fits(evicted, gone.values, gone.values), "{evicted} of {gone:?}");
        assert!(fits(counted(|stats| stats.markers_dropped), gone.markers_early, gone.markers), "{gone:?}");
        assert!(fits(counted(|stats| stats.ghosts_dropped), gone.ghosts_early, gone.ghosts), "{gone:?}");
        assert_eq!(evicted, counted(|stats| stats.evictions_by_list.iter().sum()));
        let EvictedFor { values, markers, limit } = after.evictions_for;
        assert_eq!(after.evictions, values + markers + limit);
        // What takes long, now and then.
        if number.is_multiple_of(16) || number + 1 == count {
            store.check();
            for vnode in (0..VNODES).map(Vnode) {
                assert_eq!(walk(store, vnode, usize::MAX, now), model.scan(vnode, now));
                assert_eq!(store.watermarks(vnode), model.watermarks(vnode));
                compare_digests(store, &mut model, vnode);
            }
        }
        let stats = store.stats();
        assert_eq!(
            (stats.hits, stats.misses, stats.refused.sealed),
            (model.hits, model.misses, model.sealed)
        );
        assert_eq!((stats.entries, stats.markers, stats.ghosts), model.counts());
        assert!(stats.bytes >= model.bytes() && stats.bytes <= 2 * model.bytes() + 48 * stats.entries);
    }
}

fn put_both(store: &Store, model: &mut Model, n: u16, entry: Stamped, cause: Cause, now: UnixMillis) {
    let (vnode, key) = place(n);
    let outcome = store.put(vnode, &key, entry.clone(), cause, now);
    if matches!(outcome, PutOutcome::TooLarge { .. } | PutOutcome::Full { .. }) {
        assert!(entry.value().is_some());
        let _ = model.look(vnode, &key, now);
    } else {
        assert_eq!(outcome, model.put(vnode, &key, entry, cause, now));
    }
}

fn policy() -> impl Strategy<Value = EvictionPolicy> {
    use EvictionPolicy::{Lfu, Lru, NoEviction, S3Fifo, WTinyLfu};
    prop_oneof![Just(WTinyLfu), Just(S3Fifo), Just(Lru), Just(Lfu), Just(NoEviction)]
}

proptest! {
    // With 150 operations in the middle, 120,000 in all.
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn with_ample_memory_several_shards_do_what_the_model_does(ops in ops(12, 9_000, 4 * STORE_SHARD_BYTES..8 * STORE_SHARD_BYTES)) {
        compare(&store(4 * STORE_SHARD_BYTES, 0.5), ops);
    }

    #[test]
    fn with_little_memory_a_shard_says_what_it_gives_up(uses in in_little_memory()) {
        compare_in_little_memory(uses);
    }
}

/// What is done to a store, its policy, and bytes of its memory.
type Uses = (Vec<Op>, EvictionPolicy, u64);

fn in_little_memory() -> impl Strategy<Value = Uses> {
    (ops(60, 9_000, 100_000..300_000), policy(), 100_000..200_000u64)
}

fn compare_in_little_memory((ops, policy, room): Uses) {
    compare(&store_by(policy, room, 0.1), ops);
}

#[test]
fn the_model_catches_deliberate_bugs() {
    for bug in ["leak_bytes", "resurrect_expired", "forget_ghost"] {
        let config = ProptestConfig {
            cases: 200,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let mut runner = TestRunner::new(config);
        let caught = fault::tests::with(bug, || {
            runner.run(&in_little_memory(), |uses| {
                compare_in_little_memory(uses);
                Ok(())
            })
        });
        assert!(matches!(caught, Err(TestError::Fail(..))), "{bug} is not caught: {caught:?}");
    }
}

proptest! {
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
