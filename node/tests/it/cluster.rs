//! Clusters of real nodes in this process, on ports of their own.

use crate::{
    ports::{are_free, free_addresses},
    raw,
};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use shoal_membership::{
    Addresses, Env, Secrets, Seed, StateFile,
    config::GossipConfig,
    env::{MemoryState, SystemClock},
};
use shoal_node::{
    Node, NodeError, RunningNode, Sockets,
    admin::ClusterInfo,
    config::{ClientGrants, ListenAddresses, NodeConfig, OnLoss},
};
use shoal_proto::types::{Consistency, NodeId};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Generous: two noisy cores may run all tests at once.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestNode {
    pub(crate) config: NodeConfig,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) running: Option<RunningNode>,
}

pub(crate) struct TestCluster {
    pub(crate) nodes: Vec<TestNode>,
}

impl TestCluster {
    /// Starts `count` nodes with N=3 and waits until all are ready and know each other.
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, |_| ()).await
    }

    pub(crate) async fn start_with(count: usize, change: impl Fn(&mut NodeConfig)) -> Self {
        let mut cluster = Self::prepare(count, change);
        for i in 0..count {
            cluster.start_node(i).await;
        }
        cluster.wait_ready().await;
        // Gossip may need a moment more.
        eventually("all nodes know each other's doors, and that they are ready", async || {
            let replicas = cluster.nodes[0].config.replicas;
            let knows = |i| cluster.info(i).slot_ranges().iter().all(|range| range.owners.len() == replicas);
            let ready = |i| {
                let nodes = cluster.info(i).status().nodes;
                nodes.len() == count && nodes.iter().all(|node| node.live && node.info.ready)
            };
            (0..count).all(|i| knows(i) && ready(i))
        })
        .await;
        cluster
    }

    /// Nodes that are yet to be started.
    pub(crate) fn prepare(count: usize, change: impl Fn(&mut NodeConfig)) -> Self {
        let listen: Vec<ListenAddresses> = (0..count).map(|_| free_addresses()).collect();
        let seeds: Vec<String> = listen.iter().map(|l| l.gossip.to_string()).collect();
        let nodes = listen.into_iter().map(|listen| {
            let mut config = config(listen, seeds.clone(), count.min(3));
            change(&mut config);
            TestNode { config, state: Arc::default(), running: None }
        });
        Self { nodes: nodes.collect() }
    }

    pub(crate) async fn start_node(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        // A door whose last connection outlives the drain of a node that stops has its port for a moment longer.
        eventually("the node's ports are free", async || are_free(&node.config.listen)).await;
        node.running = Some(start(node.config.clone(), node.state.clone()).await.unwrap());
    }

    pub(crate) async fn stop_node(&mut self, i: usize) {
        if let Some(running) = self.nodes[i].running.take() {
            running.shutdown().await;
        }
    }

    /// Waits until all nodes that run are ready.
    pub(crate) async fn wait_ready(&self) {
        eventually("all nodes are ready", async || {
            self.nodes.iter().all(|n| n.running.as_ref().is_none_or(|r| r.info().is_ready()))
        })
        .await;
    }

    pub(crate) fn resp(&self, i: usize) -> SocketAddr {
        self.nodes[i].config.listen.resp
    }

    pub(crate) fn http(&self, i: usize) -> SocketAddr {
        self.nodes[i].config.listen.http
    }

    pub(crate) async fn connect(&self, i: usize) -> MultiplexedConnection {
        connect(self.resp(i)).await
    }

    pub(crate) fn node(&self, i: usize) -> &RunningNode {
        self.nodes[i].running.as_ref().expect("the node was stopped")
    }

    pub(crate) fn info(&self, i: usize) -> Arc<dyn ClusterInfo> {
        self.node(i).info()
    }

    pub(crate) fn metric(&self, i: usize, name: &str) -> u64 {
        raw::metric(&self.info(i).metrics_text(), name)
    }

    /// Requests of an operation that node `i` has coordinated.
    pub(crate) fn requests(&self, i: usize, operation: &str) -> u64 {
        let label = format!("operation=\"{operation}\"");
        raw::metric_sum(&self.info(i).metrics_text(), "shoal_requests_total", &label)
    }

    /// The live values node `i` holds itself, by key.
    pub(crate) fn held(&self, i: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let entries = self.node(i).dump().into_iter();
        entries
            .filter_map(|(key, entry)| Some((key.as_bytes().to_vec(), entry.value()?.as_bytes().to_vec())))
            .collect()
    }
}

/// Starts one node.
pub(crate) async fn start(config: NodeConfig, state: Arc<dyn StateFile>) -> Result<RunningNode, NodeError> {
    let seed = Seed(config.listen.gossip.port().into());
    let env = Env { wall: Arc::new(SystemClock), seed, state };
    let sockets = Sockets::bind(&config.listen).await?;
    Node::start(config, env, sockets).await
}

pub(crate) async fn connect(resp: SocketAddr) -> MultiplexedConnection {
    let client = Client::open(format!("redis://{resp}/")).unwrap();
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

/// A command at a level.
pub(crate) fn at(level: Consistency, name: &str) -> redis::Cmd {
    let mut command = redis::cmd("CL");
    command.arg(level.name()).arg(name);
    command
}

/// Waits for a condition.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn config(listen: ListenAddresses, seeds: Vec<String>, replicas: usize) -> NodeConfig {
    let gossip = listen.gossip.to_string();
    NodeConfig {
        cluster: "test".into(),
        secrets: Secrets::new(["a secret of the tests"]),
        tls: None,
        credentials: Default::default(),
        node_id: NodeId::new(&gossip).unwrap(),
        seeds,
        zone: "default".into(),
        capacity: 100,
        listen,
        advertise: Addresses {
            gossip,
            grpc: listen.grpc.to_string(),
            resp: listen.resp.to_string(),
            http: listen.http.to_string(),
        },
        gossip: GossipConfig::local(),
        replicas,
        vnodes: 64,
        read_consistency: Consistency::One,
        write_consistency: Consistency::One,
        request_timeout: Duration::from_secs(2),
        read_patience: Duration::from_millis(50),
        max_memory: 256 << 20,
        eviction_policy: Default::default(),
        rebuild_patience: Duration::from_secs(60),
        on_loss: OnLoss::Reset,
        clients: ClientGrants::default(),
        told: Vec::new(),
    }
}
