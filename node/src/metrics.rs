//! The counters of one node, in a registry of its own: several nodes share a process in `dev` and in simulation.

use parking_lot::Mutex;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Everything a node counts outside its store.
pub struct Metrics {
    // Written once, read by scrapes.
    registry: Mutex<Registry>,
    /// Reads coordinated here.
    pub reads: Counter,
    /// Writes, deletes and changes of expiry coordinated here.
    pub writes: Counter,
    /// Requests that could not reach their level.
    pub unavailable: Counter,
    /// Requests whose deadline passed.
    pub timeouts: Counter,
    /// Requests begun anew because a replica knew a newer record or generation.
    pub stale_restarts: Counter,
    /// Writes that met a larger version.
    pub superseded: Counter,
    /// Reads that brought owners up to date before they answered.
    pub read_repairs: Counter,
    /// Deletes that met ONE where QUORUM was out of reach.
    pub degraded_deletes: Counter,
    /// Writes kept for an owner that could not be reached.
    pub hints_stored: Counter,
    /// Hints delivered.
    pub hints_replayed: Counter,
    /// Hints not kept because the bound was reached.
    pub hints_dropped: Counter,
    /// Hints dropped for their age.
    pub hints_expired: Counter,
    /// Entries taken over from co-owners after a restart.
    pub rebuild_entries: Counter,
    /// Vnodes rebuilt.
    pub rebuild_vnodes: Counter,
    /// Vnodes that went on with what survived because too few owners still held memory.
    pub rebuild_lost_vnodes: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("shoal");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            reads: counter("coordinator_reads", "Reads coordinated by this node"),
            writes: counter(
                "coordinator_writes",
                "Writes, deletes and changes of expiry coordinated by this node",
            ),
            unavailable: counter(
                "coordinator_unavailable",
                "Requests that could not reach their consistency level",
            ),
            timeouts: counter("coordinator_timeouts", "Requests whose deadline passed"),
            stale_restarts: counter(
                "coordinator_stale_restarts",
                "Requests begun anew after a stale-stamp refusal",
            ),
            superseded: counter("coordinator_superseded", "Writes that met a larger version"),
            read_repairs: counter(
                "read_repairs",
                "Reads that brought owners up to date before they answered",
            ),
            degraded_deletes: counter(
                "degraded_deletes",
                "Deletes that met ONE where QUORUM was out of reach",
            ),
            hints_stored: counter("hints_stored", "Writes kept for an owner that could not be reached"),
            hints_replayed: counter("hints_replayed", "Hints delivered to their owner"),
            hints_dropped: counter("hints_dropped", "Hints not kept because their bound was reached"),
            hints_expired: counter("hints_expired", "Hints dropped for their age"),
            rebuild_entries: counter("rebuild_entries", "Entries taken over from co-owners after a restart"),
            rebuild_vnodes: counter("rebuild_vnodes", "Vnodes rebuilt"),
            rebuild_lost_vnodes: counter("rebuild_lost_vnodes", "Vnodes reset to what survived"),
            registry: Mutex::new(registry),
        }
    }
}

impl Metrics {
    /// Adds metrics of other parts of the node.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock());
    }

    /// Everything in OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry.lock()) {
            Ok(()) => text,
            Err(error) => format!("# cannot encode metrics: {error}\n"),
        }
    }
}
