//! `redis-cli` and `redis-benchmark` against a real node.

use crate::{child::Process, cluster::TestCluster};
use std::{env, net::SocketAddr, process::Command};

/// Runs a tool against a node and returns what it printed; `None`, loudly, on a machine without it.
async fn run(tool: &str, node: SocketAddr, arguments: &[&str]) -> Option<String> {
    if Command::new(tool).arg("--version").output().is_err() {
        let required = env::var("SHOAL_REQUIRE_REDIS_TOOLS").is_ok_and(|value| value == "1");
        assert!(!required, "{tool} is required and not installed");
        eprintln!("SKIPPED: {tool} is not installed; SHOAL_REQUIRE_REDIS_TOOLS=1 makes this a failure");
        return None;
    }
    let (host, port) = (node.ip().to_string(), node.port().to_string());
    let mut process =
        Process::start(tool, Command::new(tool).args(["-h", &host, "-p", &port]).args(arguments));
    let status = process.ended().await;
    assert!(status.success(), "{tool} {arguments:?}: {status}, {}{}", process.stdout(), process.stderr());
    Some(process.stdout())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cli_sets_gets_and_sees_errors() {
    let cluster = TestCluster::start(3).await;
    for (node, arguments, expected) in [
        (0, vec!["SET", "greeting", "hello", "EX", "100"], "OK\n"),
        (1, vec!["CL", "QUORUM", "GET", "greeting"], "hello\n"),
        (1, vec!["-3", "CL", "QUORUM", "GET", "greeting"], "hello\n"),
        (2, vec!["-c", "DEL", "greeting"], "1\n"),
        (0, vec!["CL", "QUORUM", "EXISTS", "greeting"], "0\n"),
        (0, vec!["PING"], "PONG\n"),
    ] {
        let Some(said) = run("redis-cli", cluster.resp(node), &arguments).await else { return };
        assert_eq!(said, expected, "{arguments:?}");
    }
    let said = run("redis-cli", cluster.resp(0), &["INCR", "n"]).await.unwrap();
    assert!(said.starts_with("ERR 'INCR' is a read-modify-write"), "{said}");
    let said = run("redis-cli", cluster.resp(0), &["CLUSTER", "INFO"]).await.unwrap();
    assert!(said.contains("cluster_state:ok") && said.contains("cluster_slots_assigned:16384"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_benchmark_runs_through() {
    let cluster = TestCluster::start(3).await;
    let arguments = ["-t", "get,set", "-n", "20000", "-P", "16", "-q"];
    let Some(said) = run("redis-benchmark", cluster.resp(0), &arguments).await else { return };
    let results: Vec<&str> = said.split(['\r', '\n']).filter(|line| line.contains("per second")).collect();
    eprintln!("{}", results.join("\n"));
    for test in ["SET: ", "GET: "] {
        assert!(results.iter().any(|line| line.starts_with(test)), "{said}");
    }
    assert!(!said.to_lowercase().contains("err"), "{said}");
}
