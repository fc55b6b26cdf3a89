//! Commands about all keys, on real clusters.

use crate::cluster::{TestCluster, at, eventually};
use redis::{AsyncCommands as _, RedisResult, aio::MultiplexedConnection};
use shoal_proto::types::Consistency;
use std::collections::BTreeSet;

async fn fill(client: &mut MultiplexedConnection, keys: impl Iterator<Item = String>) {
    let mut pipe = redis::pipe();
    for key in keys {
        pipe.cmd("CL").arg("ALL").arg("SET").arg(&key).arg(&key).ignore();
    }
    let _: () = pipe.query_async(client).await.unwrap();
}

async fn flush(client: &mut MultiplexedConnection) -> RedisResult<String> {
    redis::cmd("FLUSHALL").query_async(client).await
}

async fn get(client: &mut MultiplexedConnection, level: Consistency, key: &str) -> Option<String> {
    at(level, "GET").arg(key).query_async(client).await.unwrap()
}

async fn scan(client: &mut MultiplexedConnection, cursor: u64, options: &[&str]) -> (u64, Vec<String>) {
    redis::cmd("SCAN").arg(cursor).arg(options).query_async(client).await.unwrap()
}

/// Every key that a scan from the beginning tells, and how often it told one.
async fn scan_all(client: &mut MultiplexedConnection, options: &[&str]) -> (BTreeSet<String>, usize) {
    let (mut all, mut told, mut cursor) = (BTreeSet::new(), 0, 0);
    loop {
        let (next, keys) = scan(client, cursor, options).await;
        told += keys.len();
        all.extend(keys);
        cursor = next;
        if cursor == 0 {
            return (all, told);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_empties_every_node_and_what_is_written_after_it_stays() {
    let cluster = TestCluster::start(3).await;
    let mut clients = [cluster.connect(0).await, cluster.connect(1).await, cluster.connect(2).await];
    fill(&mut clients[0], (0..200).map(|n| format!("key {n}"))).await;
    assert_eq!(flush(&mut clients[1]).await.unwrap(), "OK");
    // The node that was asked has its memory back by now, the others have it soon.
    let size: u64 = redis::cmd("DBSIZE").query_async(&mut clients[1]).await.unwrap();
    assert_eq!((size, cluster.info(1).status().epoch), (0, 2));
    for client in &mut clients {
        for key in ["key 0", "key 199"] {
            assert_eq!(get(client, Consistency::One, key).await, None);
            assert_eq!(get(client, Consistency::All, key).await, None);
        }
    }
    let deleted: u64 = at(Consistency::All, "DEL").arg("key 5").query_async(&mut clients[2]).await.unwrap();
    assert_eq!(deleted, 0, "what is gone was not there to be deleted");
    fill(&mut clients[2], ["key 0".to_owned()].into_iter()).await;
    eventually("memory holds what was written after the flush alone", async || {
        (0..3).all(|i| cluster.node(i).dump().len() == 2 && cluster.held(i).len() == 1)
    })
    .await;
    assert_eq!(get(&mut clients[0], Consistency::Quorum, "key 0").await.as_deref(), Some("key 0"));
    // There is something to flush again, and then nothing.
    assert_eq!(flush(&mut clients[0]).await.unwrap(), "OK");
    assert_eq!(flush(&mut clients[0]).await.unwrap(), "OK");
    assert_eq!(cluster.info(0).status().epoch, 3);
    let dump = cluster.node(0).dump();
    assert!(dump.is_empty(), "{dump:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_flush_at_once_do_not_stop_each_other() {
    let cluster = TestCluster::start(3).await;
    let mut clients = [cluster.connect(0).await, cluster.connect(1).await, cluster.connect(2).await];
    fill(&mut clients[0], (0..20).map(|n| format!("key {n}"))).await;
    let flushes = clients.iter_mut().map(flush);
    for flushed in futures::future::join_all(flushes).await {
        assert_eq!(flushed.unwrap(), "OK");
    }
    eventually("all know the same record", async || {
        let epochs: Vec<u64> = (0..3).map(|i| cluster.info(i).status().epoch).collect();
        epochs.iter().all(|epoch| *epoch == epochs[0] && *epoch >= 2)
    })
    .await;
    assert_eq!(get(&mut clients[2], Consistency::All, "key 7").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_missed_a_flush_brings_nothing_back() {
    let mut cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    fill(&mut client, (0..50).map(|n| format!("key {n}"))).await;
    cluster.stop_node(2).await;
    eventually("it is known to be gone", async || {
        cluster.info(0).status().nodes.iter().filter(|node| node.live).count() == 2
    })
    .await;
    // Kept as hints, too.
    let _: () =
        at(Consistency::Quorum, "SET").arg("key 1").arg("hinted").query_async(&mut client).await.unwrap();
    assert_eq!(flush(&mut client).await.unwrap(), "OK");
    eventually("hints of what was flushed are dropped", async || cluster.info(0).stats().hints == 0).await;
    cluster.start_node(2).await;
    cluster.wait_ready().await;
    let mut returned = cluster.connect(2).await;
    eventually("it has learnt of the flush", async || cluster.info(2).status().epoch == 2).await;
    for n in 0..50 {
        assert_eq!(get(&mut returned, Consistency::All, &format!("key {n}")).await, None);
    }
    assert!((0..3).all(|i| cluster.node(i).dump().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_flushed_and_the_error_says_so() {
    let mut cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    fill(&mut client, ["key".to_owned()].into_iter()).await;
    cluster.stop_node(1).await;
    cluster.stop_node(2).await;
    let error = flush(&mut client).await.unwrap_err().to_string();
    assert!(error.contains("NOQUORUM") && error.contains("1 of 3 members agreed"), "{error}");
    assert_eq!(get(&mut client, Consistency::One, "key").await.as_deref(), Some("key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_tells_every_key_of_the_cluster_whichever_node_is_asked() {
    let cluster = TestCluster::start(5).await;
    let mut clients = [cluster.connect(0).await, cluster.connect(4).await];
    let names: BTreeSet<String> =
        (0..500).map(|n| format!("{}:{n}", if n % 5 == 0 { "odd" } else { "plain" })).collect();
    fill(&mut clients[0], names.iter().cloned()).await;
    let _: () = at(Consistency::All, "DEL").arg("odd:0").query_async(&mut clients[0]).await.unwrap();
    let mut left = names.clone();
    left.remove("odd:0");
    for client in &mut clients {
        for options in [&[][..], &["COUNT", "1"], &["COUNT", "1000000"], &["TYPE", "string", "MATCH", "*"]] {
            let (found, told) = scan_all(client, options).await;
            assert_eq!((&found, told), (&left, left.len()), "{options:?}");
        }
        let (odd, _) = scan_all(client, &["MATCH", "o?d:*[05]", "COUNT", "50"]).await;
        assert!(odd.len() == 99 && odd.iter().all(|key| key.starts_with("odd:")), "{odd:?}");
        assert_eq!(scan_all(client, &["TYPE", "list", "COUNT", "1000"]).await.1, 0);
    }
    for (arguments, error) in [
        (vec!["x"], "invalid cursor"),
        (vec!["18446744073709551615"], "invalid cursor"),
        (vec!["0", "COUNT", "0"], "syntax error"),
        (vec!["0", "MATCH"], "syntax error"),
    ] {
        let told = redis::cmd("SCAN").arg(&arguments).query_async::<redis::Value>(&mut clients[0]).await;
        assert!(told.unwrap_err().to_string().contains(error), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_on_when_the_owner_it_followed_is_gone() {
    // No owner is on the node that is asked for all of them: it follows others.
    let mut cluster = TestCluster::start_with(4, |config| config.vnodes = 2).await;
    let mut client = cluster.connect(0).await;
    let names: BTreeSet<String> = (0..400).map(|n| format!("key {n}")).collect();
    fill(&mut client, names.iter().cloned()).await;
    let (mut found, mut cursor, mut steps) = (BTreeSet::new(), 0, 0);
    loop {
        let (next, keys) = scan(&mut client, cursor, &["COUNT", "10"]).await;
        found.extend(keys);
        (cursor, steps) = (next, steps + 1);
        match steps {
            3 => cluster.stop_node(1).await,
            10 => {
                cluster.start_node(1).await;
                cluster.wait_ready().await;
                cluster.stop_node(2).await;
            }
            _ => {}
        }
        if cursor == 0 {
            break;
        }
    }
    assert!(steps > 10, "{steps} steps");
    assert_eq!(found, names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_counted_by_slot_and_told_how_they_are_kept() {
    let cluster = TestCluster::start(4).await;
    let mut client = cluster.connect(3).await;
    fill(&mut client, (0..30).map(|n| format!("{{tag}}:{n}"))).await;
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg("{tag}").query_async(&mut client).await.unwrap();
    let count: u64 =
        redis::cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(slot).query_async(&mut client).await.unwrap();
    let keys: Vec<String> =
        redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(7).query_async(&mut client).await.unwrap();
    assert_eq!((count, keys.len()), (30, 7));
    assert!(keys.iter().all(|key| key.starts_with("{tag}:")));

    let _: () = client.set("int", "-12").await.unwrap();
    let _: () = client.set_ex("raw", "x".repeat(45), 100).await.unwrap();
    let object = async |client: &mut MultiplexedConnection, sub: &str, key: &str| {
        redis::cmd("OBJECT").arg(sub).arg(key).query_async::<Option<String>>(client).await.unwrap()
    };
    assert_eq!(object(&mut client, "ENCODING", "int").await.as_deref(), Some("int"));
    assert_eq!(object(&mut client, "ENCODING", "{tag}:1").await.as_deref(), Some("embstr"));
    assert_eq!(object(&mut client, "ENCODING", "raw").await.as_deref(), Some("raw"));
    assert_eq!(object(&mut client, "REFCOUNT", "raw").await.as_deref(), Some("1"));
    assert_eq!(object(&mut client, "ENCODING", "nobody").await, None);
    let usage = async |client: &mut MultiplexedConnection, key: &str| {
        redis::cmd("MEMORY").arg("USAGE").arg(key).query_async::<Option<u64>>(client).await.unwrap()
    };
    let (short, long) = (usage(&mut client, "int").await.unwrap(), usage(&mut client, "raw").await.unwrap());
    // A longer value, and a time at which it expires.
    assert!(short > 6 && long >= short + 42, "{short} {long}");
    assert_eq!(usage(&mut client, "nobody").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_there_is_a_ring_the_cluster_is_told_to_be_none_and_nothing_is_walked() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let mut client = cluster.connect(0).await;
    let ask = async |client: &mut MultiplexedConnection, words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).query_async::<redis::Value>(client).await
    };
    assert_eq!(ask(&mut client, &["CLUSTER", "SLOTS"]).await.unwrap(), redis::Value::Array(vec![]));
    assert_eq!(ask(&mut client, &["CLUSTER", "SHARDS"]).await.unwrap(), redis::Value::Array(vec![]));
    let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut client).await.unwrap();
    assert!(info.contains("cluster_state:fail\r\ncluster_slots_assigned:0\r\n"), "{info}");
    let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(&mut client).await.unwrap();
    assert!(nodes.lines().count() == 1 && nodes.contains("myself,master - 0 0 0 connected\n"), "{nodes}");
    let id: String = redis::cmd("CLUSTER").arg("MYID").query_async(&mut client).await.unwrap();
    assert!(id.len() == 40 && nodes.starts_with(&id));
    for words in [&["SCAN", "0"][..], &["FLUSHALL"], &["CLUSTER", "COUNTKEYSINSLOT", "0"]] {
        let error = ask(&mut client, words).await.unwrap_err().to_string();
        assert!(error.contains("no ring record yet"), "{words:?}: {error}");
    }
}
