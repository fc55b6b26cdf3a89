//! `redis-cli` and `redis-benchmark` against a real node.

use crate::{
    child::Process,
    cluster::{TestCluster, eventually},
};
use std::{collections::BTreeSet, env, net::SocketAddr, process::Command};

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
async fn redis_cli_looks_at_all_keys_and_at_the_whole_cluster() {
    let mut cluster = TestCluster::start(4).await;
    let node = cluster.resp(1);
    let pairs: Vec<String> =
        (0..60).map(|n| format!("{}:{n}", if n < 20 { "few" } else { "many" })).collect();
    let mut set = vec!["CL", "ALL", "MSET"];
    pairs.iter().for_each(|pair| set.extend([pair.as_str(), "v"]));
    let Some(said) = run("redis-cli", node, &set).await else { return };
    assert_eq!(said, "OK\n");
    let keys = |said: &str| said.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let said = run("redis-cli", node, &["--scan"]).await.unwrap();
    assert_eq!(keys(&said), pairs.iter().cloned().collect());
    let said = run("redis-cli", node, &["--scan", "--pattern", "few:*"]).await.unwrap();
    assert_eq!(keys(&said), pairs[..20].iter().cloned().collect());
    let said = run("redis-cli", node, &["--bigkeys"]).await.unwrap();
    assert!(said.contains("Sampled 60 keys"), "{said}");
    let said = run("redis-cli", node, &["--memkeys"]).await.unwrap();
    assert!(said.contains("Sampled 60 keys"), "{said}");

    let address = node.to_string();
    let said = run("redis-cli", node, &["--cluster", "check", &address]).await.unwrap();
    assert!(said.contains("[OK] All 16384 slots covered."), "{said}");
    assert!(said.contains("[OK] All nodes agree about slots configuration."), "{said}");

    cluster.stop_node(2).await;
    let gone = format!("127.0.0.1:{}@", cluster.resp(2).port());
    eventually("the node that is gone is the master of nothing", async || {
        let said = run("redis-cli", node, &["CLUSTER", "NODES"]).await.unwrap();
        let line = said.lines().find(|line| line.contains(&gone)).unwrap().to_owned();
        line.contains("master,fail") && line.ends_with("disconnected")
    })
    .await;
    let said = run("redis-cli", node, &["CLUSTER", "INFO"]).await.unwrap();
    assert!(said.contains("cluster_state:ok") && said.contains("cluster_slots_ok:16384"), "{said}");
    let said = run("redis-cli", node, &["CLUSTER", "LINKS"]).await.unwrap();
    assert!(said.contains("direction") && said.contains("create-time"), "{said}");
    for n in 0..60 {
        let key = format!("{}:{n}", if n < 20 { "few" } else { "many" });
        let said = run("redis-cli", node, &["-c", "CL", "QUORUM", "GET", &key]).await.unwrap();
        assert_eq!(said, "v\n", "{key}");
    }
    let said = run("redis-cli", node, &["FLUSHDB", "ASYNC"]).await.unwrap();
    assert_eq!(said, "OK\n");
    assert_eq!(run("redis-cli", node, &["--scan"]).await.unwrap(), "");
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
