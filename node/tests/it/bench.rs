//! `shoal bench` against real nodes, through every door, and against Redis.

use crate::{
    child::{Process, shoal},
    cluster::{TestCluster, connect, eventually},
    ports::free_addresses,
};
use serde_json::Value;
use std::{env, fs, fs::File, io::Write as _, net::SocketAddr, process::Command};
use tokio::net::TcpStream;

fn start(nodes: &[SocketAddr], arguments: &[&str]) -> Process {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let mut command = shoal();
    command.args(["bench", "--json", "--threads", "1", "--concurrency", "4", "--node", &nodes.join(",")]);
    Process::start("bench", command.args(arguments))
}

async fn report(mut bench: Process) -> Value {
    let status = bench.ended().await;
    assert_eq!(status.code(), Some(0), "{}{}", bench.stdout(), bench.stderr());
    serde_json::from_str(&bench.stdout()).unwrap()
}

#[track_caller]
fn check(report: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(&report[*name], value, "{name} in {report:#}");
    }
}

/// Keys that have been written are read, at a rate, with writes among the reads, and all values are whole.
async fn preloaded_keys_are_hit(door: &str, nodes: &[SocketAddr]) {
    let arguments = [
        "--door",
        door,
        "--preload",
        "--keys",
        "50",
        "--value-size",
        "8..2KiB",
        "--requests",
        "500",
        "--read-ratio",
        "0.8",
        "--rate",
        "2000",
        "--pipeline",
        "4",
        "--ttl",
        "60s",
        "--consistency",
        "QUORUM",
    ];
    let report = report(start(nodes, &arguments)).await;
    check(&report, &[("errors", serde_json::json!({})), ("corrupt", 0.into()), ("hit_ratio", 1.0.into())]);
    check(&report, &[("rate", 2000.into()), ("never_sent", 0.into())]);
    let count = |kind: &str| report[kind]["count"].as_u64().unwrap();
    assert_eq!(count("get_hits") + count("set"), 500, "{report:#}");
    assert!(count("set") > 50, "{report:#}");
    assert_eq!(report["wait"]["count"], 500);
    assert!(report["service"]["get_hits"]["p50_us"].as_u64() <= report["get_hits"]["p50_us"].as_u64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_goes_through_resp() {
    let cluster = TestCluster::start(3).await;
    preloaded_keys_are_hit("resp", &[cluster.resp(0), cluster.resp(1), cluster.resp(2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_goes_through_grpc() {
    let cluster = TestCluster::start(3).await;
    let doors: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.config.listen.grpc).collect();
    preloaded_keys_are_hit("grpc", &doors).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_goes_through_rest() {
    let cluster = TestCluster::start(3).await;
    preloaded_keys_are_hit("rest", &[cluster.http(0), cluster.http(1), cluster.http(2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_played_once_and_its_misses_are_filled() {
    let cluster = TestCluster::start(1).await;
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let numbers =
        (0..100u32).chain(0..100).flat_map(|key| [key.to_le_bytes(), 300u32.to_le_bytes()].concat());
    fs::write(&trace, numbers.collect::<Vec<u8>>()).unwrap();
    // One at a time, so that a key is there when it comes again.
    let arguments = ["--trace", trace.to_str().unwrap(), "--format", "u32x2", "--concurrency", "1"];
    let mut command = shoal();
    command.args(["bench", "--json", "--node", &cluster.resp(0).to_string()]);
    let report = report(Process::start("bench", command.args(arguments))).await;
    check(&report, &[("gets", 200.into()), ("sets", 100.into()), ("hit_ratio", 0.5.into())]);
    check(&report, &[("corrupt", 0.into()), ("service", Value::Null), ("rate", Value::Null)]);
    assert!(cluster.held(0).values().all(|value| value.len() == 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_counts_as_its_user_waits_for_it() {
    let cluster = TestCluster::start(1).await;
    let arguments = ["--keys", "20", "--read-ratio", "1", "--requests", "200", "--load-delay", "30ms"];
    let report = report(start(&[cluster.resp(0)], &arguments)).await;
    let misses = report["get_misses"]["count"].as_u64().unwrap();
    assert!((20..=80).contains(&misses), "{report:#}");
    check(&report["loads"], &[("count", misses.into())]);
    check(&report["set"], &[("count", misses.into())]);
    assert!(report["loads"]["p50_us"].as_u64().unwrap() >= 30_000, "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_is_left_and_the_moment_is_drawn() {
    let mut cluster = TestCluster::start(3).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (marks, timeline, plot) = (path("marks"), path("timeline"), path("plot.svg"));
    let arguments = [
        "--keys",
        "50",
        "--duration",
        "3s",
        "--rate",
        "300",
        "--arrivals",
        "constant",
        "--mark",
        "1s:one second",
        "--marks",
        &marks,
        "--timeline",
        &timeline,
        "--plot",
        &plot,
    ];
    let bench = start(&[cluster.resp(0), cluster.resp(1)], &arguments);
    eventually("load arrives", async || !cluster.held(0).is_empty()).await;
    cluster.stop_node(0).await;
    File::options().append(true).open(&marks).unwrap().write_all(b"node 0 stopped\n").unwrap();
    let report = report(bench).await;
    let errors: u64 =
        report["errors"].as_object().unwrap().values().map(|kind| kind["count"].as_u64().unwrap()).sum();
    // Every request of the schedule was answered by the other node, or failed with the connection to this one.
    let answered = report["gets"].as_u64().unwrap() + report["sets"].as_u64().unwrap();
    assert_eq!(answered + errors, 900, "{report:#}");
    assert!(errors < 100, "{report:#}");
    let timeline: Value = serde_json::from_str(&fs::read_to_string(timeline).unwrap()).unwrap();
    let labels: Vec<&Value> =
        timeline["marks"].as_array().unwrap().iter().map(|mark| &mark["label"]).collect();
    assert_eq!(labels, ["one second", "node 0 stopped"]);
    assert!(timeline["points"].as_array().unwrap().len() >= 20, "{timeline:#}");
    assert!(fs::read_to_string(plot).unwrap().contains("node 0 stopped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_there_is_named() {
    let nobody = free_addresses().resp;
    for door in ["resp", "grpc", "rest"] {
        let mut bench = start(&[nobody], &["--door", door]);
        assert_eq!(bench.ended().await.code(), Some(2));
        let said = bench.stderr();
        assert!(said.starts_with("error: ") && said.contains(&nobody.to_string()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_measured_by_the_same_load() {
    if Command::new("redis-server").arg("--version").output().is_err() {
        let required = env::var("SHOAL_REQUIRE_REDIS_TOOLS").is_ok_and(|value| value == "1");
        assert!(!required, "redis-server is required and not installed");
        eprintln!("SKIPPED: redis-server is not installed; SHOAL_REQUIRE_REDIS_TOOLS=1 makes this a failure");
        return;
    }
    let address = free_addresses().resp;
    let port = address.port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("redis-server");
    command.current_dir(directory.path());
    let _redis = Process::start(
        "redis-server",
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]),
    );
    eventually("Redis listens", async || TcpStream::connect(address).await.is_ok()).await;
    let arguments = ["--preload", "--keys", "50", "--requests", "1000", "--pipeline", "8", "--ttl", "60s"];
    let report = report(start(&[address], &arguments)).await;
    check(&report, &[("errors", serde_json::json!({})), ("corrupt", 0.into()), ("hit_ratio", 1.0.into())]);
    let ttl: i64 = redis::cmd("PTTL").arg("bench:0").query_async(&mut connect(address).await).await.unwrap();
    assert!((1..=60_000).contains(&ttl), "{ttl}");
    // Redis knows no levels.
    let mut refused = start(&[address], &["--consistency", "QUORUM"]);
    assert_eq!(refused.ended().await.code(), Some(2));
    assert!(refused.stderr().contains("leave out --consistency for Redis"), "{}", refused.stderr());
}
