//! What a node can be told. [`NodeConfig`] is valid by the time a node sees it: files, environment and flags are read
//! and checked elsewhere.

use crate::{auth::Credentials, limits, store::EvictionPolicy, tls::Tls};
use shoal_membership::{Addresses, Secrets, config::GossipConfig};
use shoal_proto::types::{Consistency, NodeId};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// What becomes of a vnode when too few owners still hold memory of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// Go on with what survives, counted and logged.
    Reset,
    /// Leave the vnode unanswered until the owners return.
    Stop,
}

/// Sockets a node binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddresses {
    /// RESP clients.
    pub resp: SocketAddr,
    /// HTTP clients, metrics, health.
    pub http: SocketAddr,
    /// gRPC: peers and clients.
    pub grpc: SocketAddr,
    /// UDP gossip.
    pub gossip: SocketAddr,
}

/// What clients of the RESP door are granted at first; see [`Live`](crate::live::Live).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGrants {
    /// Connections served at once.
    pub max_clients: usize,
    /// How long a connection may stay without a command; zero is for ever.
    pub idle_timeout: Duration,
    /// How long a connection is silent before the operating system asks after its client; zero is for ever.
    pub tcp_keepalive: Duration,
    /// Bytes of replies one client may leave unread; 0 is no limit.
    pub output_limit: u64,
    /// Bytes of requests and replies held for all clients together; 0 is no limit.
    pub client_memory: u64,
}

impl Default for ClientGrants {
    fn default() -> Self {
        Self {
            max_clients: limits::RESP_CLIENTS,
            idle_timeout: Duration::ZERO,
            tcp_keepalive: Duration::from_secs(limits::TCP_KEEPALIVE),
            output_limit: limits::RESP_UNREAD_BYTES as u64,
            client_memory: limits::RESP_CLIENT_BYTES as u64,
        }
    }
}

/// Everything one node is configured with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The cluster's name; nodes of different names do not talk.
    pub cluster: String,
    /// What nodes of the cluster prove to each other; without any, everything stays on loopback. May be replaced while
    /// the node runs.
    pub secrets: Secrets,
    /// How the TCP doors and the streams to peers are secured; `None` leaves them in the clear. May be replaced, too.
    pub tls: Option<Arc<Tls>>,
    /// What clients are asked for; without any, everybody who reaches a door may do everything.
    pub credentials: Credentials,
    /// The node's name.
    pub node_id: NodeId,
    /// Gossip addresses (`host:port`) of the first members.
    pub seeds: Vec<String>,
    /// The node's failure domain.
    pub zone: String,
    /// Relative share of the data; 100 is the default.
    pub capacity: u32,
    /// Where the doors are bound.
    pub listen: ListenAddresses,
    /// Where others reach them.
    pub advertise: Addresses,
    /// Timing of gossip.
    pub gossip: GossipConfig,
    /// Owners per key when this node founds a cluster.
    pub replicas: usize,
    /// Vnodes when this node founds a cluster: a power of two.
    pub vnodes: u16,
    /// Level of reads that name none.
    pub read_consistency: Consistency,
    /// Level of writes that name none.
    pub write_consistency: Consistency,
    /// How long a request may take unless it says otherwise.
    pub request_timeout: Duration,
    /// How long a read waits for the owners it asked before it asks another.
    pub read_patience: Duration,
    /// Bytes of entries, index and markers.
    pub max_memory: u64,
    /// What is given up when they are full.
    pub eviction_policy: EvictionPolicy,
    /// How long a rebuild waits for enough owners that hold memory.
    pub rebuild_patience: Duration,
    /// What happens then.
    pub on_loss: OnLoss,
    /// What clients of the RESP door are granted.
    pub clients: ClientGrants,
    /// Every setting as it was written, by name, for those who ask the node.
    pub told: Vec<(&'static str, String)>,
}
