//! The whole cluster as one JSON document: what the page shows.

use super::{
    percent,
    route::{Answer, Form, Route, Served},
};
use crate::{
    admin::{ClusterInfo, ClusterStatus, HotKey, NodeReport, NodeStatus},
    auth::Scope,
    limits,
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderName, HeaderValue, Method, header},
};
use schemars::JsonSchema;
use serde::Serialize;
use shoal_proto::types::NodeId;
use std::{collections::BTreeMap, sync::Arc};

static CLUSTER: Route = Route {
    method: Method::GET,
    path: "/cluster.json",
    name: "cluster",
    summary: "The cluster as this node sees it: what the page shows",
    scope: Some(Scope::Read),
    parameters: &[],
    body: &[],
    answers: &[Answer {
        status: 200,
        about: "All nodes, and what those say that answer.",
        forms: &[Form::json::<Document>()],
        headers: &[],
    }],
    problems: &[],
};

pub(super) fn routes(info: Arc<dyn ClusterInfo>) -> Vec<Served> {
    vec![CLUSTER.by(cluster, info)]
}

/// Everybody who asks at about the same time shares one survey: see [`ClusterInfo::survey`].
async fn cluster(State(info): State<Arc<dyn ClusterInfo>>) -> ([(HeaderName, HeaderValue); 2], Bytes) {
    let mut reports = info.survey().await;
    let document = Document::new(info.status(), &mut reports);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    // Names, numbers and text always serialize.
    (headers, Bytes::from(serde_json::to_vec(&document).unwrap_or_default()))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Cluster")]
struct Document {
    cluster: String,
    cluster_id: String,
    epoch: u64,
    phase: u32,
    vnodes: u32,
    replicas: u32,
    answered_by: String,
    nodes: Vec<Node>,
}

#[derive(Serialize, JsonSchema)]
struct Node {
    node_id: String,
    generation: u64,
    state: &'static str,
    zone: String,
    role: &'static str,
    capacity: u32,
    owned_vnodes: u32,
    /// What it would own if vnodes went by capacity alone.
    fair_vnodes: f64,
    resp: String,
    http: String,
    grpc: String,
    gossip: String,
    /// `None` when it did not answer.
    report: Option<Report>,
}

#[derive(Serialize, JsonSchema)]
struct Report {
    requests: u64,
    requests_per_second: f64,
    entries: u64,
    bytes: u64,
    max_bytes: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
    vnodes_owned: u32,
    vnodes_ready: u32,
    hints: u64,
    hint_bytes: u64,
    uptime_ms: u64,
    hot_keys: Vec<Hot>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HotKey")]
struct Hot {
    /// Percent-encoded, and no longer than it is shown.
    key: String,
    key_bytes: usize,
    per_second: f64,
}

impl Document {
    fn new(status: ClusterStatus, reports: &mut BTreeMap<NodeId, NodeReport>) -> Self {
        let members = status.nodes.iter().filter(|node| node.member);
        let capacities: f64 = members.map(|node| f64::from(node.info.capacity)).sum();
        let places = f64::from(status.vnodes) * f64::from(status.replicas);
        let fair = |node: &NodeStatus| {
            let share = places * f64::from(node.info.capacity) / capacities;
            // No node owns a vnode twice.
            if node.member && capacities > 0.0 { share.min(status.vnodes.into()) } else { 0.0 }
        };
        let nodes = status.nodes.iter().map(|node| {
            let report = reports.remove(&node.info.node_id).map(Report::from);
            Node::new(node, fair(node), report)
        });
        Self {
            nodes: nodes.collect(),
            cluster: status.cluster,
            cluster_id: format!("{:016x}", status.cluster_id),
            epoch: status.epoch,
            phase: status.phase,
            vnodes: status.vnodes,
            replicas: status.replicas,
            answered_by: status.me.to_string(),
        }
    }
}

impl Node {
    fn new(node: &NodeStatus, fair_vnodes: f64, report: Option<Report>) -> Self {
        let info = &node.info;
        Self {
            node_id: info.node_id.to_string(),
            generation: info.generation,
            state: match (node.live, info.ready) {
                (false, _) => "down",
                (true, false) => "rebuilding",
                (true, true) => "up",
            },
            zone: info.zone.clone(),
            role: if node.member { "member" } else { "gateway" },
            capacity: info.capacity,
            owned_vnodes: node.owned_vnodes,
            fair_vnodes,
            resp: info.addresses.resp.clone(),
            http: info.addresses.http.clone(),
            grpc: info.addresses.grpc.clone(),
            gossip: info.addresses.gossip.clone(),
            report,
        }
    }
}

impl From<NodeReport> for Report {
    fn from(report: NodeReport) -> Self {
        let stats = report.stats;
        Self {
            requests: stats.requests,
            requests_per_second: report.requests_per_second,
            entries: stats.entries,
            bytes: stats.bytes,
            max_bytes: stats.max_bytes,
            hits: stats.hits,
            misses: stats.misses,
            evictions: stats.evictions,
            expirations: stats.expirations,
            vnodes_owned: stats.vnodes_owned,
            vnodes_ready: stats.vnodes_ready,
            hints: stats.hints,
            hint_bytes: stats.hint_bytes,
            uptime_ms: stats.uptime_ms,
            hot_keys: report.hot_keys.into_iter().map(Hot::from).collect(),
        }
    }
}

impl From<HotKey> for Hot {
    fn from(hot: HotKey) -> Self {
        let key = hot.key.as_bytes();
        let shown = &key[..key.len().min(limits::HOT_KEY_SHOWN_BYTES)];
        Self { key: percent::encode(shown), key_bytes: key.len(), per_second: hot.per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{route::router, testing::*},
        *,
    };

    #[tokio::test]
    async fn nodes_that_do_not_answer_are_shown_without_a_report() {
        let answer = ask(router(routes(info(true))), "GET", "/cluster.json").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let [me, other] = document["nodes"].as_array().unwrap().as_slice() else { panic!("{document}") };
        assert_eq!((&document["answered_by"], &me["state"]), (&me["node_id"], &"up".into()));
        assert_eq!((&me["fair_vnodes"], &me["report"]["requests_per_second"]), (&2.0.into(), &2.5.into()));
        assert_eq!((&other["state"], &other["fair_vnodes"]), (&"down".into(), &6.0.into()));
        assert!(other["report"].is_null());
        let hot = &me["report"]["hot_keys"];
        assert_eq!((&hot[0]["key"], &hot[0]["key_bytes"]), (&"a%2F%FF".into(), &3.into()));
        assert_eq!((hot[1]["key"].as_str().unwrap().len(), &hot[1]["key_bytes"]), (256, &300.into()));
    }
}
