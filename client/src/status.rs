use crate::ClientError;
use shoal_proto::types::{HotKey, Key, NodeId, NodeReport, NodeStats, Phase};
use shoal_proto::wire::admin::v1 as admin;

/// The cluster as one node sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The node that answered.
    pub node_id: NodeId,
    /// The cluster's configured name.
    pub cluster: String,
    /// The cluster's agreed identity, 0 before there is a ring.
    pub cluster_id: u64,
    /// Epoch of the ring record, 0 without one.
    pub epoch: u64,
    /// How far the change to that epoch has come.
    pub phase: Phase,
    /// Vnodes in the ring.
    pub vnodes: u32,
    /// Owners per vnode.
    pub replicas: u32,
    /// Every node the answering one knows of, itself included.
    pub nodes: Vec<NodeStatus>,
    /// The answering node's own share.
    pub local: LocalStatus,
}

/// One node as the answering one sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    /// Its name.
    pub node_id: NodeId,
    /// Which start of the node this is.
    pub generation: u64,
    /// Its failure domain.
    pub zone: String,
    /// It is in the ring record.
    pub member: bool,
    /// It answers.
    pub live: bool,
    /// It says of itself that all its vnodes are rebuilt.
    pub ready: bool,
    /// Vnodes it owns in any position.
    pub owned_vnodes: u32,
    /// Where RESP clients reach it (`host:port`).
    pub resp_address: String,
    /// Where HTTP clients reach it.
    pub http_address: String,
    /// Where gRPC clients and peers reach it.
    pub grpc_address: String,
    /// Where gossip reaches it, over UDP.
    pub gossip_address: String,
    /// What it says of itself; `None` when it did not tell the answering node in time.
    pub report: Option<NodeReport>,
}

/// Counters of the answering node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LocalStatus {
    /// Live entries held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// The limit on them.
    pub max_bytes: u64,
    /// Reads that found a value.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Vnodes it owns.
    pub vnodes_owned: u32,
    /// Those that are rebuilt.
    pub vnodes_ready: u32,
    /// Hints kept for others.
    pub hints: u64,
    /// Their bytes.
    pub hint_bytes: u64,
}

impl TryFrom<admin::StatusResponse> for Status {
    type Error = ClientError;

    fn try_from(status: admin::StatusResponse) -> Result<Self, ClientError> {
        Ok(Self {
            node_id: node_id(&status.node_id)?,
            cluster: status.cluster,
            cluster_id: status.cluster_id,
            epoch: status.epoch,
            phase: Phase::from_number(status.phase)
                .ok_or_else(|| ClientError::Protocol(format!("unknown phase {}", status.phase)))?,
            vnodes: status.vnodes,
            replicas: status.replicas,
            nodes: status.nodes.into_iter().map(NodeStatus::try_from).collect::<Result<_, _>>()?,
            local: status.local.unwrap_or_default().into(),
        })
    }
}

impl TryFrom<admin::Node> for NodeStatus {
    type Error = ClientError;

    fn try_from(node: admin::Node) -> Result<Self, ClientError> {
        Ok(Self {
            node_id: node_id(&node.node_id)?,
            generation: node.generation,
            zone: node.zone,
            member: node.member,
            live: node.live,
            ready: node.ready,
            owned_vnodes: node.owned_vnodes,
            resp_address: node.resp_address,
            http_address: node.http_address,
            grpc_address: node.grpc_address,
            gossip_address: node.gossip_address,
            report: node.report.map(report).transpose()?,
        })
    }
}

impl From<admin::Local> for LocalStatus {
    fn from(local: admin::Local) -> Self {
        Self {
            entries: local.entries,
            bytes: local.bytes,
            max_bytes: local.max_bytes,
            hits: local.hits,
            misses: local.misses,
            vnodes_owned: local.vnodes_owned,
            vnodes_ready: local.vnodes_ready,
            hints: local.hints,
            hint_bytes: local.hint_bytes,
        }
    }
}

fn report(report: admin::Report) -> Result<NodeReport, ClientError> {
    let hot_key = |hot: admin::HotKey| {
        let key = Key::new(hot.key).map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(HotKey { key, per_second: hot.per_second })
    };
    Ok(NodeReport {
        stats: NodeStats {
            entries: report.entries,
            expiring: report.expiring,
            markers: report.markers,
            bytes: report.bytes,
            max_bytes: report.max_bytes,
            hits: report.hits,
            misses: report.misses,
            evictions: report.evictions,
            expirations: report.expirations,
            vnodes_owned: report.vnodes_owned,
            vnodes_ready: report.vnodes_ready,
            hints: report.hints,
            hint_bytes: report.hint_bytes,
            connections: report.connections,
            commands: report.commands,
            requests: report.requests,
            uptime_ms: report.uptime_ms,
        },
        requests_per_second: report.requests_per_second,
        hot_keys: report.hot_keys.into_iter().map(hot_key).collect::<Result<_, ClientError>>()?,
    })
}

pub(crate) fn node_id(text: &str) -> Result<NodeId, ClientError> {
    NodeId::new(text).map_err(|error| ClientError::Protocol(error.to_string()))
}
