//! What one node counts, in a registry of its own: several nodes share a process in `dev` and in simulation.
//!
//! - [`requests`] counts what doors answer, on the hot path.
//! - [`Metrics`] holds the counters of everything rarer.
//! - [`Family`] tells numbers that other parts keep themselves, read when a scrape comes.

mod connections;
mod handshakes;
mod histogram;
mod process;
mod refusals;
pub mod requests;
mod sample;
mod table;

pub use connections::{Connections, Ending, Place};
pub use handshakes::{HandshakeFailure, SecuredDoor};
pub use histogram::Histogram;
pub use process::resident_bytes;
pub use refusals::{DoorRefusals, Refused};
pub use requests::{DoorName, DoorRequests, Failure, Operation, Requests, Tally};
pub use sample::{Family, Value};
pub use table::{Counters, Label, Labels};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::text,
    metrics::counter::Counter,
    registry::{Metric, Registry},
};
use sample::Scrape;
use shoal_proto::types::Consistency;
use std::fmt;

/// Everything a node counts outside its store.
pub struct Metrics {
    // Written once, read by scrapes.
    registry: Mutex<Registry>,
    /// Requests of clients, by door.
    pub requests: Requests,
    /// Clients that were not let in, or not let do what they asked for.
    pub auth_refused: Counters<(DoorName, Refused)>,
    /// Requests that could not reach their level.
    pub unavailable: Counters<Consistency>,
    /// Requests whose deadline passed.
    pub timeouts: Counters<Consistency>,
    /// Requests begun anew because a replica knew a newer record or generation.
    pub stale_restarts: Counters<Consistency>,
    /// Writes that met a larger version.
    pub superseded: Counters<Consistency>,
    /// Reads that brought owners up to date before they answered.
    pub read_repairs: Counters<Consistency>,
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
    /// TLS handshakes that led to a connection.
    pub handshakes: Counters<SecuredDoor>,
    /// TLS handshakes that did not.
    pub handshakes_failed: Counters<(SecuredDoor, HandshakeFailure)>,
    /// Vnodes that went on with what survived because too few owners still held memory.
    pub rebuild_lost_vnodes: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("shoal");
        let r = &mut registry;
        Self {
            requests: Requests::new(r),
            auth_refused: added(
                r,
                "auth_refused",
                "Clients and requests refused for what they have not proven or may not do",
            ),
            unavailable: added(r, "coordinator_unavailable", "Requests whose level was out of reach"),
            timeouts: added(r, "coordinator_timeouts", "Requests whose deadline passed"),
            stale_restarts: added(
                r,
                "coordinator_stale_restarts",
                "Requests begun anew because a replica knew a newer ring or generation",
            ),
            superseded: added(r, "coordinator_superseded", "Writes that met a larger version"),
            read_repairs: added(
                r,
                "read_repairs",
                "Reads that brought owners up to date before they answered",
            ),
            degraded_deletes: added(
                r,
                "degraded_deletes",
                "Deletes that met ONE where QUORUM was out of reach",
            ),
            hints_stored: added(r, "hints_stored", "Writes kept for an owner that could not be reached"),
            hints_replayed: added(r, "hints_replayed", "Hints delivered to their owner"),
            hints_dropped: added(r, "hints_dropped", "Hints not kept because their bound was reached"),
            hints_expired: added(r, "hints_expired", "Hints dropped for their age"),
            rebuild_entries: added(r, "rebuild_entries", "Entries taken over from co-owners after a restart"),
            rebuild_vnodes: added(r, "rebuild_vnodes", "Vnodes rebuilt"),
            handshakes: added(r, "tls_handshakes", "TLS handshakes that led to a connection"),
            handshakes_failed: added(
                r,
                "tls_handshakes_failed",
                "TLS handshakes that led to none, whose clients were let go",
            ),
            rebuild_lost_vnodes: added(r, "rebuild_lost_vnodes", "Vnodes reset to what survived"),
            registry: Mutex::new(registry),
        }
    }
}

fn added<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Everything in OpenMetrics text, together with what was `sampled` for it and what the process uses.
    #[must_use]
    pub fn text(&self, sampled: Vec<Family>) -> String {
        let mut text = String::new();
        match self.write(&mut text, sampled) {
            Ok(()) => text,
            Err(error) => format!("# cannot encode metrics: {error}\n"),
        }
    }

    fn write(&self, text: &mut String, sampled: Vec<Family>) -> fmt::Result {
        text::encode_registry(text, &self.registry.lock())?;
        let mut registry = Registry::with_prefix("shoal");
        registry.register_collector(Box::new(Scrape(sampled)));
        text::encode_registry(text, &registry)?;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(process::families())));
        text::encode_registry(text, &registry)?;
        text::encode_eof(text)
    }
}
