//! `shoal hotkeys`.

use super::{NOTHING, key_argument::Named, key_commands::Target, output, remote::Remote};
use clap::Args;
use serde::Serialize;
use shoal_client::{Key, Status};
use std::{collections::BTreeMap, process::ExitCode};

/// `shoal hotkeys`.
#[derive(Debug, Args)]
pub(crate) struct HotKeys {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize, PartialEq)]
struct Report<'a> {
    /// Nodes that told.
    answered: Vec<String>,
    /// Nodes that live and did not.
    silent: Vec<String>,
    /// The hottest first.
    keys: Vec<HotKey<'a>>,
}

#[derive(Debug, Serialize, PartialEq)]
struct HotKey<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    /// Over all nodes that told.
    requests_per_second: f64,
    /// Requests per second that each of them coordinates.
    nodes: BTreeMap<String, f64>,
}

impl HotKeys {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let status = Remote::connect(&self.target, None).await?.status().await?;
        let report = report(&status);
        if self.target.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        Ok(if report.keys.is_empty() { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
    }
}

/// Adds up what the nodes tell: each counts the requests it coordinates.
fn report(status: &Status) -> Report<'_> {
    let (mut answered, mut silent) = (Vec::new(), Vec::new());
    let mut keys: BTreeMap<&Key, BTreeMap<String, f64>> = BTreeMap::new();
    for node in &status.nodes {
        let name = node.node_id.to_string();
        match &node.report {
            Some(report) => {
                for hot in &report.hot_keys {
                    keys.entry(&hot.key).or_default().insert(name.clone(), hot.per_second);
                }
                answered.push(name);
            }
            None if node.live => silent.push(name),
            None => {}
        }
    }
    let mut keys: Vec<HotKey<'_>> = keys
        .into_iter()
        .map(|(key, nodes)| HotKey { key: key.into(), requests_per_second: nodes.values().sum(), nodes })
        .collect();
    keys.sort_by(|a, b| b.requests_per_second.total_cmp(&a.requests_per_second));
    Report { answered, silent, keys }
}

impl Report<'_> {
    fn print(&self) -> anyhow::Result<()> {
        if self.keys.is_empty() {
            output::line("no key stands out")?;
        } else {
            let rows: Vec<_> = self.keys.iter().map(HotKey::row).collect();
            output::table(&["key", "requests/s", "nodes"], &rows)?;
        }
        if !self.silent.is_empty() {
            output::line(format!("no answer from {}", self.silent.join(", ")))?;
        }
        Ok(())
    }
}

impl HotKey<'_> {
    fn row(&self) -> Vec<String> {
        let nodes: Vec<String> =
            self.nodes.iter().map(|(node, per_second)| format!("{node} {per_second:.0}")).collect();
        vec![self.key.printable().into_owned(), format!("{:.0}", self.requests_per_second), nodes.join(", ")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::{LocalStatus, NodeId, NodeReport, NodeStatus, Phase};

    fn node(name: &str, live: bool, hot_keys: Option<&[(&[u8], f64)]>) -> NodeStatus {
        let hot = |(key, per_second): &(&[u8], f64)| shoal_client::HotKey {
            key: Key::new(key.to_vec()).unwrap(),
            per_second: *per_second,
        };
        NodeStatus {
            node_id: NodeId::new(name).unwrap(),
            generation: 1,
            zone: "a".into(),
            member: true,
            live,
            ready: true,
            owned_vnodes: 7,
            resp_address: String::new(),
            http_address: String::new(),
            grpc_address: String::new(),
            gossip_address: String::new(),
            report: hot_keys
                .map(|keys| NodeReport { hot_keys: keys.iter().map(hot).collect(), ..NodeReport::default() }),
        }
    }

    #[test]
    fn nodes_are_added_up_and_the_hottest_key_comes_first() {
        let status = Status {
            node_id: NodeId::new("n1").unwrap(),
            cluster: "shoal".into(),
            cluster_id: 1,
            epoch: 1,
            phase: Phase::New,
            vnodes: 8,
            replicas: 3,
            nodes: vec![
                node("n1", true, Some(&[(b"warm", 50.0), (b"hot", 30.0)])),
                node("n2", true, Some(&[(b"hot", 40.4), (b"\xff\x1b", 1.0)])),
                node("n3", true, None),
                node("n4", false, None),
            ],
            local: LocalStatus::default(),
        };
        let report = report(&status);
        assert_eq!((report.answered.join(" "), report.silent.join(" ")), ("n1 n2".into(), "n3".into()));
        let rows: Vec<String> = report.keys.iter().map(|key| key.row().join(" | ")).collect();
        assert_eq!(rows, ["hot | 70 | n1 30, n2 40", "warm | 50 | n1 50", r"\xff\x1b | 1 | n2 1"]);
        let json = serde_json::to_string(&report.keys[1]).unwrap();
        assert_eq!(json, r#"{"key":"warm","requests_per_second":50.0,"nodes":{"n1":50.0}}"#);
    }
}
