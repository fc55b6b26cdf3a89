//! Clusters of real nodes in this process, on ports of their own.

use shoal_membership::{Addresses, Env, Seed, config::GossipConfig, env::MemoryState, env::SystemClock};
use shoal_node::{
    Node, RunningNode, Sockets,
    config::{ListenAddresses, NodeConfig, OnLoss},
};
use shoal_proto::types::{Consistency, NodeId};
use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

pub(crate) struct TestNode {
    pub(crate) config: NodeConfig,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) running: Option<RunningNode>,
}

pub(crate) struct TestCluster {
    pub(crate) nodes: Vec<TestNode>,
}

impl TestCluster {
    /// Starts `count` nodes with N=3 and waits until all are ready.
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, |_| ()).await
    }

    pub(crate) async fn start_with(count: usize, change: impl Fn(&mut NodeConfig)) -> Self {
        let listen: Vec<ListenAddresses> = (0..count).map(|_| free_addresses()).collect();
        let seeds: Vec<String> = listen.iter().map(|l| l.gossip.to_string()).collect();
        let mut cluster = Self { nodes: Vec::new() };
        for listen in listen {
            let mut config = config(listen, seeds.clone(), count.min(3));
            change(&mut config);
            cluster.nodes.push(TestNode { config, state: Arc::default(), running: None });
        }
        for i in 0..count {
            cluster.start_node(i).await;
        }
        cluster.wait_ready().await;
        cluster
    }

    pub(crate) async fn start_node(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        let env = Env { wall: Arc::new(SystemClock), seed: Seed(i as u64 + 1), state: node.state.clone() };
        let sockets = Sockets::bind(&node.config.listen).await.unwrap();
        node.running = Some(Node::start(node.config.clone(), env, sockets).await.unwrap());
    }

    pub(crate) async fn stop_node(&mut self, i: usize) {
        if let Some(running) = self.nodes[i].running.take() {
            running.shutdown().await;
        }
    }

    pub(crate) async fn wait_ready(&self) {
        eventually("all nodes are ready", || {
            self.nodes.iter().all(|n| n.running.as_ref().is_none_or(|r| r.info().is_ready()))
        })
        .await;
    }

    pub(crate) fn resp(&self, i: usize) -> SocketAddr {
        self.nodes[i].config.listen.resp
    }

    pub(crate) async fn connect(&self, i: usize) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(format!("redis://{}/", self.resp(i))).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Waits for a condition, at most 20 s.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn config(listen: ListenAddresses, seeds: Vec<String>, replicas: usize) -> NodeConfig {
    let gossip = listen.gossip.to_string();
    NodeConfig {
        cluster: "test".into(),
        secret: Some("a secret of the tests".into()),
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
        rebuild_patience: Duration::from_secs(60),
        on_loss: OnLoss::Reset,
    }
}

/// Addresses the system has just given out; nobody else asks for them in between.
pub(crate) fn free_addresses() -> ListenAddresses {
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let udp = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ListenAddresses { resp: tcp(), http: tcp(), grpc: tcp(), gossip: udp() }
}
