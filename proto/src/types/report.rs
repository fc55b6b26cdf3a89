use super::{Key, NodeId};
use std::time::Duration;

/// Counters of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeStats {
    /// Live entries held.
    pub entries: u64,
    /// Those of them that expire.
    pub expiring: u64,
    /// Tombstones and expired markers held.
    pub markers: u64,
    /// Bytes held: entries, markers, index.
    pub bytes: u64,
    /// The limit on them.
    pub max_bytes: u64,
    /// Reads that found a value.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Entries evicted.
    pub evictions: u64,
    /// Entries expired.
    pub expirations: u64,
    /// Vnodes this node owns.
    pub vnodes_owned: u32,
    /// Those it votes for.
    pub vnodes_ready: u32,
    /// Hints kept for others.
    pub hints: u64,
    /// Their bytes.
    pub hint_bytes: u64,
    /// Connections open at the RESP door.
    pub connections: u64,
    /// Commands served.
    pub commands: u64,
    /// Requests of clients coordinated, by every door.
    pub requests: u64,
    /// Milliseconds since start.
    pub uptime_ms: u64,
}

/// What one node says of itself when another asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeReport {
    /// Its counters.
    pub stats: NodeStats,
    /// Requests of clients per second over the last seconds.
    pub requests_per_second: f64,
    /// The keys it coordinates most requests for, the hottest first.
    pub hot_keys: Vec<HotKey>,
}

/// A key with many requests.
#[derive(Debug, Clone, PartialEq)]
pub struct HotKey {
    /// The key.
    pub key: Key,
    /// Requests per second, estimated from a sample.
    pub per_second: f64,
}

/// A stream between two nodes that stands, as one of them tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerLink {
    /// The node at the other end.
    pub node: NodeId,
    /// The telling node dialled it.
    pub dialled: bool,
    /// For how long it has stood.
    pub age: Duration,
}
