use super::{key_commands::Target, output, remote::Remote, settings::ByteSize};
use clap::Args;
use serde::Serialize;
use shoal_client::{LocalStatus, NodeStatus};
use std::process::ExitCode;

/// `shoal status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report<'a> {
    cluster: &'a str,
    cluster_id: String,
    epoch: u64,
    phase: u32,
    vnodes: u32,
    replicas: u32,
    answered_by: &'a str,
    nodes: Vec<NodeReport<'a>>,
    local: LocalReport,
}

#[derive(Serialize)]
struct NodeReport<'a> {
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
        let status = Remote::connect(&self.target.node, None).await?.status().await?;
        let report = Report::from(&status);
        if self.target.json {
            output::json(&report)?
        } else {
            report.print()?
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> From<&'a shoal_client::Status> for Report<'a> {
    fn from(status: &'a shoal_client::Status) -> Self {
        Self {
            cluster: &status.cluster,
            cluster_id: format!("{:016x}", status.cluster_id),
            epoch: status.epoch,
            phase: status.phase.number(),
            vnodes: status.vnodes,
            replicas: status.replicas,
            answered_by: status.node_id.as_str(),
            nodes: status.nodes.iter().map(NodeReport::from).collect(),
            local: status.local.into(),
        }
    }
}

impl<'a> From<&'a NodeStatus> for NodeReport<'a> {
    fn from(node: &'a NodeStatus) -> Self {
        Self {
            node_id: node.node_id.as_str(),
            generation: node.generation,
            state: match (node.live, node.ready) {
                (false, _) => "down",
                (true, false) => "rebuilding",
                (true, true) => "up",
            },
            zone: &node.zone,
            role: if node.member { "member" } else { "gateway" },
            owned_vnodes: node.owned_vnodes,
            resp: &node.resp_address,
            http: &node.http_address,
            grpc: &node.grpc_address,
            gossip: &node.gossip_address,
        }
    }
}

impl From<LocalStatus> for LocalReport {
    fn from(local: LocalStatus) -> Self {
        let reads = local.hits + local.misses;
        Self {
            entries: local.entries,
            bytes: local.bytes,
            max_bytes: local.max_bytes,
            hits: local.hits,
            misses: local.misses,
            hit_ratio: (reads > 0).then(|| local.hits as f64 / reads as f64),
            vnodes_owned: local.vnodes_owned,
            vnodes_ready: local.vnodes_ready,
            hints: local.hints,
            hint_bytes: local.hint_bytes,
        }
    }
}

impl Report<'_> {
    fn print(&self) -> anyhow::Result<()> {
        output::line(self.summary())?;
        let headings = ["node", "state", "role", "zone", "vnodes", "RESP", "HTTP", "gRPC", "generation"];
        output::table(&headings, &self.nodes.iter().map(NodeReport::row).collect::<Vec<_>>())
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
            local.hit_ratio.map_or_else(|| "no reads".into(), |ratio| format!("{:.1} % hits", 100.0 * ratio));
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

impl NodeReport<'_> {
    fn row(&self) -> Vec<String> {
        let cells = [self.node_id, self.state, self.role, self.zone];
        let mut row: Vec<String> = cells.into_iter().map(str::to_owned).collect();
        row.push(self.owned_vnodes.to_string());
        row.extend([self.resp, self.http, self.grpc].map(str::to_owned));
        row.push(self.generation.to_string());
        row
    }
}

/// A number of bytes for people, to a tenth of a unit.
fn about(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::{NodeId, Phase, Status};

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
        }
    }

    #[test]
    fn a_report_tells_who_is_down_and_who_rebuilds() {
        let row = |node| NodeReport::from(&node).row().join(" ");
        assert_eq!(row(node(true, true, true)), "n1 up member a 7 h:1 h:2 h:3 1");
        assert_eq!(row(node(true, false, true)), "n1 rebuilding member a 7 h:1 h:2 h:3 1");
        assert_eq!(row(node(false, true, false)), "n1 down gateway a 7 h:1 h:2 h:3 1");
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
        let summary = Report::from(&status).summary();
        assert!(summary.contains("epoch 2 phase 3, 1024 vnodes x 3 replicas"), "{summary}");
        assert!(summary.contains("5 entries, 1.50 KiB of 1GiB, 75.0 % hits"), "{summary}");
        status.epoch = 0;
        status.local = LocalStatus::default();
        let summary = Report::from(&status).summary();
        assert!(summary.contains("no ring yet") && summary.contains("no reads"), "{summary}");
    }
}
