//! Settings that are changed while a node runs.

use crate::{
    cluster::{TestCluster, eventually},
    raw::Raw,
};
use tokio::net::TcpStream;

async fn set(client: &mut Raw, name: &str, value: &str) {
    let answer = client.ask(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]).await;
    assert_eq!(answer, "+OK", "{name} {value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_up_what_it_is_told_at_once() {
    let cluster = TestCluster::start(1).await;
    let mut client = Raw::connect(cluster.resp(0)).await;

    // Two owners cannot be had of one; now that is told by default, too.
    assert_eq!(client.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    let answer = client.ask(&[b"CONFIG", b"SET", b"write_consistency", b"THREE"]).await;
    assert!(answer.ends_with("it needs 3 owners and there are 1 replicas"), "{answer}");
    set(&mut client, "write_consistency", "ALL").await;
    assert_eq!(client.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    let all = cluster.info(0).metrics_text();
    assert!(all.contains(r#"shoal_requests_total{door="resp",operation="set",level="ALL"} 1"#), "{all}");

    // Memory follows its limit.
    let value = vec![b'v'; 1 << 20];
    for i in 0..64 {
        client.ask(&[b"SET", format!("large{i}").as_bytes(), &value]).await;
    }
    let before = cluster.info(0).stats().bytes;
    assert!(before > 60 << 20);
    set(&mut client, "maxmemory", "32mb").await;
    eventually("the store is as small as it is told to be", async || {
        let stats = cluster.info(0).stats();
        stats.bytes <= 32 << 20 && stats.max_bytes == 32 << 20
    })
    .await;

    // Places for clients.
    set(&mut client, "maxclients", "1").await;
    let mut second = Raw::connect(cluster.resp(0)).await;
    assert_eq!(second.line().await, "-ERR max number of clients reached");
    set(&mut client, "maxclients", "100").await;

    // Idle clients go, and whoever speaks stays.
    let mut idle = Raw::connect(cluster.resp(0)).await;
    assert_eq!(idle.ask(&[b"PING"]).await, "+PONG");
    set(&mut client, "timeout", "1").await;
    let gone = tokio::spawn(async move { idle.rest().await });
    eventually("the idle client is let go", async || {
        assert_eq!(client.ask(&[b"PING"]).await, "+PONG");
        gone.is_finished()
    })
    .await;
    assert_eq!(gone.await.unwrap(), "");
    set(&mut client, "timeout", "0").await;
    let ended = r#"shoal_connections_ended_total{door="resp",reason="idle"} 1"#;
    eventually("it is told why it went", async || cluster.info(0).metrics_text().contains(ended)).await;

    // The rest is for the next start.
    let answer = client.ask(&[b"CONFIG", b"SET", b"databases", b"16"]).await;
    assert!(answer.ends_with("it is read at start alone: set it there, and restart the node"), "{answer}");
    drop(TcpStream::connect(cluster.resp(0)).await.unwrap());
}
