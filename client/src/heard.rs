//! What nodes tell beside their answers: the time, and which cluster they belong to.

use crate::clock::ClusterClock;
use parking_lot::Mutex;
use shoal_proto::types::{Tag, UnixMillis, WriterId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Shared by everything that listens to nodes.
#[derive(Debug)]
pub(crate) struct Heard {
    began: Instant,
    /// 0 until a node with a ring was met.
    cluster_id: AtomicU64,
    // Held for a few instructions; never across an await.
    clock: Mutex<ClusterClock>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), cluster_id: AtomicU64::new(0), clock: Mutex::default() }
    }

    /// Time since the client began: what all decisions count from.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A node said, at most `age` ago, what its hybrid clock reads in Unix milliseconds.
    pub(crate) fn clock(&self, clock_ms: u64, age: Duration) {
        self.clock.lock().hear(UnixMillis(clock_ms), age, self.now());
    }

    /// An answer named this tag.
    pub(crate) fn tag(&self, tag: Tag) {
        self.clock.lock().observe(tag);
    }

    /// The cluster's time, if a node has told it.
    pub(crate) fn cluster_time(&self) -> Option<UnixMillis> {
        self.clock.lock().read(self.now())
    }

    /// A tag for a new write, if a node has told the time.
    pub(crate) fn next_tag(&self, writer: WriterId) -> Option<Tag> {
        self.clock.lock().tick(self.now(), writer)
    }

    /// Whether a node of this cluster may be talked to. The first one that has a ring decides which cluster it is;
    /// whoever has no ring belongs to none yet.
    pub(crate) fn admits(&self, cluster_id: u64) -> bool {
        if cluster_id == 0 {
            return true;
        }
        let met = self.cluster_id.compare_exchange(0, cluster_id, Ordering::AcqRel, Ordering::Acquire);
        met.is_ok() || met == Err(cluster_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ring_that_is_met_decides_which_cluster_it_is() {
        let heard = Heard::new();
        assert!(heard.admits(0) && heard.admits(7) && heard.admits(7) && heard.admits(0));
        assert!(!heard.admits(8));
    }
}
