mod loopback;
#[cfg(madsim)]
mod simulated;

use super::*;
use crate::{
    Addresses, ClusterView, NodeInfo, Seed,
    env::{MemoryState, SystemClock},
};
use shoal_proto::types::{Member, NodeId, OwnerTable, Phase, RingRecord, Settings, WriterId};
use tokio::time::{Instant, timeout};

const SECRET: &str = "correct horse";
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn env(seed: u64) -> Env {
    Env { wall: Arc::new(SystemClock), seed: Seed(seed), state: Arc::new(MemoryState::default()) }
}

fn node(name: &str, generation: u64) -> NodeInfo {
    NodeInfo {
        node_id: NodeId::new(name).unwrap(),
        generation,
        addresses: Addresses {
            gossip: String::new(),
            grpc: format!("{name}:7381"),
            resp: format!("{name}:6379"),
            http: format!("{name}:7380"),
        },
        zone: format!("zone of {name}"),
        capacity: 70,
        ring: None,
        ready: false,
        live: true,
    }
}

fn timing(interval: Duration) -> GossipConfig {
    GossipConfig { interval, ..GossipConfig::lan() }
}

fn record(epoch: u64) -> Arc<RingRecord> {
    let member = Member {
        node_id: NodeId::new("n1").unwrap(),
        generation_floor: 0,
        writer_id: WriterId::member(1).unwrap(),
        zone: String::new(),
        capacity: 100,
        peer_address: String::new(),
    };
    let table = OwnerTable::new(1, vec![0]).unwrap();
    Arc::new(RingRecord::new(1, epoch, Phase::New, vec![member], table, Settings::default()).unwrap())
}

fn heard<'a>(view: &'a ClusterView, name: &str) -> Option<&'a NodeInfo> {
    view.nodes().get(&NodeId::new(name).unwrap())
}

fn is_live(view: &ClusterView, name: &str) -> bool {
    heard(view, name).is_some_and(|node| node.live)
}

/// Waits until the view of `cluster` is as described and returns how long that took.
async fn eventually(cluster: &Cluster, what: &str, holds: impl Fn(&ClusterView) -> bool) -> Duration {
    let start = Instant::now();
    let mut views = cluster.subscribe();
    let found = timeout(PATIENCE, views.wait_for(|view| holds(view))).await.is_ok();
    assert!(found, "never saw that {what}: {:#?}", cluster.view().nodes());
    start.elapsed()
}
