use super::{key_commands::Target, output, remote::Remote, settings::ByteSize};
use clap::Args;
use serde::Serialize;
use shoal_client::{LocalStatus, NodeReport, NodeStatus};
use std::process::ExitCode;

/// `shoal status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Cluster<'a> {
    cluster: &'a str,
    cluster_id: String,
    epoch: u64,
    phase: u32,
    vnodes: u32,
    replicas: u32,
    answered_by: &'a str,
    nodes: Vec<Node<'a>>,
    local: LocalReport,
}

#[derive(Serialize)]
struct Node<'a> {
    node_id: &'a str,
    generation: u64,
    state: &'static str,
    zone: &'a str,
    role: &'static str,
    owned_vnodes: u32,
    resp: &'a str,
    http: &'a str,
    grpc: &'a str,
    gossip: &'a str,
    /// Absent when the node did not tell in time.
    report: Option<Report>,
}

/// What a node says of itself.
#[derive(Serialize)]
struct Report {
    requests_per_second: f64,
    requests: u64,
    hits: u64,
    misses: u64,
    hit_ratio: Option<f64>,
    entries: u64,
    markers: u64,
    bytes: u64,
    max_bytes: u64,
    evictions: u64,
    expirations: u64,
    vnodes_owned: u32,
    vnodes_ready: u32,
    hints: u64,
    hint_bytes: u64,
    connections: u64,
    uptime_ms: u64,
}

/// The answering node's own share.
#[derive(Serialize)]
struct LocalReport {
    entries: u64,
    bytes: u64,
    max_bytes: u64,
    hits: u64,
    misses: u64,
    hit_ratio: Option<f64>,
    vnodes_owned: u32,
    vnodes_ready: u32,
    hints: u64,
    hint_bytes: u64,
}

impl Status {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let status = Remote::connect(&self.target, None).await?.status().await?;
        let cluster = Cluster::from(&status);
        if self.target.json {
            output::json(&cluster)?
        } else {
            cluster.print()?
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> From<&'a shoal_client::Status> for Cluster<'a> {
    fn from(status: &'a shoal_client::Status) -> Self {
        Self {
            cluster: &status.cluster,
            cluster_id: format!("{:016x}", status.cluster_id),
            epoch: status.epoch,
            phase: status.phase.number(),
            vnodes: status.vnodes,
            replicas: status.replicas,
            answered_by: status.node_id.as_str(),
            nodes: status.nodes.iter().map(Node::from).collect(),
            local: status.local.into(),
        }
    }
}

/// How a node is, in a word.
pub(super) fn state(live: bool, ready: bool) -> &'static str {
    match (live, ready) {
        (false, _) => "down",
        (true, false) => "rebuilding",
        (true, true) => "up",
    }
}

impl<'a> From<&'a NodeStatus> for Node<'a> {
    fn from(node: &'a NodeStatus) -> Self {
        Self {
            node_id: node.node_id.as_str(),
            generation: node.generation,
            state: state(node.live, node.ready),
            zone: &node.zone,
            role: if node.member { "member" } else { "gateway" },
            owned_vnodes: node.owned_vnodes,
            resp: &node.resp_address,
            http: &node.http_address,
            grpc: &node.grpc_address,
            gossip: &node.gossip_address,
            report: node.report.as_ref().map(Report::from),
        }
    }
}

impl From<&NodeReport> for Report {
    fn from(report: &NodeReport) -> Self {
        let stats = &report.stats;
        Self {
            requests_per_second: report.requests_per_second,
            requests: stats.requests,
            hits: stats.hits,
            misses: stats.misses,
            hit_ratio: ratio(stats.hits, stats.misses),
            entries: stats.entries,
            markers: stats.markers,
            bytes: stats.bytes,
            max_bytes: stats.max_bytes,
            evictions: stats.evictions,
            expirations: stats.expirations,
            vnodes_owned: stats.vnodes_owned,
            vnodes_ready: stats.vnodes_ready,
            hints: stats.hints,
            hint_bytes: stats.hint_bytes,
            connections: stats.connections,
            uptime_ms: stats.uptime_ms,
        }
    }
}

impl From<LocalStatus> for LocalReport {
    fn from(local: LocalStatus) -> Self {
        Self {
            entries: local.entries,
            bytes: local.bytes,
            max_bytes: local.max_bytes,
            hits: local.hits,
            misses: local.misses,
            hit_ratio: ratio(local.hits, local.misses),
            vnodes_owned: local.vnodes_owned,
            vnodes_ready: local.vnodes_ready,
            hints: local.hints,
            hint_bytes: local.hint_bytes,
        }
    }
}

impl Cluster<'_> {
    fn print(&self) -> anyhow::Result<()> {
        output::line(self.summary())?;
        let headings = [
            "node",
            "state",
            "role",
            "zone",
            "requests/s",
            "hits",
            "entries",
            "memory",
            "hints",
            "vnodes",
            "RESP",
        ];
        output::table(&headings, &self.nodes.iter().map(Node::row).collect::<Vec<_>>())
    }

    fn summary(&self) -> String {
        let local = &self.local;
        let ring = match self.epoch {
            0 => "no ring yet".to_owned(),
            epoch => format!(
                "epoch {epoch} phase {}, {} vnodes x {} replicas",
                self.phase, self.vnodes, self.replicas
            ),
        };
        let hits =
            local.hit_ratio.map_or_else(|| "no reads".into(), |ratio| format!("{} hits", percent(ratio)));
        format!(
            "cluster {}: {ring}\nnode {}: {} entries, {} of {}, {hits}, {} of {} vnodes ready, {} hints",
            self.cluster,
            self.answered_by,
            local.entries,
            about(local.bytes),
            ByteSize(local.max_bytes),
            local.vnodes_ready,
            local.vnodes_owned,
            local.hints,
        )
    }
}

impl Node<'_> {
    /// What a node did not tell is left blank.
    fn row(&self) -> Vec<String> {
        let told = |tell: fn(&Report) -> String| self.report.as_ref().map_or_else(|| "-".into(), tell);
        let vnodes = self.report.as_ref().map_or_else(
            || self.owned_vnodes.to_string(),
            |report| format!("{}/{}", report.vnodes_ready, report.vnodes_owned),
        );
        vec![
            self.node_id.to_owned(),
            self.state.to_owned(),
            self.role.to_owned(),
            self.zone.to_owned(),
            told(|report| format!("{:.0}", report.requests_per_second)),
            told(|report| report.hit_ratio.map_or_else(|| "-".into(), percent)),
            told(|report| report.entries.to_string()),
            told(|report| format!("{} of {}", about(report.bytes), ByteSize(report.max_bytes))),
            told(|report| report.hints.to_string()),
            vnodes,
            self.resp.to_owned(),
        ]
    }
}

fn ratio(hits: u64, misses: u64) -> Option<f64> {
    let reads = hits + misses;
    (reads > 0).then(|| hits as f64 / reads as f64)
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", 100.0 * ratio)
}

/// A number of bytes for people, to a tenth of a unit.
fn about(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::{NodeId, NodeStats, Phase, Status};

    fn node(live: bool, ready: bool, member: bool) -> NodeStatus {
        NodeStatus {
            node_id: NodeId::new("n1").unwrap(),
            generation: 1,
            zone: "a".into(),
            member,
            live,
            ready,
            owned_vnodes: 7,
            resp_address: "h:1".into(),
            http_address: "h:2".into(),
            grpc_address: "h:3".into(),
            gossip_address: "h:4".into(),
            report: None,
        }
    }

    fn row(node: &NodeStatus) -> String {
        Node::from(node).row().join(" | ")
    }

    #[test]
    fn the_table_tells_who_is_down_and_who_rebuilds() {
        assert_eq!(row(&node(true, true, true)), "n1 | up | member | a | - | - | - | - | - | 7 | h:1");
        assert!(row(&node(true, false, true)).starts_with("n1 | rebuilding | member | a"));
        assert!(row(&node(false, true, false)).starts_with("n1 | down | gateway | a"));
    }

    #[test]
    fn the_table_tells_what_a_node_says_of_itself() {
        let mut told = node(true, true, true);
        let stats = NodeStats {
            entries: 5,
            bytes: 1536,
            max_bytes: 1 << 30,
            hits: 3,
            misses: 1,
            hints: 2,
            vnodes_owned: 7,
            vnodes_ready: 6,
            ..NodeStats::default()
        };
        told.report = Some(NodeReport { stats, requests_per_second: 1234.5, hot_keys: Vec::new() });
        let expected = "n1 | up | member | a | 1234 | 75.0 % | 5 | 1.50 KiB of 1GiB | 2 | 6/7 | h:1";
        assert_eq!(row(&told), expected);
        told.report = Some(NodeReport::default());
        assert!(row(&told).contains("| 0 | - | 0 |"), "{}", row(&told));
    }

    #[test]
    fn the_summary_tells_the_ring_and_the_share_of_the_node() {
        let shares = LocalStatus {
            entries: 5,
            bytes: 1536,
            max_bytes: 1 << 30,
            hits: 3,
            misses: 1,
            ..Default::default()
        };
        let mut status = Status {
            node_id: NodeId::new("n1").unwrap(),
            cluster: "shoal".into(),
            cluster_id: 1,
            epoch: 2,
            phase: Phase::New,
            vnodes: 1024,
            replicas: 3,
            nodes: Vec::new(),
            local: shares,
        };
        let summary = Cluster::from(&status).summary();
        assert!(summary.contains("epoch 2 phase 3, 1024 vnodes x 3 replicas"), "{summary}");
        assert!(summary.contains("5 entries, 1.50 KiB of 1GiB, 75.0 % hits"), "{summary}");
        status.epoch = 0;
        status.local = LocalStatus::default();
        let summary = Cluster::from(&status).summary();
        assert!(summary.contains("no ring yet") && summary.contains("no reads"), "{summary}");
    }
}
