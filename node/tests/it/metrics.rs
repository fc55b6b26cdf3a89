//! What nodes count, and that documents and dashboards speak of what there is.

use crate::{
    certificates::Authority,
    cluster::{TestCluster, at},
    raw::{http_get, metric, metric_sum},
};
use redis::AsyncCommands as _;
use serde_json::Value;
use shoal_client::{CallOptions, Client, ClientConfig, Key};
use shoal_proto::types::Consistency;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_the_node_did() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    for n in 0..10 {
        let _: () = client.set(n, n).await.unwrap();
        let _: i64 = client.get(n).await.unwrap();
    }
    let _: Option<i64> = client.get("none").await.unwrap();
    let _: i64 = at(Consistency::Quorum, "GET").arg(1).query_async(&mut client).await.unwrap();
    let _: Vec<i64> = client.mget(&[1, 2, 3]).await.unwrap();
    let _: i64 = client.del(9).await.unwrap();
    let _: i64 = client.expire(8, 100).await.unwrap();
    let too_many =
        at(Consistency::Three, "EXPIRE").arg(1).arg(i64::MAX).query_async::<i64>(&mut client).await;
    assert!(too_many.is_err());
    let grpc = [cluster.nodes[0].config.listen.grpc.to_string()];
    let grpc = Client::connect(&grpc, ClientConfig::default()).await.unwrap();
    grpc.get(Key::new("1").unwrap(), &CallOptions::default()).await.unwrap();

    let (status, text) = http_get(cluster.http(0), "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (name, expected) in [
        (r#"shoal_requests_total{door="resp",operation="set",level="ONE"}"#, 10),
        (r#"shoal_requests_total{door="resp",operation="get",level="ONE"}"#, 14),
        (r#"shoal_requests_total{door="resp",operation="get",level="QUORUM"}"#, 1),
        (r#"shoal_requests_total{door="resp",operation="delete",level="QUORUM"}"#, 1),
        (r#"shoal_requests_total{door="resp",operation="expire",level="ONE"}"#, 1),
        (r#"shoal_requests_total{door="rest",operation="get",level="ONE"}"#, 0),
        (r#"shoal_request_duration_seconds_count{door="resp",operation="get",level="ONE"}"#, 14),
        (r#"shoal_coordinator_unavailable_total{level="QUORUM"}"#, 0),
        (r#"shoal_coordinator_timeouts_total{level="ONE"}"#, 0),
        ("shoal_hints_stored_total", 0),
        ("shoal_rebuild_vnodes_total", 0),
        ("shoal_rebuild_lost_vnodes_total", 0),
        ("shoal_store_entries", 9),
        ("shoal_store_markers", 1),
        ("shoal_store_evictions_total", 0),
        ("shoal_vnodes_owned", 64),
        ("shoal_vnodes_ready", 64),
        ("shoal_ready", 1),
        (r#"shoal_connections{door="resp"}"#, 1),
        (r#"shoal_connections_accepted_total{door="resp"}"#, 1),
        ("shoal_members", 3),
        ("shoal_members_live", 3),
        ("shoal_gateways", 0),
        ("shoal_peers_up", 2),
        ("shoal_ring_epoch", 1),
    ] {
        assert_eq!(metric(&text, name), expected, "{name}");
    }
    assert!(metric(&text, "shoal_resp_commands_total") >= 27);
    assert!(metric(&text, "shoal_store_hits_total") >= 10);
    assert!(metric(&text, "shoal_peer_operations_total") >= 20);
    assert!(metric(&text, "process_resident_memory_bytes") > 1 << 20);
    // The client routes to whichever owner it likes.
    let grpc = (0..3)
        .map(|i| cluster.metric(i, r#"shoal_requests_total{door="grpc",operation="get",level="ONE"}"#))
        .sum::<u64>();
    assert_eq!(grpc, 1);
    let digests = [0, 1, 2].map(|i| cluster.metric(i, "shoal_ring_digest"));
    assert!(digests[0] != 0 && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let by_shard: u64 =
        (0..16).map(|shard| metric(&text, &format!("shoal_store_shard_entries{{shard=\"{shard}\"}}"))).sum();
    assert_eq!(by_shard, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_counted_by_their_kind() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let mut client = cluster.connect(0).await;
    assert!(client.get::<_, Option<i64>>("k").await.is_err());
    assert!(client.del::<_, i64>("k").await.is_err());
    let text = cluster.info(0).metrics_text();
    for (label, expected) in [
        (r#"kind="not_ready""#, 2),
        (r#"operation="get""#, 1),
        (r#"operation="delete""#, 1),
        (r#"door="grpc""#, 0),
    ] {
        assert_eq!(metric_sum(&text, "shoal_request_errors_total", label), expected, "{label}");
    }
}

/// Families as a node exports them.
struct Exported(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

impl Exported {
    /// Of a node that has served a request, so that even histograms have labels, and has TLS.
    async fn read() -> Self {
        let authority = Authority::new("ours");
        let cluster = TestCluster::start_with(1, |config| config.tls = authority.tls()).await;
        let config = ClientConfig { tls: Some(authority.trusted()), ..ClientConfig::default() };
        let grpc = cluster.nodes[0].config.listen.grpc.to_string();
        let client = Client::connect(&[grpc], config).await.unwrap();
        client.get(Key::new("k").unwrap(), &CallOptions::default()).await.unwrap();
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        for line in cluster.info(0).metrics_text().lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => families.entry(name.into()).or_default().help = help.into(),
                ["#", "TYPE", name, kind] => families.entry(name.into()).or_default().kind = kind.into(),
                ["#", ..] => {}
                [sample, ..] => {
                    let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
                    let family = families.get_mut(family_of(name, &families)).unwrap();
                    family.labels.extend(label_names(labels.trim_end_matches('}')));
                }
                [] => {}
            }
        }
        Self(families)
    }

    /// The family that a query names, by its own name or that of one of its samples.
    fn family(&self, name: &str) -> Option<&Family> {
        self.0.get(family_of(name, &self.0))
    }
}

fn family_of<'a>(name: &'a str, families: &BTreeMap<String, Family>) -> &'a str {
    let suffixes = ["_total", "_bucket", "_sum", "_count"];
    let bare = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    bare.filter(|bare| families.contains_key(*bare)).unwrap_or(name)
}

/// The names in `a="b",c=~"d"`.
fn label_names(labels: &str) -> impl Iterator<Item = String> {
    let mut quoted = false;
    let bare: String = labels
        .chars()
        .filter(|c| {
            quoted ^= *c == '"';
            !quoted && *c != '"'
        })
        .collect();
    let names: Vec<String> = bare.split(',').map(|pair| word_at(pair.trim()).to_owned()).collect();
    names.into_iter().filter(|name| !name.is_empty() && name != "le")
}

fn word_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn docs(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a query names that no node exports.
fn unknown(query: &str, exported: &Exported) -> Vec<String> {
    // Given by Prometheus itself.
    let mut known: BTreeSet<&str> = ["instance", "job", "le", "alertname"].into();
    let mut faults = Vec::new();
    let starts = ["shoal_", "process_"].iter().flat_map(|prefix| query.match_indices(prefix));
    let word_begins = |at: &usize| !query[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let mut metrics = 0;
    for at in starts.map(|(at, _)| at).filter(word_begins) {
        let name = word_at(&query[at..]);
        let Some(family) = exported.family(name) else {
            faults.push(format!("no metric {name}"));
            continue;
        };
        metrics += 1;
        if family.kind == "counter" && !name.ends_with("_total") {
            faults.push(format!("the counter is called {name}_total"));
        }
        known.extend(family.labels.iter().map(String::as_str));
        let selector = query[at + name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let used = selector.map(|(labels, _)| label_names(labels)).into_iter().flatten();
        let absent = used.filter(|label| label != "instance" && !family.labels.contains(label));
        faults.extend(absent.map(|label| format!("{name} has no label {label}")));
    }
    if metrics == 0 {
        faults.push(format!("{query:?} names no metric"));
    }
    for (at, keyword) in ["by (", "on (", "on(", "by("].iter().flat_map(|k| query.match_indices(k)) {
        let Some((labels, _)) = query[at + keyword.len()..].split_once(')') else { continue };
        let absent = labels.split(',').map(str::trim).filter(|label| !known.contains(label));
        faults.extend(absent.map(|label| format!("{query:?}: nothing has a label {label}")));
    }
    faults
}

/// All values under `key`, however deep.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_and_the_alerts_ask_for_what_is_exported() {
    let exported = Exported::read().await;
    let dashboard: Value = serde_json::from_str(&docs("grafana/shoal.json")).unwrap();
    let mut queries = Vec::new();
    collect(&dashboard["panels"], "expr", &mut queries);
    assert!(queries.len() > 30, "only {} queries were found", queries.len());
    let mut variables = Vec::new();
    collect(&dashboard["templating"], "definition", &mut variables);
    assert_eq!(variables.len(), 2, "{variables:?}");
    queries.extend(variables);
    let alerts = docs("grafana/alerts.yml");
    let rules: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(rules.len() >= 4, "{rules:?}");
    let faults: Vec<String> =
        queries.iter().chain(&rules).flat_map(|query| unknown(query, &exported)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));

    // The check must find what is planted.
    for (query, fault) in [
        ("rate(shoal_nothing_total[1m]) > shoal_members", "no metric shoal_nothing_total"),
        ("rate(shoal_requests[1m])", "the counter is called shoal_requests_total"),
        (r#"shoal_requests_total{colour="red"}"#, "shoal_requests_total has no label colour"),
        ("sum by (colour) (shoal_members)", "nothing has a label colour"),
        ("up", "names no metric"),
    ] {
        let faults = unknown(query, &exported);
        assert!(faults.len() == 1 && faults[0].ends_with(fault), "{faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_metrics_is_what_is_exported() {
    let exported = Exported::read().await;
    let rows = exported.0.iter().map(|(name, family)| {
        assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name} is not described");
        let total = if family.kind == "counter" { "_total" } else { "" };
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}{total}` | {} | {} | {} |", family.kind, labels.join(", "), family.help)
    });
    let expected: BTreeSet<String> = rows.collect();
    let document = docs("METRICS.md");
    let is_row = |line: &&str| line.starts_with("| `shoal_") || line.starts_with("| `process_");
    let listed: BTreeSet<String> = document.lines().filter(is_row).map(str::to_owned).collect();
    let missing: Vec<_> = expected.difference(&listed).map(String::as_str).collect();
    let stale: Vec<_> = listed.difference(&expected).map(String::as_str).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/METRICS.md lacks\n{}\nand has what is not exported:\n{}",
        missing.join("\n"),
        stale.join("\n")
    );
}
