//! The hybrid clock that makes tags.

use parking_lot::Mutex;
use shoal_proto::types::{Tag, UnixMillis, WriterId};

/// A hybrid logical clock (Kulkarni et al., 2014): as close to wall time as possible, never backwards, always past
/// every tag it has seen. A counter that is full borrows the next millisecond.
#[derive(Debug, Default)]
pub struct HybridClock {
    // Held for a few instructions; never across an await.
    ticks: Mutex<u64>,
}

impl HybridClock {
    /// Makes a tag larger than every tag made or seen here; `None` after the year 2109.
    pub fn tick(&self, now: UnixMillis, writer: WriterId) -> Option<Tag> {
        let mut ticks = self.ticks.lock();
        *ticks = Tag::first_tick(now).max(*ticks + 1);
        Tag::from_ticks(*ticks, writer)
    }

    /// Merges a tag that was seen, without ticking.
    pub fn observe(&self, tag: Tag) {
        let mut ticks = self.ticks.lock();
        *ticks = tag.ticks().max(*ticks);
    }

    /// The largest tick made or seen.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        *self.ticks.lock()
    }

    /// The clock's reading in milliseconds: wall time, or what it has seen if that is ahead.
    #[must_use]
    pub fn read(&self, now: UnixMillis) -> UnixMillis {
        now.max(UnixMillis(*self.ticks.lock() >> 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tags_grow_whatever_the_wall_clock_and_the_peers_do(
            steps in proptest::collection::vec((0u64..1 << 41, proptest::option::of(0u64..1 << 51)), 1..50)
        ) {
            let clock = HybridClock::default();
            let writer = WriterId::member(3).unwrap();
            let mut last = 0;
            for (wall, seen) in steps {
                if let Some(seen) = seen.and_then(|ticks| Tag::from_ticks(ticks, WriterId::client(9))) {
                    clock.observe(seen);
                    last = last.max(seen.ticks());
                }
                let tag = clock.tick(UnixMillis(wall), writer).unwrap();
                prop_assert!(tag.ticks() > last);
                prop_assert!(tag.millis() >= UnixMillis(wall));
                last = tag.ticks();
            }
        }
    }
}
