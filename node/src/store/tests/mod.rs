mod laws;
mod model;

use super::*;
use bytes::Bytes;
use shoal_proto::types::{Tag, Value, WriterId};

const NOW: UnixMillis = UnixMillis(1_000_000);
const HERE: Vnode = Vnode(0);
const LIFE: Duration = Duration::from_secs(60);
const BUCKET: Duration = Duration::from_secs(3);
const BUCKET_OF: Bucket = Bucket::new(BUCKET);
/// What a slot for a key and a value of one byte each is charged, and one for their marker.
const CHARGE: u64 = 32;
/// Makes many shards.
const AMPLE: u64 = 64 * STORE_SHARD_BYTES;

fn store(max_bytes: u64, marker_share: f64) -> Store {
    store_by(EvictionPolicy::Lru, max_bytes, marker_share)
}

fn store_by(policy: EvictionPolicy, max_bytes: u64, marker_share: f64) -> Store {
    let config = StoreConfig { max_bytes, policy, vnodes: 4, seed: 7, marker_life: LIFE, marker_share };
    Store::with_bucket(config, BUCKET)
}

/// A store of one shard with room for this many values of [`small`] and no more, and for so many tombstones.
fn store_of(values: u64, markers: u64) -> Store {
    let fits = |max_bytes: u64| {
        let store = store(max_bytes, 0.9);
        for n in 0..=markers + values {
            let entry = if n < markers { Stamped::tombstone(tag(1)) } else { small(1) };
            store.put(HERE, &key(&n.to_string()), entry, Cause::User, NOW);
        }
        (store.stats().entries, store.stats().markers) == (values, markers)
    };
    let empty = store(0, 0.0).stats().overhead_bytes;
    let max_bytes = (empty..).find(|max_bytes| fits(*max_bytes)).unwrap();
    let marker = CHARGE * markers + CHARGE / 2;
    store(max_bytes, marker as f64 / max_bytes as f64)
}

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

/// The tag of that many seconds after the beginning.
fn tag(seconds: u64) -> Tag {
    let at = UnixMillis(NOW.0 + 1_000 * seconds);
    Tag::from_ticks(Tag::first_tick(at), WriterId::member(1).unwrap()).unwrap()
}

fn value(ticks: u64, expires_at: Option<UnixMillis>, bytes: impl Into<Bytes>) -> Stamped {
    Stamped::live(tag(ticks), 0, expires_at, Value::new(bytes).unwrap())
}

/// A value of one byte that never expires.
fn small(ticks: u64) -> Stamped {
    value(ticks, None, "v")
}

fn put(store: &Store, name: &str, entry: Stamped, cause: Cause) -> PutOutcome {
    let outcome = store.put(HERE, &key(name), entry, cause, NOW);
    store.check();
    outcome
}

/// Which of the keys `a` to `z` are held.
fn held(store: &Store) -> String {
    ('a'..='z').filter(|name| store.peek(HERE, &key(&name.to_string()), NOW).is_some()).collect()
}

impl Store {
    fn check(&self) {
        self.shards.iter().for_each(|shard| shard.lock().check());
    }
}

#[test]
fn a_store_is_divided_as_far_as_it_takes_for_shards_of_a_size() {
    let mebibytes = |count: u64| count * 1024 * 1024;
    for (bytes, shards) in
        [(0, 1), (48, 1), (49, 2), (200, 8), (1024, 32), (2048, 64), (3072, 64), (4096, 128)]
    {
        assert_eq!(shard_count(mebibytes(bytes)), shards);
    }
}

#[test]
fn a_store_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
}

#[test]
fn the_least_recently_used_value_goes_first() {
    let store = store_of(3, 0);
    for name in ["a", "b", "c"] {
        put(&store, name, small(1), Cause::User);
    }
    assert!(store.get(HERE, &key("a"), NOW).is_some());
    put(&store, "b", small(2), Cause::User);
    put(&store, "d", small(1), Cause::User);
    assert_eq!(held(&store), "abd");
    assert_eq!((store.stats().evictions, store.stats().hits), (1, 1));
}

#[test]
fn only_users_refresh_a_key() {
    let store = store_of(3, 0);
    for name in ["a", "b", "c"] {
        put(&store, name, small(1), Cause::Repair);
    }
    put(&store, "a", small(2), Cause::Repair);
    put(&store, "a", small(3), Cause::Hint);
    put(&store, "a", small(3), Cause::Repair);
    let _ = store.peek(HERE, &key("a"), NOW);
    put(&store, "d", small(1), Cause::Hint);
    assert_eq!(held(&store), "bcd");
    put(&store, "b", small(1), Cause::User);
    put(&store, "e", small(1), Cause::User);
    assert_eq!(held(&store), "bde", "repeating a write is use");
    assert_eq!((store.stats().hits, store.stats().misses), (0, 0));
}

#[test]
fn a_value_that_can_never_fit_is_refused_and_nothing_changes() {
    let store = store_of(3, 0);
    for name in ["a", "b", "c"] {
        put(&store, name, small(1), Cause::User);
    }
    let put_len = |len: usize| put(&store, "a", value(100_002 - len as u64, None, vec![0; len]), Cause::User);
    assert!(
        matches!(put_len(100_000), PutOutcome::TooLarge { bytes, limit } if bytes > 100_000 && limit < bytes)
    );
    assert_eq!(held(&store), "abc");
    assert_eq!(store.peek(HERE, &key("a"), NOW), Some(small(1)));

    let largest = (0..20_000).rev().find(|len| matches!(put_len(*len), PutOutcome::Stored { .. })).unwrap();
    assert_eq!(held(&store), "a", "all others gave way");
    let held = store.peek(HERE, &key("a"), NOW);
    assert_eq!(held, Some(value(100_002 - largest as u64, None, vec![0; largest])));
}

#[test]
fn a_full_marker_budget_drops_the_oldest_marker_and_no_value() {
    let store = store(1 << 20, 2.5 * CHARGE as f64 / f64::from(1 << 20));
    put(&store, "y", small(1), Cause::User);
    put(&store, "z", small(1), Cause::User);
    for name in ["a", "b", "c"] {
        put(&store, name, Stamped::tombstone(tag(1)), Cause::User);
    }
    assert_eq!(held(&store), "bcyz");
    put(&store, "b", Stamped::tombstone(tag(2)), Cause::User);
    put(&store, "d", Stamped::tombstone(tag(1)), Cause::User);
    assert_eq!(held(&store), "bdyz", "a later tombstone stands anew");
    let stats = store.stats();
    assert_eq!((stats.entries, stats.markers, stats.markers_dropped, stats.evictions), (2, 2, 2, 0));
    assert_eq!((stats.bytes, stats.marker_bytes), (2 * CHARGE, 2 * CHARGE));
}

#[test]
fn a_deletion_without_room_for_its_marker_still_deletes() {
    let store = store_of(2, 0);
    put(&store, "a", small(1), Cause::User);
    assert_eq!(
        put(&store, "a", Stamped::tombstone(tag(2)), Cause::User),
        PutOutcome::Stored { was_live: true }
    );
    assert_eq!(held(&store), "");
    assert_eq!(store.stats().markers_dropped, 1);
}

#[test]
fn markers_stand_for_their_life_from_when_they_are_stored() {
    let store = store(AMPLE, 0.1);
    let (deleted, expired) = (key("deleted"), key("expired"));
    store.put(HERE, &deleted, Stamped::tombstone(tag(1)), Cause::User, NOW);
    let at = NOW.checked_add(Duration::from_secs(10)).unwrap();
    store.put(HERE, &expired, value(1, Some(at), "v"), Cause::User, NOW);
    let left_at = |now: UnixMillis| {
        while store.expire(now, 10) == 10 {}
        (store.stats().entries, store.stats().markers)
    };
    assert_eq!(left_at(at), (0, 2));
    let life_over = |stored: UnixMillis| stored.checked_add(LIFE).unwrap();
    assert_eq!(left_at(UnixMillis(life_over(NOW).0 - 1)), (0, 2));
    assert_eq!(left_at(life_over(NOW)), (0, 1));
    assert_eq!(store.peek(HERE, &deleted, NOW), None);
    assert_eq!(left_at(UnixMillis(life_over(at).0 - 1)), (0, 1));
    assert_eq!(store.peek(HERE, &expired, NOW), Some(Stamped::marker(tag(1), 0, Some(at))));
    assert_eq!(left_at(life_over(at)), (0, 0));
    let stats = store.stats();
    assert_eq!((stats.entries, stats.markers, stats.expirations, stats.markers_dropped), (0, 0, 1, 0));
}

#[test]
fn an_expired_value_becomes_its_marker_when_it_is_touched() {
    let store = store(AMPLE, 0.1);
    let marker = Stamped::marker(tag(1), 0, Some(NOW));
    let before = UnixMillis(NOW.0 - 1);
    for name in ["got", "peeked", "overwritten", "scanned"] {
        store.put(HERE, &key(name), value(1, Some(NOW), "v"), Cause::User, before);
    }
    assert_eq!(store.get(HERE, &key("got"), NOW), Some(marker.clone()));
    assert_eq!(store.peek(HERE, &key("peeked"), NOW), Some(marker.clone()));
    let same = store.put(HERE, &key("overwritten"), value(1, Some(NOW), "v"), Cause::User, NOW);
    assert_eq!(same, PutOutcome::Unchanged { was_live: false });
    assert_eq!((store.stats().entries, store.stats().markers, store.stats().misses), (1, 3, 1));
    let (all, _) = store.scan(HERE, None, usize::MAX, NOW);
    assert_eq!(all.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), vec![marker; 4]);
    store.check();
}

#[test]
fn a_change_of_expiry_wins_over_the_value_it_read() {
    let store = store(AMPLE, 0.1);
    let later = UnixMillis(NOW.0 + 500);
    put(&store, "a", small(1), Cause::User);
    let touched = Stamped::live(tag(1), 1, Some(later), Value::new("v").unwrap());
    assert_eq!(put(&store, "a", touched.clone(), Cause::User), PutOutcome::Stored { was_live: true });
    let by = touched.version();
    assert_eq!(put(&store, "a", small(1), Cause::User), PutOutcome::Superseded { by, was_live: true });
    while store.expire(later, 1) == 1 {}
    assert_eq!((store.stats().entries, store.stats().markers), (0, 1));
}

#[test]
fn what_is_stored_does_not_hold_on_to_the_buffer_it_came_in() {
    let store = store(AMPLE, 0.1);
    let network = Bytes::from(vec![7; 1 << 20]);
    let name = Key::new(network.slice(10..20)).unwrap();
    store.put(HERE, &name, value(1, None, network.slice(100..200)), Cause::User, NOW);
    store.put(HERE, &name, Stamped::tombstone(tag(2)), Cause::User, NOW);
    drop(name);
    assert!(network.is_unique());
}

#[test]
fn rounds_of_expiry_with_a_small_budget_reach_every_shard() {
    let store = store(AMPLE, 0.1);
    for i in 0..500 {
        store.put(HERE, &key(&i.to_string()), value(1, Some(UnixMillis(NOW.0 + 1)), "v"), Cause::User, NOW);
    }
    let mut rounds = 0;
    while store.expire(UnixMillis(NOW.0 + 1), 70) == 70 {
        rounds += 1;
    }
    assert!(rounds >= 7);
    assert_eq!((store.stats().entries, store.stats().markers), (0, 500));
    store.check();
}

#[test]
fn a_shard_with_much_to_expire_does_not_hold_up_the_others() {
    let store = store(AMPLE, 0.1);
    assert_eq!(
        store.expire(NOW, 1),
        0,
        "from here on the wheel has nothing to move for values that expire soon"
    );
    for i in 0..1_000 {
        store.put(HERE, &key(&i.to_string()), value(1, Some(UnixMillis(NOW.0 + 1)), "v"), Cause::User, NOW);
    }
    for _ in 0..store.shards.len() {
        assert_eq!(store.expire(UnixMillis(NOW.0 + 1), 1), 1);
    }
    assert!(store.shard_stats().iter().all(|stats| stats.markers == 1));
}

#[test]
fn clearing_a_vnode_leaves_the_others() {
    let store = store(AMPLE, 0.1);
    // More vnodes than tables: 1 and 5 share one, and are told apart all the same.
    for vnode in [1, 2, 5] {
        for i in 0..300 {
            let entry =
                if i % 3 == 0 { Stamped::tombstone(tag(1)) } else { value(1, Some(UnixMillis::MAX), "v") };
            store.put(Vnode(vnode), &key(&i.to_string()), entry, Cause::User, NOW);
        }
    }
    store.clear_vnode(Vnode(1));
    store.check();
    let count = |vnode| store.scan(Vnode(vnode), None, usize::MAX, NOW).0.len();
    assert_eq!([count(1), count(2), count(5)], [0, 300, 300]);
    assert_eq!((store.stats().entries, store.stats().markers), (400, 200));
}

#[test]
fn entries_are_walked_in_the_order_of_whole_hashes() {
    let limits = Limits { bytes: AMPLE, marker_bytes: AMPLE, marker_life: LIFE };
    let policy = EvictionPolicy::Lru;
    let layout = Layout { vnodes: 1, seed: 7, common_bytes: 0, shared_bits: 0, policy };
    let mut shard = Shard::new(limits, layout, store(AMPLE, 0.1).agreement);
    let hash_of = |name: &str| xxh3_64_with_seed(name.as_bytes(), 7);
    let names: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
    for name in &names {
        let place = Place { vnode: HERE, hash: hash_of(name), key: name.as_bytes() };
        shard.put(place, &small(1), Cause::User, NOW);
    }
    shard.check();
    // Hashes that agree in all bits cannot be found in a test: those that agree in what the index keeps will do.
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let mut page = Page::new(after, 1);
        let end = shard.scan(HERE, after.unwrap_or(0), NOW, &mut page);
        let (entries, next) = page.finish(end);
        assert!(entries.len() <= 1);
        seen.extend(entries.iter().map(|(key, _)| xxh3_64_with_seed(key.as_bytes(), 7)));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut all: Vec<_> = names.iter().map(|name| hash_of(name)).collect();
    all.sort_unstable();
    assert!(all.windows(2).any(|pair| pair[0] >> 48 == pair[1] >> 48));
    assert_eq!(seen, all);
}

#[test]
fn a_limit_that_is_lowered_is_reached_step_by_step_and_one_that_is_raised_makes_room() {
    let store = store(8 << 20, 0.0);
    let fill = |ticks| {
        for i in 0..128 {
            put(&store, &format!("k{i}"), value(ticks, None, vec![0; 64 << 10]), Cause::User);
        }
    };
    fill(1);
    assert!(store.stats().bytes > 7 << 20);
    store.set_max_bytes(4 << 20);
    let mut rounds = 0;
    while store.expire(NOW, 1) == 1 {
        store.check();
        rounds += 1;
    }
    assert!(rounds > 1);
    let stats = store.stats();
    assert!(stats.bytes <= 4 << 20 && stats.bytes > 3 << 20, "{stats:?}");
    assert_eq!(stats.max_bytes, 4 << 20);
    store.set_max_bytes(32 << 20);
    fill(2);
    assert_eq!(store.stats().entries, 128);
}
