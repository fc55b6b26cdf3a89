//! Writes that wait for an owner.

use crate::cluster::{TestCluster, eventually};
use redis::AsyncCommands as _;
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_owner_missed_is_handed_to_it_when_it_is_back() {
    let mut cluster = TestCluster::start(3).await;
    cluster.stop_node(2).await;
    let mut client = cluster.connect(0).await;
    let mut expected = BTreeMap::new();
    for n in 0..200 {
        let (key, value) = (format!("key {n}"), format!("value {n}"));
        let _: () = client.set(&key, &value).await.unwrap();
        expected.insert(key.into_bytes(), value.into_bytes());
    }
    eventually("hints are kept", async || cluster.info(0).stats().hints == 200).await;
    assert!(cluster.info(0).stats().hint_bytes > 200 * 8);
    cluster.start_node(2).await;
    cluster.wait_ready().await;
    eventually("hints are delivered", async || cluster.info(0).stats().hints == 0).await;
    assert_eq!(cluster.info(0).stats().hint_bytes, 0);
    // One whose answer comes too late on a busy machine is delivered again.
    assert!((200..300).contains(&cluster.metric(0, "shoal_hints_replayed_total")));
    for i in 0..3 {
        eventually("every owner holds every key", async || cluster.held(i) == expected).await;
    }
}
