//! Nodes that do not belong, and nodes that cannot start.

use crate::{
    cluster::{TestCluster, config, eventually, start},
    ports::free_addresses,
    raw::metric,
};
use redis::AsyncCommands as _;
use shoal_membership::{
    Secrets, StateFile as _,
    env::{DiskState, MemoryState},
};
use shoal_node::{NodeError, RunningNode, Sockets, config::NodeConfig};
use shoal_proto::types::{NodeId, NodeState};
use std::{fs, net::TcpListener, net::UdpSocket, sync::Arc};

/// A node beside the cluster that knows where its members are.
fn outsider(cluster: &TestCluster) -> NodeConfig {
    let seeds = cluster.nodes[0].config.seeds.clone();
    let replicas = cluster.nodes[0].config.replicas;
    config(free_addresses(), seeds, replicas)
}

fn knows(node: &RunningNode, id: &NodeId) -> bool {
    node.info().status().nodes.iter().any(|known| known.info.node_id == *id)
}

fn lone() -> NodeConfig {
    let listen = free_addresses();
    config(listen, vec![listen.gossip.to_string()], 1)
}

fn state(node_id: &NodeId, generation: u64) -> NodeState {
    NodeState { node_id: node_id.clone(), generation, record: None, promised: None, accepted: None }
}

async fn failure(config: NodeConfig, state: Arc<dyn shoal_membership::StateFile>) -> NodeError {
    start(config, state).await.err().expect("the node must not start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_beside_the_first_members_is_a_gateway() {
    let cluster = TestCluster::start(2).await;
    let config = outsider(&cluster);
    let gateway = start(config.clone(), Arc::<MemoryState>::default()).await.unwrap();
    eventually("the gateway is ready", async || gateway.info().is_ready()).await;
    eventually("it is known", async || knows(cluster.node(0), &config.node_id)).await;
    let mut client = crate::cluster::connect(config.listen.resp).await;
    let _: () = client.set("k", "v").await.unwrap();
    assert_eq!(client.get::<_, String>("k").await.unwrap(), "v");
    assert!(gateway.dump().is_empty());
    gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_counted_and_change_nothing() {
    type Change = fn(&mut NodeConfig);
    let cases: [(Change, &str); 3] = [
        (
            |config| config.secrets = Secrets::new(["not the secret at all"]),
            r#"shoal_gossip_refused_total{reason="bad_seal"}"#,
        ),
        (|config| config.secrets = Secrets::default(), r#"shoal_gossip_refused_total{reason="unsealed"}"#),
        (
            |config| config.cluster = "elsewhere".into(),
            r#"shoal_gossip_refused_total{reason="other_cluster"}"#,
        ),
    ];
    let cluster = TestCluster::start(2).await;
    for (change, counter) in cases {
        let mut config = outsider(&cluster);
        change(&mut config);
        let id = config.node_id.clone();
        let stranger = start(config, Arc::<MemoryState>::default()).await.unwrap();
        // Several rounds of gossip, each of which would have been enough.
        eventually(counter, async || (0..2).all(|i| cluster.metric(i, counter) >= 5)).await;
        for i in 0..2 {
            assert!(!knows(cluster.node(i), &id), "{counter}");
            assert!(cluster.info(i).is_ready());
            assert!(!knows(&stranger, &cluster.nodes[i].config.node_id), "{counter}");
        }
        assert!(!stranger.info().is_ready());
        stranger.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_with_one_name_the_one_that_started_less_often_ends() {
    let mut cluster = TestCluster::prepare(2, |_| ());
    let name = cluster.nodes[1].config.node_id.clone();
    cluster.nodes[1].state.save(&state(&name, 6 << 20)).unwrap();
    cluster.start_node(0).await;
    cluster.start_node(1).await;
    cluster.wait_ready().await;
    let twin = NodeConfig { node_id: name.clone(), ..outsider(&cluster) };
    let twin = start(twin, Arc::<MemoryState>::default()).await.unwrap();
    let error = twin.wait_fatal().await;
    let rightful = cluster.nodes[1].config.listen.gossip;
    assert!(
        matches!(&error, NodeError::DuplicateNodeId { node, generation, address }
            if *node == name && *generation == 7 << 20 && *address == rightful),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        format!("duplicate node id {name}: another process runs as generation {} at {rightful}", 7 << 20)
    );
    twin.shutdown().await;
    cluster.wait_ready().await;
    let mut client = cluster.connect(1).await;
    let _: () = client.set("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_that_is_damaged_or_another_nodes_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.state");
    let config = lone();
    let disk = Arc::new(DiskState::open(directory.path()).unwrap());

    start(config.clone(), disk.clone()).await.unwrap().shutdown().await;
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = failure(config.clone(), disk.clone()).await;
    assert_eq!(
        error.to_string(),
        format!(
            "state file {} is corrupt (checksum does not match); restore it, or delete it to start as a new node",
            file.display()
        )
    );
    assert_eq!(fs::read(&file).unwrap(), bytes, "the file is left for its operator");

    let other = NodeId::new("somebody-else").unwrap();
    disk.save(&state(&other, 3)).unwrap();
    let error = failure(config.clone(), disk).await;
    assert_eq!(
        error.to_string(),
        format!(
            "the state file belongs to node somebody-else, this node is {}: give each node its own state directory",
            config.node_id
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_other_vnodes_is_refused_with_the_number_to_set() {
    let (mut config, state) = (lone(), Arc::<MemoryState>::default());
    let node = start(config.clone(), state.clone()).await.unwrap();
    eventually("the node is ready", async || node.info().is_ready()).await;
    node.shutdown().await;
    config.vnodes = 128;
    let error = failure(config, state).await.to_string();
    assert_eq!(error, "the cluster has 64 vnodes, this node was configured for 128: set vnodes = 64");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_with_its_door() {
    let listen = free_addresses();
    for (door, address) in [("RESP", listen.resp), ("HTTP", listen.http), ("gRPC", listen.grpc)] {
        let _taken = TcpListener::bind(address).unwrap();
        let error = Sockets::bind(&listen).await.err().expect("the port is taken");
        let expected = format!("cannot listen on {address} for {door}: the port is already in use");
        assert_eq!(error.to_string(), expected);
    }
    let config = lone();
    let address = config.listen.gossip;
    let _taken = UdpSocket::bind(address).unwrap();
    let error = failure(config, Arc::<MemoryState>::default()).await.to_string();
    assert!(error.starts_with(&format!("cannot bind gossip to {address}/udp: ")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_of_nobody_are_counted_and_harmless() {
    let node = start(lone(), Arc::<MemoryState>::default()).await.unwrap();
    eventually("the node is ready", async || node.info().is_ready()).await;
    let gossip: std::net::SocketAddr = node.info().status().nodes[0].info.addresses.gossip.parse().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [0, 1, 16, 100, 1400, 60_000] {
        socket.send_to(&vec![0x5a; length], gossip).unwrap();
    }
    eventually("they are counted", async || {
        metric(&node.info().metrics_text(), r#"shoal_gossip_refused_total{reason="malformed"}"#) == 6
    })
    .await;
    assert!(node.info().is_ready());
    node.shutdown().await;
}
