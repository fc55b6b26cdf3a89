//! Health and metrics of real nodes.

use crate::{
    cluster::{TestCluster, eventually},
    raw::{http_get, metric},
};
use redis::AsyncCommands as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_live_at_once_and_ready_with_the_others() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let address = cluster.http(0);
    assert_eq!(http_get(address, "/health/live").await, (200, "live\n".into()));
    let alone = r#"{"ready":false,"vnodes_ready":0,"vnodes_owned":0}"#;
    assert_eq!(http_get(address, "/health/ready").await, (503, alone.into()));
    cluster.start_node(1).await;
    cluster.start_node(2).await;
    eventually("the node is ready", async || http_get(address, "/health/ready").await.0 == 200).await;
    let together = r#"{"ready":true,"vnodes_ready":64,"vnodes_owned":64}"#;
    assert_eq!(http_get(address, "/health/ready").await.1, together);
    assert_eq!(http_get(address, "/nothing").await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_the_node_did() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    for n in 0..10 {
        let _: () = client.set(n, n).await.unwrap();
        let _: i64 = client.get(n).await.unwrap();
    }
    let _: Option<i64> = client.get("none").await.unwrap();
    let (status, text) = http_get(cluster.http(0), "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (name, expected) in [
        ("shoal_coordinator_writes_total", 10),
        ("shoal_coordinator_reads_total", 11),
        ("shoal_coordinator_unavailable_total", 0),
        ("shoal_coordinator_timeouts_total", 0),
        ("shoal_hints_stored_total", 0),
        ("shoal_rebuild_vnodes_total", 0),
        ("shoal_rebuild_lost_vnodes_total", 0),
        ("shoal_store_entries", 10),
        ("shoal_store_evictions", 0),
        ("shoal_vnodes_owned", 64),
        ("shoal_vnodes_ready", 64),
        ("shoal_resp_connections", 1),
        ("shoal_members", 3),
        ("shoal_peers_up", 2),
        ("shoal_ring_epoch", 1),
    ] {
        assert_eq!(metric(&text, name), expected, "{name}");
    }
    assert!(metric(&text, "shoal_resp_commands") >= 21);
    assert!(metric(&text, "shoal_store_hits") >= 10);
}
