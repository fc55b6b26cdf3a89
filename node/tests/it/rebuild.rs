//! A node that comes back with empty memory.

use crate::{
    cluster::{TestCluster, at, eventually},
    load::{Cell, Load},
};
use shoal_proto::types::Consistency;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Writes `count` keys at `level` through node `through`; returns what was acknowledged.
async fn write(
    cluster: &TestCluster,
    through: usize,
    level: Consistency,
    count: usize,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut client = cluster.connect(through).await;
    let mut written = BTreeMap::new();
    for n in 0..count {
        let (key, value) = (format!("{through} {level} {n}"), format!("value {n}"));
        let _: () = at(level, "SET").arg(&key).arg(&value).query_async(&mut client).await.unwrap();
        written.insert(key.into_bytes(), value.into_bytes());
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_takes_over_everything_before_it_is_ready() {
    let mut cluster = TestCluster::start(3).await;
    let mut expected = write(&cluster, 1, Consistency::Quorum, 100).await;
    cluster.stop_node(1).await;
    expected.extend(write(&cluster, 0, Consistency::Quorum, 100).await);
    expected.extend(write(&cluster, 2, Consistency::Quorum, 100).await);
    cluster.start_node(1).await;
    eventually("the restarted node is ready", async || cluster.info(1).is_ready()).await;
    assert_eq!(cluster.held(1), expected);
    assert_eq!(cluster.info(1).stats().vnodes_ready, 64);
    assert_eq!(cluster.metric(1, "shoal_rebuild_lost_vnodes_total"), 0);
    assert_eq!(cluster.metric(1, "shoal_rebuild_vnodes_total"), 64);
    let mut own_door = cluster.connect(1).await;
    for (key, value) in expected {
        let found: Vec<u8> = at(Consistency::One, "GET").arg(key).query_async(&mut own_door).await.unwrap();
        assert_eq!(found, value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_waits_for_a_missing_co_owner_and_then_counts_what_may_be_lost() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut cluster = TestCluster::start_with(3, |config| config.rebuild_patience = PATIENCE).await;
    let expected = write(&cluster, 0, Consistency::All, 100).await;
    cluster.stop_node(1).await;
    cluster.stop_node(2).await;
    let started = Instant::now();
    cluster.start_node(1).await;
    eventually("the restarted node is ready", async || cluster.info(1).is_ready()).await;
    assert!(started.elapsed() > PATIENCE, "ready after {:?}", started.elapsed());
    assert_eq!(cluster.metric(1, "shoal_rebuild_lost_vnodes_total"), 64);
    assert_eq!(cluster.held(1), expected, "what survives is taken over");
    // With a quorum back, the third finds two that hold memory.
    cluster.start_node(2).await;
    cluster.wait_ready().await;
    assert_eq!(cluster.metric(2, "shoal_rebuild_lost_vnodes_total"), 0);
    assert_eq!(cluster.held(2), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_may_lose_its_memory_in_turn_under_load() {
    let mut cluster = TestCluster::start(3).await;
    let doors = [0, 1, 2].map(|i| cluster.resp(i));
    let load = Load::start(&doors, 6, 2);
    for i in [0, 1, 2, 0] {
        let before = cluster.requests((i + 1) % 3, "set");
        eventually("the load goes on", async || cluster.requests((i + 1) % 3, "set") > before + 50).await;
        cluster.stop_node(i).await;
        cluster.start_node(i).await;
        cluster.wait_ready().await;
        assert_eq!(cluster.metric(i, "shoal_rebuild_lost_vnodes_total"), 0);
    }
    let mut seen = load.stop().await;
    eprintln!("{} requests, {} errors in four restarts", seen.requests, seen.errors.len());
    assert!(seen.cells.iter().all(Cell::was_acknowledged), "too few requests: {}", seen.requests);
    for i in 0..3 {
        let mut client = cluster.connect(i).await;
        for cell in &mut seen.cells {
            cell.read(&mut client).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_first_members_found_the_cluster_and_serve_before_the_third_has_ever_been_there() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    cluster.start_node(1).await;
    // No patience for the lost is spent: neither of the two has ever held anything.
    cluster.wait_ready().await;
    let written = write(&cluster, 0, Consistency::Quorum, 50).await;
    assert_eq!(cluster.metric(0, "shoal_rebuild_lost_vnodes_total"), 0);
    // The third was not there when the others agreed, so it may not vote before it has taken over what they hold.
    cluster.start_node(2).await;
    cluster.wait_ready().await;
    assert_eq!(cluster.held(2), written);
}
