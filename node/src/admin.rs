//! What a node tells of itself and its cluster, read-only: for `INFO`, `CLUSTER`, `status`, clients that route by
//! themselves, and the health endpoints.

pub use shoal_proto::types::{HotKey, NodeReport, NodeStats, PeerLink};

use futures::{future::BoxFuture, stream::BoxStream};
use shoal_proto::types::NodeId;
use std::collections::BTreeMap;

/// A run of hash slots with the same owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRange {
    /// First slot.
    pub start: u16,
    /// Last slot.
    pub end: u16,
    /// Owners in preference order.
    pub owners: Vec<NodeAddress>,
}

/// A node and its RESP door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its name.
    pub node_id: NodeId,
    /// 40 hex digits that stand for the name where Redis clients expect such.
    pub redis_id: String,
    /// Host of the RESP door.
    pub host: String,
    /// Port of the RESP door.
    pub port: u16,
}

/// One node as seen by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// What it publishes.
    pub info: shoal_membership::NodeInfo,
    /// It is in the ring record.
    pub member: bool,
    /// Worth asking.
    pub live: bool,
    /// Vnodes it owns in any position.
    pub owned_vnodes: u32,
}

/// Who owns which keys and where they are: what a client needs to route by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The agreed identity, 0 without a ring.
    pub cluster_id: u64,
    /// Epoch of the ring record, 0 without one.
    pub epoch: u64,
    /// Phase of the ring record.
    pub phase: u32,
    /// The hash that stands for the record in gossip, 0 without one.
    pub digest: u64,
    /// Owners per vnode.
    pub replicas: u32,
    /// Members in the order that `owners` counts them, then the gateways.
    pub nodes: Vec<TopologyNode>,
    /// The preference lists of all vnodes laid end to end.
    pub owners: Vec<u16>,
}

/// A node as a client needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyNode {
    /// Its name.
    pub node_id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// Where its gRPC door is; empty while unknown.
    pub grpc_address: String,
    /// Worth asking.
    pub live: bool,
    /// All its vnodes are rebuilt.
    pub ready: bool,
    /// It is in the ring record.
    pub member: bool,
    /// Relative share of the data.
    pub capacity: u32,
}

/// The cluster as the node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The configured name.
    pub cluster: String,
    /// The agreed identity, 0 without a ring.
    pub cluster_id: u64,
    /// Epoch of the ring record, 0 without one.
    pub epoch: u64,
    /// Phase of the ring record.
    pub phase: u32,
    /// Vnodes in the ring.
    pub vnodes: u32,
    /// Owners per vnode.
    pub replicas: u32,
    /// The answering node.
    pub me: NodeId,
    /// All nodes known.
    pub nodes: Vec<NodeStatus>,
}

/// Read-only facts for the front ends.
pub trait ClusterInfo: Send + Sync + 'static {
    /// This node.
    fn me(&self) -> NodeAddress;
    /// 40 hex digits that stand for a node's name where Redis clients expect such.
    fn redis_id(&self, node: &NodeId) -> String;
    /// The hash slot of a key.
    fn key_slot(&self, key: &[u8]) -> u16;
    /// Slot ranges with their owners; empty before there is a ring.
    fn slot_ranges(&self) -> Vec<SlotRange>;
    /// This node's counters.
    fn stats(&self) -> NodeStats;
    /// The cluster as this node sees it.
    fn status(&self) -> ClusterStatus;
    /// What every node that answers in time says of itself, this one included. However many ask, the other nodes are
    /// asked once for all within a second.
    fn survey(&self) -> BoxFuture<'_, BTreeMap<NodeId, NodeReport>>;
    /// The streams to and from other nodes that stand.
    fn links(&self) -> Vec<PeerLink>;
    /// Who owns which keys: as it is now, and again whenever it changes.
    fn topologies(&self) -> BoxStream<'static, Topology>;
    /// The node has its record and every vnode it owns is rebuilt.
    fn is_ready(&self) -> bool;
    /// Resident memory of the process in bytes, where the operating system tells.
    fn resident_bytes(&self) -> Option<u64>;
    /// All counters in Prometheus text.
    fn metrics_text(&self) -> String;
}
