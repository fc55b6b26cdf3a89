//! Small clusters and plain answers for unit tests.

use crate::{
    auth::Credentials,
    config::{ClientGrants, ListenAddresses, NodeConfig, OnLoss},
    coordinator::Outcome,
    live::Live,
    store::EvictionPolicy,
};
use shoal_membership::{Addresses, Cluster, ClusterView, NodeInfo, Secrets, config::GossipConfig};
use shoal_proto::types::{Consistency, Member, NodeId, OwnerTable, Phase, RingRecord, Settings, WriterId};
use std::{sync::Arc, time::Duration};

/// Of an answer at ONE that nothing is to be said of.
pub(crate) fn outcome() -> Outcome {
    Outcome {
        tag: None,
        expires_at: None,
        ttl: None,
        reached: Consistency::One,
        asked: 1,
        answered: 1,
        superseded_by: None,
        repaired: false,
        hinted: false,
        degraded: false,
    }
}

pub(crate) fn node_id(i: usize) -> NodeId {
    NodeId::new(&format!("n{i}")).unwrap()
}

fn info(i: usize) -> NodeInfo {
    NodeInfo {
        node_id: node_id(i),
        generation: 1,
        addresses: Addresses::default(),
        zone: "z".into(),
        capacity: 100,
        ring: None,
        ready: true,
        live: true,
    }
}

/// `nodes` members n0.. of which n0 is this node; vnode v is owned by v, v+1, .. modulo the members.
pub(crate) fn cluster_of(nodes: usize, replicas: usize, vnodes: usize) -> Cluster {
    let cluster = Cluster::new(info(0));
    let members = (0..nodes).map(|i| Member {
        node_id: node_id(i),
        generation_floor: 0,
        writer_id: WriterId::member(i as u16 + 1).unwrap(),
        zone: "z".into(),
        capacity: 100,
        peer_address: String::new(),
    });
    let owners = (0..vnodes).flat_map(|v| (0..replicas).map(move |r| ((v + r) % nodes) as u16)).collect();
    let table = OwnerTable::new(replicas, owners).unwrap();
    let record = RingRecord::new(7, 1, Phase::New, members.collect(), table, Settings::default()).unwrap();
    cluster.observe_nodes((1..nodes).map(info));
    cluster.publish_record(Arc::new(record));
    cluster
}

pub(crate) fn view_of(nodes: usize, replicas: usize, vnodes: usize) -> Arc<ClusterView> {
    cluster_of(nodes, replicas, vnodes).view()
}

pub(crate) fn with_generation(
    nodes: usize,
    replicas: usize,
    vnodes: usize,
    node: &str,
    generation: u64,
) -> Arc<ClusterView> {
    let cluster = cluster_of(nodes, replicas, vnodes);
    cluster.observe_generation(&NodeId::new(node).unwrap(), generation);
    cluster.view()
}

/// The settings of a node alone.
pub(crate) fn live() -> Live {
    let nowhere = ([127, 0, 0, 1], 1).into();
    Live::new(&NodeConfig {
        cluster: "test".into(),
        secrets: Secrets::default(),
        tls: None,
        node_id: node_id(0),
        seeds: Vec::new(),
        zone: "a".into(),
        capacity: 100,
        listen: ListenAddresses { resp: nowhere, http: nowhere, grpc: nowhere, gossip: nowhere },
        advertise: Addresses::default(),
        gossip: GossipConfig::local(),
        replicas: 1,
        vnodes: 64,
        read_consistency: Consistency::One,
        write_consistency: Consistency::One,
        request_timeout: Duration::from_secs(1),
        read_patience: Duration::from_millis(50),
        max_memory: 64 << 20,
        eviction_policy: EvictionPolicy::default(),
        rebuild_patience: Duration::from_secs(60),
        on_loss: OnLoss::Reset,
        credentials: Credentials::default(),
        clients: ClientGrants::default(),
        told: vec![("zone", "a".into()), ("log", "info".into())],
    })
}
