//! Many threads do everything at once.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: u64 = 8;
const STEPS: u64 = 6_000;
const KEYS: u64 = 3_000;
/// Too little for all of them.
const LIMIT: u64 = 2_500_000;

/// Random numbers of a thread.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The value of a version says which it is, at some length.
fn value_of(tag: Tag, n: u64) -> Value {
    let len = if n.is_multiple_of(10) { 6_000 } else { 8 + n as usize % 200 };
    Value::new(tag.to_bits().to_le_bytes().repeat(len / 8)).unwrap()
}

fn tag_of(millis: u64, thread: u64) -> Tag {
    let ticks = Tag::first_tick(UnixMillis(NOW.0 + millis));
    Tag::from_ticks(ticks, WriterId::member(thread as u16 + 1).unwrap()).unwrap()
}

fn ghost_of(tag: Tag) -> Version {
    Version { tag, dead: false, touch: 0, expires_at: None, touched_at: None, value_hash: 0 }
}

/// Nobody is ever shown a value that has expired, or one that belongs to another version.
fn expect_sound(found: &Found, now: UnixMillis) {
    if let Found::Held(entry) = found
        && let Some(value) = entry.value()
    {
        assert!(!entry.version().is_past(now), "an expired value");
        assert_eq!(value.as_bytes()[..8], entry.version().tag.to_bits().to_le_bytes());
    }
}

fn work(store: &Store, clock: &AtomicU64, thread: u64) {
    let mut draws = Draws(0x9E37_79B9 * (thread + 1));
    for _ in 0..STEPS {
        let millis = clock.fetch_add(1, Ordering::Relaxed);
        let (now, tag) = (UnixMillis(NOW.0 + millis), tag_of(millis, thread));
        let n = draws.below(KEYS);
        let (vnode, key) = (Vnode((n % 4) as u16), key(&n.to_string()));
        let past = |ago: u64| tag_of(millis.saturating_sub(ago), 0);
        match draws.below(100) {
            0..40 => expect_sound(&store.read(vnode, &key, now), now),
            40..80 => {
                let expires_at = (draws.below(3) == 0).then(|| UnixMillis(now.0 + draws.below(3_000)));
                let entry = Stamped::live(tag, 0, expires_at, value_of(tag, n));
                let outcome = store.put(vnode, &key, entry.clone(), Cause::User, now);
                if matches!(outcome, PutOutcome::Stored { .. }) {
                    let newest = match store.look(vnode, &key, now) {
                        Found::Held(held) => Some(held.version().stamp()),
                        Found::Ghost(version) => Some(version.stamp()),
                        Found::Nothing => None,
                    };
                    assert!(
                        newest.is_none_or(|newest| newest >= tag),
                        "what was stored is held, or something newer"
                    );
                }
            }
            80..86 => drop(store.put(vnode, &key, Stamped::tombstone(tag), Cause::User, now)),
            86..90 => drop(store.scan(vnode, Some(draws.below(u64::MAX)), 4_000, now)),
            90..92 => drop(store.list(vnode, Some(past(9_000)), tag, None, 50, now)),
            92..95 => drop(store.expire(now, 200)),
            95 => store.seal(vnode, past(3_000)),
            96 => store.confirm(vnode, past(5_000)),
            97 => store.settle(vnode, past(7_000)),
            98 => store.put_ghost(vnode, store.hash(&key), ghost_of(tag), now),
            _ => store.set_max_bytes(LIMIT + draws.below(LIMIT / 2)),
        }
    }
}

#[test]
fn eight_threads_leave_a_store_in_which_everything_fits_together() {
    for policy in [EvictionPolicy::WTinyLfu, EvictionPolicy::S3Fifo] {
        let (store, clock) = (store_by(policy, 2 * STORE_SHARD_BYTES, 0.05), AtomicU64::new(0));
        store.set_max_bytes(LIMIT);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, clock) = (&store, &clock);
                scope.spawn(move || work(store, clock, thread));
            }
        });
        store.check();
        let stats = store.stats();
        assert!(stats.evictions > 0 && stats.expirations > 0 && stats.settled > 0, "{stats:?}");
        // What is held, ghosts too, comes to what the digests say, whoever put it there.
        let now = UnixMillis(NOW.0 + clock.load(Ordering::Relaxed));
        for vnode in (0..4).map(Vnode) {
            let digests = store.digests(vnode);
            let through = digests.last().map_or(tag_of(0, 0), |digest| digest.through);
            let floor = store.watermarks(vnode).settled;
            let (listed, next) = store.list(vnode, floor, through, None, usize::MAX, now);
            assert_eq!(next, None);
            let counted: u64 = digests.iter().map(|digest| digest.count).sum();
            assert_eq!(listed.len() as u64, counted);
            let sum = |sum: u64, listed: &Listed| {
                sum.wrapping_add(digest::of_version(listed.hash, &listed.version))
            };
            let sums = digests.iter().fold(0u64, |sum, digest| sum.wrapping_add(digest.sum));
            assert_eq!(listed.iter().fold(0, sum), sums);
        }
    }
}
