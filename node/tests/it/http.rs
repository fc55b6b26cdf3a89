//! Health of real nodes.

use crate::{
    cluster::{TestCluster, eventually},
    raw::http_get,
};

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
