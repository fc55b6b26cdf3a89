//! Where clients and the nemesis write down what they do, as it happens.

use crate::{
    evidence::Incident,
    history::{Operation, SimTime},
};
use madsim::{net::NetSim, time::TimeHandle};
use shoal_proto::types::UnixMillis;
use std::{
    fmt::Display,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use xxhash_rust::xxh3::Xxh3Default;

/// The record of one run. The hash over it covers times, and with the packet count everything nodes said to each
/// other up to each entry.
pub(crate) struct Journal {
    time: TimeHandle,
    net: std::sync::Arc<NetSim>,
    // Held to push one entry; never across an await.
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    operations: Vec<Operation>,
    incidents: Vec<Incident>,
    trace: Xxh3Default,
}

impl Journal {
    /// An empty journal of the current simulation.
    pub(crate) fn new() -> Self {
        Self { time: TimeHandle::current(), net: NetSim::current(), entries: Mutex::default() }
    }

    /// True simulated time.
    pub(crate) fn now(&self) -> SimTime {
        SimTime(0).plus(self.time.elapsed())
    }

    /// The true Unix time at which the run began.
    pub(crate) fn epoch(&self) -> UnixMillis {
        let since_1970 = self.time.now_time().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let before = since_1970.saturating_sub(self.time.elapsed());
        UnixMillis(u64::try_from(before.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long the run has lasted.
    pub(crate) fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    /// Packets sent so far.
    pub(crate) fn messages(&self) -> u64 {
        self.net.stat().msg_count
    }

    /// A call returned.
    pub(crate) fn operation(&self, operation: Operation) {
        self.trace(&operation);
        self.lock().operations.push(operation);
    }

    /// A fault is over.
    pub(crate) fn incident(&self, incident: Incident) {
        self.trace(&format!("{incident:?}"));
        self.lock().incidents.push(incident);
    }

    /// Anything else that two runs of one seed must share.
    pub(crate) fn trace(&self, entry: &impl Display) {
        let line = format!("{} {} {entry}\n", self.now(), self.messages());
        tracing::debug!(target: "journal", "{}", line.trim_end());
        self.lock().trace.update(line.as_bytes());
    }

    /// Hands out what was written, and its hash.
    pub(crate) fn close(&self) -> (Vec<Operation>, Vec<Incident>, String) {
        let entries = mem::take(&mut *self.lock());
        (entries.operations, entries.incidents, format!("{:016x}", entries.trace.digest()))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
