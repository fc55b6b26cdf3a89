//! What a node publishes about itself.

use shoal_proto::types::{NodeId, Phase};

/// Where a node's doors are, as others should dial them (`host:port`).
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Addresses {
    /// UDP gossip.
    pub gossip: String,
    /// gRPC: peers and clients.
    pub grpc: String,
    /// RESP clients.
    pub resp: String,
    /// HTTP clients, metrics and health.
    pub http: String,
}

/// One node as gossip tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub node_id: NodeId,
    /// Which start of the node this is.
    pub generation: u64,
    /// Its doors.
    pub addresses: Addresses,
    /// Its failure domain.
    pub zone: String,
    /// Relative share of the data it asks for; 100 is the default.
    pub capacity: u32,
    /// Epoch, phase and digest of its ring record, once it has one.
    pub ring: Option<RingDigest>,
    /// All vnodes it owns are rebuilt.
    pub ready: bool,
    /// The failure detector's opinion. A hint about whom to ask first, never about ownership.
    pub live: bool,
}

/// A ring record in 20 bytes of gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingDigest {
    /// The record's epoch.
    pub epoch: u64,
    /// Its phase.
    pub phase: Phase,
    /// Hash of the record.
    pub digest: u64,
}
