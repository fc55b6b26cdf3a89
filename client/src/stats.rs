use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a client has done so far. Counters only grow, over all clones of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls begun.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Attempts beyond the first of a call, sent because an earlier one had failed or was slow.
    pub retries: u64,
    /// Reads sent to a second node after [`ClientConfig::hedge_after`](crate::ClientConfig::hedge_after).
    pub hedges: u64,
    /// Attempts that moved to another node before anything was sent.
    pub moves: u64,
    /// Retries and hedges that were not made because there had been too many.
    pub budget_exhausted: u64,
    /// Calls that found their node with too many calls in flight.
    pub crowded: u64,
    /// Breakers that opened.
    pub breaker_openings: u64,
    /// Tags that a node found too far ahead; it made its own.
    pub tags_refused: u64,
    /// Streams opened to nodes.
    pub streams_opened: u64,
    /// Topologies that were taken over, the first included.
    pub topology_changes: u64,
    /// Topologies that were refused: older ones, those of another cluster, those that made no sense.
    pub topologies_refused: u64,
    /// Values loaded by [`Client::get_or_load`](crate::Client::get_or_load), early ones included.
    pub loads: u64,
    /// Of them, those that were begun before the value had expired.
    pub early_loads: u64,
    /// Calls that were given what another call had loaded.
    pub shared_loads: u64,
    /// Epoch of the ring that is routed by, 0 without one.
    pub epoch: u64,
    /// Its phase, as a number.
    pub phase: u32,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: Counter,
    pub(crate) failures: Counter,
    pub(crate) retries: Counter,
    pub(crate) hedges: Counter,
    pub(crate) moves: Counter,
    pub(crate) budget_exhausted: Counter,
    pub(crate) crowded: Counter,
    pub(crate) breaker_openings: Counter,
    pub(crate) tags_refused: Counter,
    pub(crate) streams_opened: Counter,
    pub(crate) topology_changes: Counter,
    pub(crate) topologies_refused: Counter,
    pub(crate) loads: Counter,
    pub(crate) early_loads: Counter,
    pub(crate) shared_loads: Counter,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    pub(crate) fn read(&self, epoch: u64, phase: u32) -> Stats {
        Stats {
            calls: self.calls.read(),
            failures: self.failures.read(),
            retries: self.retries.read(),
            hedges: self.hedges.read(),
            moves: self.moves.read(),
            budget_exhausted: self.budget_exhausted.read(),
            crowded: self.crowded.read(),
            breaker_openings: self.breaker_openings.read(),
            tags_refused: self.tags_refused.read(),
            streams_opened: self.streams_opened.read(),
            topology_changes: self.topology_changes.read(),
            topologies_refused: self.topologies_refused.read(),
            loads: self.loads.read(),
            early_loads: self.early_loads.read(),
            shared_loads: self.shared_loads.read(),
            epoch,
            phase,
        }
    }
}
