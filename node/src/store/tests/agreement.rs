//! What owners may rely on while they agree.

use super::*;

fn outcome(store: &Store, name: &str, entry: Stamped, cause: Cause) -> PutOutcome {
    put(store, name, entry, cause)
}

fn look(store: &Store, name: &str) -> Found {
    store.look(HERE, &key(name), NOW)
}

fn rank(entry: &Stamped) -> Version {
    Version { value_hash: 0, ..entry.version() }
}

/// Everything up to the end of the last bucket that is over then.
fn agree(store: &Store, seconds: u64) {
    store.seal(HERE, tag(seconds));
    store.confirm(HERE, tag(seconds));
    store.settle(HERE, tag(seconds));
}

/// Lets the store do what is due, long after.
fn sweep(store: &Store, at: UnixMillis) {
    while store.expire(at, 7) == 7 {}
    store.check();
}

#[test]
fn what_comes_after_the_seal_is_refused_unless_some_owner_held_it_before() {
    let store = store(AMPLE, 0.1);
    put(&store, "a", small(5), Cause::User);
    store.seal(HERE, tag(10));
    let sealed = PutOutcome::Sealed { through: tag(10) };
    assert_eq!(outcome(&store, "a", small(5), Cause::Hint), PutOutcome::Unchanged { was_live: true });
    let by = small(5).version();
    assert_eq!(outcome(&store, "a", small(4), Cause::Hint), PutOutcome::Superseded { by, was_live: true });
    assert_eq!(outcome(&store, "a", small(6), Cause::User), sealed, "known keys too");
    for cause in [Cause::User, Cause::Hint] {
        assert_eq!(outcome(&store, "b", small(10), cause), sealed);
    }
    assert_eq!(look(&store, "b"), Found::Nothing);
    let stored = PutOutcome::Stored { was_live: false };
    assert_eq!(outcome(&store, "b", small(11), Cause::User), stored);
    assert_eq!(outcome(&store, "c", small(7), Cause::Round), stored);
    assert_eq!(
        outcome(&store, "d", small(7), Cause::Repair),
        stored,
        "another owner held it before the seal"
    );
    assert_eq!(store.stats().refused, Refused { sealed: 3, ..Refused::default() });
    assert_eq!(store.put(Vnode(1), &key("b"), small(5), Cause::User, NOW), stored, "other vnodes are open");
}

#[test]
fn nothing_installs_where_this_owner_has_confirmed_but_what_a_rebuild_pulls() {
    let store = store(AMPLE, 0.1);
    store.seal(HERE, tag(10));
    store.confirm(HERE, tag(10));
    for cause in [Cause::Round, Cause::Repair] {
        assert_eq!(outcome(&store, "a", small(7), cause), PutOutcome::Unchanged { was_live: false });
    }
    store.put_ghost(HERE, store.hash(&key("a")), small(7).version(), NOW);
    assert_eq!(look(&store, "a"), Found::Nothing);
    assert_eq!(outcome(&store, "a", small(7), Cause::Hint), PutOutcome::Sealed { through: tag(10) });
    assert_eq!(outcome(&store, "a", small(7), Cause::Rebuild), PutOutcome::Stored { was_live: false });
}

#[test]
fn a_change_of_expiry_counts_at_its_own_stamp_however_old_the_value_is() {
    let store = store(AMPLE, 0.1);
    put(&store, "a", small(5), Cause::User);
    store.seal(HERE, tag(10));
    let touched = |at| Stamped::live(tag(5), 1, None, Value::new("v").unwrap()).touched_at(tag(at));
    assert_eq!(outcome(&store, "a", touched(9), Cause::User), PutOutcome::Sealed { through: tag(10) });
    assert_eq!(outcome(&store, "a", touched(12), Cause::User), PutOutcome::Stored { was_live: true });
    assert_eq!(look(&store, "a"), Found::Held(touched(12)));
    let (listed, _) = store.list(HERE, Some(tag(10)), tag(15), None, 9, NOW);
    assert_eq!(listed.len(), 1, "it is what is new");
}

#[test]
fn what_is_evicted_before_it_settles_leaves_a_ghost_that_keeps_older_versions_out() {
    let store = store(100_000, 0.2);
    store.seal(HERE, tag(1));
    let large = |seconds| value(seconds, None, vec![0; 1_000]);
    put(&store, "a", large(5), Cause::User);
    for n in 0..120 {
        put(&store, &n.to_string(), large(5), Cause::User);
    }
    assert_eq!(look(&store, "a"), Found::Ghost(rank(&large(5))));
    assert_eq!(store.get(HERE, &key("a"), NOW), None);
    let stats = store.stats();
    assert_eq!((stats.ghosts, stats.ghosts_dropped, stats.markers), (stats.evictions, 0, 0));
    assert_eq!(stats.ghost_bytes, CHARGE * stats.ghosts, "{stats:?}");

    let by = rank(&large(5));
    assert_eq!(outcome(&store, "a", small(4), Cause::Repair), PutOutcome::Superseded { by, was_live: false });
    assert_eq!(outcome(&store, "a", large(5), Cause::Repair), PutOutcome::Unchanged { was_live: false });
    assert_eq!(outcome(&store, "a", small(6), Cause::User), PutOutcome::Stored { was_live: false });
    assert_eq!(look(&store, "a"), Found::Held(small(6)));
}

#[test]
fn what_is_settled_or_was_never_to_be_agreed_on_is_evicted_without_a_trace() {
    let (unsealed, settled) = (store_of(3, 0), store_of(3, 0));
    for store in [&unsealed, &settled] {
        for name in ["a", "b", "c"] {
            put(store, name, small(5), Cause::User);
        }
    }
    agree(&settled, 20);
    for store in [&unsealed, &settled] {
        put(store, "d", small(25), Cause::User);
        assert_eq!((look(store, "a"), store.stats().evictions, store.stats().ghosts), (Found::Nothing, 1, 0));
    }
}

#[test]
fn ghosts_and_tombstones_go_once_they_are_settled_and_markers_once_their_expiry_is_past_too() {
    let store = store(100_000, 0.2);
    store.seal(HERE, tag(1));
    let expires_at = UnixMillis(NOW.0 + 30_000);
    put(&store, "x", Stamped::marker(tag(5), 0, Some(expires_at)), Cause::User);
    put(&store, "y", Stamped::tombstone(tag(5)), Cause::User);
    for n in 0..120 {
        put(&store, &n.to_string(), value(5, None, vec![0; 1_000]), Cause::User);
    }
    let held = |store: &Store| (store.stats().ghosts, store.stats().markers);
    assert!(held(&store).0 > 0 && store.stats().ghosts_dropped == 0);
    agree(&store, 4);
    sweep(&store, NOW);
    assert_eq!(held(&store).1, 2, "nothing of theirs is settled");
    agree(&store, 15);
    assert_eq!(store.watermarks(HERE).settled, Some(BUCKET_OF.end(BUCKET_OF.of(tag(15)) - 1)));
    sweep(&store, UnixMillis(NOW.0 + BUCKET.as_millis() as u64));
    assert_eq!(held(&store), (0, 1));
    assert_eq!(look(&store, "y"), Found::Nothing);
    agree(&store, 40);
    sweep(&store, UnixMillis(NOW.0 + 2 * BUCKET.as_millis() as u64));
    assert_eq!(held(&store), (0, 0));
    let stats = store.stats();
    assert_eq!((stats.markers_dropped, stats.ghosts_dropped), (0, 0));
}

#[test]
fn a_pass_over_markers_that_are_not_settled_leaves_them_in_their_order() {
    let store = store(1 << 20, 3.5 * CHARGE as f64 / f64::from(1 << 20));
    store.seal(HERE, tag(1));
    for name in ["a", "b", "c"] {
        put(&store, name, Stamped::tombstone(tag(5)), Cause::User);
    }
    store.seal(Vnode(1), tag(20));
    store.confirm(Vnode(1), tag(20));
    store.settle(Vnode(1), tag(20));
    sweep(&store, NOW);
    put(&store, "d", Stamped::tombstone(tag(5)), Cause::User);
    assert_eq!(held(&store), "bcd", "the oldest goes first");
    assert!(store.pressure() > 0.8 && store.pressure() <= 1.0);
}

#[test]
fn owners_of_which_one_has_evicted_what_the_other_holds_agree() {
    let (large, small_one) = (store(1 << 20, 0.2), store(100_000, 0.2));
    for store in [&large, &small_one] {
        store.share_seed(99);
        store.seal(HERE, tag(1));
        for n in 0..120 {
            put(store, &n.to_string(), value(2 + n / 8, None, vec![n as u8; 1_000]), Cause::User);
        }
    }
    let stats = [large.stats(), small_one.stats()];
    assert!(stats[0].ghosts == 0 && stats[1].ghosts > 20 && stats[1].ghosts_dropped == 0, "{stats:?}");
    assert_eq!(large.digests(HERE), small_one.digests(HERE));
    let list = |store: &Store| {
        let (listed, _) = store.list(HERE, None, tag(100), None, 200, NOW);
        listed.iter().map(|listed| (listed.hash, listed.version.tag)).collect::<Vec<_>>()
    };
    assert_eq!(list(&large), list(&small_one));
    // What one of them misses shows, in its bucket alone.
    put(&large, "late", small(15), Cause::User);
    let differ = large.digests(HERE).into_iter().zip(small_one.digests(HERE)).filter(|(a, b)| a != b);
    let differ: Vec<_> = differ.map(|(digest, _)| digest.through).collect();
    assert_eq!(differ, [BUCKET_OF.end(BUCKET_OF.of(tag(15)))]);
    let hashes: Vec<_> = list(&large).into_iter().map(|(hash, _)| hash).collect();
    let missed: Vec<_> =
        hashes.into_iter().filter(|hash| !list(&small_one).iter().any(|(h, _)| h == hash)).collect();
    assert_eq!(large.fetch(HERE, &missed, 1_000, NOW), (vec![(key("late"), small(15))], 1));
}

#[test]
fn a_ghost_of_another_owner_removes_what_is_older_and_stands_where_nothing_is_held() {
    let store = store(AMPLE, 0.1);
    store.seal(HERE, tag(1));
    put(&store, "older", small(5), Cause::User);
    put(&store, "same", small(6), Cause::User);
    put(&store, "newer", small(7), Cause::User);
    let ghost = rank(&small(6));
    for name in ["older", "same", "newer", "absent"] {
        store.put_ghost(HERE, store.hash(&key(name)), ghost, NOW);
    }
    store.check();
    assert_eq!(look(&store, "older"), Found::Ghost(ghost));
    assert_eq!(look(&store, "same"), Found::Held(small(6)));
    assert_eq!(look(&store, "newer"), Found::Held(small(7)));
    assert_eq!(look(&store, "absent"), Found::Ghost(ghost));
    assert!(store.forget(HERE, &key("same"), tag(9)) && !store.forget(HERE, &key("absent"), tag(9)));
    assert_eq!(look(&store, "absent"), Found::Nothing);
}

#[test]
fn buckets_that_are_over_end_before_now() {
    let store = store(AMPLE, 0.1);
    let end = store.last_closed(NOW).unwrap();
    assert!(end.millis() < NOW && NOW.0 - end.millis().0 <= BUCKET.as_millis() as u64);
    assert_eq!(store.oldest_unsettled(HERE), None);
    put(&store, "a", small(5), Cause::User);
    let oldest = store.oldest_unsettled(HERE).unwrap();
    assert!(oldest >= tag(5) && oldest < tag(5 + BUCKET.as_secs() + 1));
}
