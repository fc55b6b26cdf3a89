//! What nodes tell each other of themselves.

use crate::cluster::{TestCluster, eventually};
use redis::AsyncCommands as _;
use shoal_client::{Client, ClientConfig};
use shoal_proto::types::NodeId;

fn id(cluster: &TestCluster, i: usize) -> &NodeId {
    &cluster.nodes[i].config.node_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_tells_its_load_and_its_hot_keys_to_whoever_asks() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(1).await;
    let _: () = client.set("hot", "v").await.unwrap();
    let mut round = redis::pipe();
    for n in 0..40 {
        round.get("hot").get(format!("cold {n}"));
    }
    // Counted over seconds: the load must go on while it is asked for.
    eventually("node 2 is told what node 1 is busy with", async || {
        for _ in 0..10 {
            let _: Vec<Option<String>> = round.query_async(&mut client).await.unwrap();
        }
        let reports = cluster.info(2).survey().await;
        let busy = &reports[id(&cluster, 1)];
        reports.len() == 3
            && busy.requests_per_second > 0.0
            && busy.hot_keys.first().is_some_and(|hot| hot.key.as_bytes() == b"hot" && hot.per_second > 0.0)
    })
    .await;
    let reports = cluster.info(2).survey().await;
    let idle = &reports[id(&cluster, 0)];
    assert_eq!((idle.requests_per_second, idle.hot_keys.len()), (0.0, 0), "{idle:?}");
    assert_eq!((idle.stats.vnodes_ready, idle.stats.vnodes_owned, idle.stats.entries), (64, 64, 1));
    assert!(reports[id(&cluster, 1)].stats.requests > 800);

    // The same through the client.
    let grpc = [cluster.nodes[0].config.listen.grpc.to_string()];
    let status = Client::connect(&grpc, ClientConfig::default()).await.unwrap().status().await.unwrap();
    let told = |i| status.nodes.iter().find(|node| node.node_id == *id(&cluster, i)).unwrap().report.clone();
    assert!(told(1).unwrap().stats.requests > 800);
    assert_eq!(told(2).unwrap().stats.max_bytes, 256 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_gone_is_missing_from_the_survey_and_nobody_else() {
    let mut cluster = TestCluster::start(3).await;
    assert_eq!(cluster.info(0).survey().await.len(), 3);
    cluster.stop_node(2).await;
    eventually("its last report is no longer told", async || {
        let reports = cluster.info(0).survey().await;
        assert!(reports.contains_key(id(&cluster, 0)) && reports.contains_key(id(&cluster, 1)));
        !reports.contains_key(id(&cluster, 2))
    })
    .await;
    cluster.start_node(2).await;
    cluster.wait_ready().await;
    eventually("it reports again", async || cluster.info(0).survey().await.len() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_cost_one_survey() {
    let cluster = TestCluster::start(3).await;
    let sent = |i| cluster.metric(i, "shoal_peer_operations_total");
    let info = cluster.info(0);
    let before = sent(0);
    let reports = futures::future::join_all((0..500).map(|_| info.survey())).await;
    assert!(reports.iter().all(|reports| reports.len() == 3));
    // Two peers, and a second round of them if the second of grace passed by in between.
    assert!(sent(0) - before <= 4, "{} operations were sent", sent(0) - before);
}
