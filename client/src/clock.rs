//! Makes tags from the cluster's time, whatever the client's own clock says.

use shoal_proto::types::{Tag, UnixMillis, WriterId};
use std::time::Duration;

/// A reading that may be older than this is believed only where it is ahead of what is known.
const PROMPT: Duration = Duration::from_millis(50);

/// The cluster's hybrid clock as far as answers tell: the last reading plus the time since, and past every tag made or
/// seen here. Nodes refuse tags that are far ahead of their own clocks, so a client's wall clock would not do.
///
/// Times are counted from any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct ClusterClock {
    /// What the node said, and when.
    reading: Option<(UnixMillis, Duration)>,
    /// The largest tick made or seen.
    ticks: u64,
}

impl ClusterClock {
    /// A node said what its clock reads, at most `age` ago. Zero says nothing.
    pub(crate) fn hear(&mut self, reading: UnixMillis, age: Duration, now: Duration) {
        let is_ahead = self.read(now).is_none_or(|known| reading > known);
        if reading.0 > 0 && (is_ahead || age <= PROMPT) {
            self.reading = Some((reading, now));
        }
    }

    /// An answer named this tag.
    pub(crate) fn observe(&mut self, tag: Tag) {
        self.ticks = self.ticks.max(tag.ticks());
    }

    /// The cluster's time; `None` until a node has told it.
    pub(crate) fn read(&self, now: Duration) -> Option<UnixMillis> {
        let (reading, at) = self.reading?;
        reading.checked_add(now.saturating_sub(at))
    }

    /// Makes a tag larger than every tag made or seen here; `None` until a node has told the time.
    pub(crate) fn tick(&mut self, now: Duration, writer: WriterId) -> Option<Tag> {
        let ticks = Tag::first_tick(self.read(now)?).max(self.ticks + 1);
        let tag = Tag::from_ticks(ticks, writer)?;
        self.ticks = ticks;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ME: fn() -> WriterId = || WriterId::client(9);

    proptest! {
        #[test]
        fn tags_grow_whatever_nodes_say(
            steps in proptest::collection::vec(
                (0u64..100, proptest::option::of(0u64..1 << 40), proptest::option::of(0u64..1 << 50)), 1..80)
        ) {
            let mut clock = ClusterClock::default();
            let (mut now, mut last) = (Duration::ZERO, 0);
            for (pause, reading, seen) in steps {
                now += Duration::from_millis(pause);
                if let Some(reading) = reading {
                    clock.hear(UnixMillis(reading), Duration::from_millis(pause), now);
                }
                if let Some(tag) = seen.and_then(|ticks| Tag::from_ticks(ticks, ME())) {
                    clock.observe(tag);
                    last = last.max(tag.ticks());
                }
                if let Some(tag) = clock.tick(now, ME()) {
                    prop_assert!(tag.ticks() > last);
                    prop_assert!(Some(tag.millis()) >= clock.read(now));
                    last = tag.ticks();
                }
            }
        }
    }

    #[test]
    fn time_goes_on_from_the_last_reading() {
        let mut clock = ClusterClock::default();
        assert_eq!((clock.read(Duration::ZERO), clock.tick(Duration::ZERO, ME())), (None, None));
        clock.hear(UnixMillis(0), Duration::ZERO, Duration::ZERO);
        assert_eq!(clock.read(Duration::ZERO), None);
        clock.hear(UnixMillis(5_000), Duration::ZERO, Duration::from_millis(10));
        assert_eq!(clock.read(Duration::from_millis(25)), Some(UnixMillis(5_015)));
        let tag = clock.tick(Duration::from_millis(25), ME()).unwrap();
        assert_eq!((tag.millis(), tag.writer()), (UnixMillis(5_015), ME()));
        // A node whose clock is behind does not turn back what was made.
        clock.hear(UnixMillis(4_000), Duration::ZERO, Duration::from_millis(30));
        assert_eq!(clock.read(Duration::from_millis(30)), Some(UnixMillis(4_000)));
        assert!(clock.tick(Duration::from_millis(30), ME()).unwrap() > tag);
    }

    #[test]
    fn a_reading_that_was_long_on_its_way_never_turns_time_back() {
        let mut clock = ClusterClock::default();
        let now = Duration::from_secs(10);
        clock.hear(UnixMillis(50_000), Duration::from_secs(9), now);
        assert_eq!(clock.read(now), Some(UnixMillis(50_000)));
        clock.hear(UnixMillis(41_000), Duration::from_secs(9), now);
        assert_eq!(clock.read(now), Some(UnixMillis(50_000)));
        clock.hear(UnixMillis(51_000), Duration::from_secs(9), now);
        assert_eq!(clock.read(now), Some(UnixMillis(51_000)));
    }
}
