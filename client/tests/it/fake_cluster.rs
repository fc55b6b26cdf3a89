//! Fake nodes that tell of each other.

use crate::fake_node::{FakeNode, LONG, Mood, tag};
use shoal_client::{Client, ClientConfig};
use shoal_proto::wire::kv::v1 as kv;
use shoal_proto::wire::kv::v1::operation::Op;
use tokio::time::Instant;

pub(crate) struct FakeCluster {
    pub(crate) nodes: Vec<FakeNode>,
}

impl FakeCluster {
    /// Three nodes of cluster 7. All own every key, in their order.
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(FakeNode::start().await);
        }
        let cluster = Self { nodes };
        cluster.tell(&cluster.topology(1, &[0, 1, 2]));
        cluster
    }

    /// A ring of one vnode with these owners.
    pub(crate) fn topology(&self, epoch: u64, owners: &[u32]) -> kv::TopologyResponse {
        let node = |(i, node): (usize, &FakeNode)| kv::TopologyNode {
            node_id: format!("node-{i}"),
            zone: format!("zone-{i}"),
            grpc_address: node.address.clone(),
            live: true,
            ready: true,
            member: true,
            capacity: 100,
        };
        kv::TopologyResponse {
            cluster_id: 7,
            epoch,
            phase: 3,
            replicas: owners.len() as u32,
            nodes: self.nodes.iter().enumerate().map(node).collect(),
            owners: owners.to_vec(),
            node_id: "node-0".into(),
            clock_ms: 1_700_000_000_000,
            digest: epoch,
        }
    }

    /// All nodes say so.
    pub(crate) fn tell(&self, told: &kv::TopologyResponse) {
        self.nodes.iter().for_each(|node| node.tell(told.clone()));
    }

    pub(crate) fn feel(&self, mood: Mood) {
        self.nodes.iter().for_each(|node| node.feel(mood));
    }

    /// A client that was given the address of node `i` alone.
    pub(crate) async fn connect_to(&self, i: usize, config: ClientConfig) -> Client {
        Client::connect(std::slice::from_ref(&self.nodes[i].address), config).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_to(0, config()).await
    }

    /// How many operations each node was sent.
    pub(crate) fn calls(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.ops(i).len())
    }

    /// All operations node `i` was sent.
    pub(crate) fn ops(&self, i: usize) -> Vec<Op> {
        self.nodes[i].seen(|seen| seen.messages.concat())
    }

    /// The tags of all operations node `i` was sent.
    pub(crate) fn tags(&self, i: usize) -> Vec<u64> {
        self.ops(i).iter().map(tag).collect()
    }
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig { timeout: LONG, seed: Some(1), ..ClientConfig::default() }
}

/// Waits for a condition.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
