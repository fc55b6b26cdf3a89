//! Settings that may change while the node runs. They begin as configured; `CONFIG SET` changes them, doors and the
//! coordinator read them whenever they need them, and nothing is written back to where they came from.
//!
//! `table` knows their names and bounds, `notation` how they are written.

mod notation;
mod table;

pub use table::SetError;

use crate::{config::NodeConfig, store::EvictionPolicy};
use shoal_proto::types::Consistency;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::sync::watch;

/// The live settings of one node, and what the others were at its start.
#[derive(Debug)]
pub struct Live {
    /// Milliseconds.
    request_timeout: AtomicU64,
    /// Places in [`Consistency::LEVELS`].
    read_consistency: AtomicU64,
    write_consistency: AtomicU64,
    /// Bytes.
    max_memory: AtomicU64,
    max_clients: AtomicU64,
    /// Seconds; 0 is never.
    idle_timeout: AtomicU64,
    tcp_keepalive: AtomicU64,
    /// Bytes; 0 is no limit.
    output_limit: AtomicU64,
    client_memory: AtomicU64,
    /// A place in [`notation::LOG_LEVELS`], or [`AS_STARTED`].
    log: AtomicU64,
    /// Owners per key, as configured.
    replicas: usize,
    eviction_policy: EvictionPolicy,
    /// Every setting as the node was told it at its start.
    told: Vec<(&'static str, String)>,
    changes: watch::Sender<()>,
}

/// The log follows the filter it was started with.
const AS_STARTED: u64 = u64::MAX;

impl Live {
    /// The settings as configured.
    #[must_use]
    pub fn new(config: &NodeConfig) -> Self {
        let clients = &config.clients;
        Self {
            request_timeout: AtomicU64::new(config.request_timeout.as_millis() as u64),
            read_consistency: AtomicU64::new(config.read_consistency as u64),
            write_consistency: AtomicU64::new(config.write_consistency as u64),
            max_memory: AtomicU64::new(config.max_memory),
            max_clients: AtomicU64::new(clients.max_clients as u64),
            idle_timeout: AtomicU64::new(clients.idle_timeout.as_secs()),
            tcp_keepalive: AtomicU64::new(clients.tcp_keepalive.as_secs()),
            output_limit: AtomicU64::new(clients.output_limit),
            client_memory: AtomicU64::new(clients.client_memory),
            log: AtomicU64::new(AS_STARTED),
            replicas: config.replicas,
            eviction_policy: config.eviction_policy,
            told: config.told.clone(),
            changes: watch::Sender::new(()),
        }
    }

    /// How long a request may take unless it says otherwise.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout.load(Relaxed))
    }

    /// The level of reads that name none.
    #[must_use]
    pub fn read_consistency(&self) -> Consistency {
        Consistency::LEVELS[self.read_consistency.load(Relaxed) as usize]
    }

    /// The level of writes that name none.
    #[must_use]
    pub fn write_consistency(&self) -> Consistency {
        Consistency::LEVELS[self.write_consistency.load(Relaxed) as usize]
    }

    /// Bytes of entries, index and markers.
    #[must_use]
    pub fn max_memory(&self) -> u64 {
        self.max_memory.load(Relaxed)
    }

    /// What is given up when memory is full. It does not change while the node runs: what is known of keys, and the lists
    /// they stand in, mean something under one policy alone.
    #[must_use]
    pub fn eviction_policy(&self) -> EvictionPolicy {
        self.eviction_policy
    }

    /// RESP connections served at once.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.max_clients.load(Relaxed) as usize
    }

    /// How long a RESP connection may stay without a command; `None` is for ever.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        seconds(&self.idle_timeout)
    }

    /// How long a connection is silent before the operating system asks whether its client is still there.
    #[must_use]
    pub fn tcp_keepalive(&self) -> Option<Duration> {
        seconds(&self.tcp_keepalive)
    }

    /// Bytes of replies a RESP client may leave unread.
    #[must_use]
    pub fn output_limit(&self) -> usize {
        bytes(&self.output_limit)
    }

    /// Bytes of requests and replies held for all RESP clients together.
    #[must_use]
    pub fn client_memory(&self) -> usize {
        bytes(&self.client_memory)
    }

    /// The level the log was set to; `None` while it follows the filter it was started with.
    #[must_use]
    pub fn log(&self) -> Option<&'static str> {
        notation::LOG_LEVELS.get(self.log.load(Relaxed) as usize).copied()
    }

    /// Tells whenever a setting was changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

fn seconds(setting: &AtomicU64) -> Option<Duration> {
    match setting.load(Relaxed) {
        0 => None,
        seconds => Some(Duration::from_secs(seconds)),
    }
}

fn bytes(setting: &AtomicU64) -> usize {
    match setting.load(Relaxed) {
        0 => usize::MAX,
        bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}
