//! The unmodified `redis` crate against real nodes.

use crate::cluster::TestCluster;
use redis::AsyncCommands;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_through_one_node_is_read_at_quorum_through_every_other() {
    let cluster = TestCluster::start(3).await;
    let mut first = cluster.connect(0).await;
    let _: () = first.set_ex("k", "v", 60).await.unwrap();
    for i in 0..3 {
        let mut other = cluster.connect(i).await;
        let value: String =
            redis::cmd("CL").arg("QUORUM").arg("GET").arg("k").query_async(&mut other).await.unwrap();
        assert_eq!(value, "v", "node {i}");
        let ttl: i64 = other.ttl("k").await.unwrap();
        assert!((58..=60).contains(&ttl), "{ttl}");
    }
    let gone: i64 = first.del(&["k", "never"]).await.unwrap();
    assert_eq!(gone, 1);
    let missing: Option<String> = cluster.connect(2).await.get("k").await.unwrap();
    assert_eq!(missing, None);
}
