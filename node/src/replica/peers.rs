//! The links to all peers.

use super::{
    LinkCounters, ReplicaError, ReplicaRequest,
    handshake::Identity,
    link::{Link, payload_bytes},
};
use crate::{limits, tls::Tls};
use parking_lot::RwLock;
use shoal_membership::{Cluster, ClusterView, Env};
use shoal_proto::types::{NodeId, PeerLink, ReplicaOp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the links need to know of their node.
#[derive(Clone)]
pub struct PeersConfig {
    /// Whom the node claims to be.
    pub identity: Identity,
    /// How streams are secured.
    pub tls: Option<Arc<Tls>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Operations,
    Bulk,
}

/// Two links per peer: one for the many small operations, one for what would hold them up.
struct Lanes {
    operations: Arc<Link>,
    bulk: Arc<Link>,
    /// Ends both drivers when the node is no longer wanted.
    _closed: DropGuard,
}

/// Carries operations to other nodes. Follows the cluster view: a link for every node that is, or may become, an owner.
pub struct Peers {
    lanes: RwLock<BTreeMap<NodeId, Lanes>>,
    cluster: Arc<Cluster>,
    config: PeersConfig,
    env: Env,
    counters: Arc<LinkCounters>,
    shutdown: CancellationToken,
}

impl Peers {
    /// No links yet; [`Peers::follow`] opens them.
    #[must_use]
    pub fn new(config: PeersConfig, cluster: Arc<Cluster>, env: Env, shutdown: CancellationToken) -> Self {
        Self { lanes: RwLock::default(), cluster, config, env, counters: Arc::default(), shutdown }
    }

    /// Opens and closes links as the view changes, until shutdown.
    pub async fn follow(self: Arc<Self>) {
        let mut views = self.cluster.subscribe();
        loop {
            let view = views.borrow_and_update().clone();
            self.fit_to(&view);
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return self.lanes.write().clear(),
                changed = views.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Gives `request` to `target`, or reports at once why not.
    pub fn submit(&self, target: &NodeId, request: ReplicaRequest) {
        let lanes = self.lanes.read();
        let Some(lanes) = lanes.get(target) else {
            return request.done.call(Err(ReplicaError::Unreachable));
        };
        let bulky = matches!(request.op, ReplicaOp::RebuildPull { .. })
            || payload_bytes(&request.op) > limits::BULK_BYTES;
        if bulky { lanes.bulk.submit(request) } else { lanes.operations.submit(request) }
    }

    /// Whether operations for `target` would be sent.
    #[must_use]
    pub fn is_up(&self, target: &NodeId) -> bool {
        self.lanes.read().get(target).is_some_and(|lanes| lanes.operations.is_up())
    }

    /// The streams that stand.
    #[must_use]
    pub fn links(&self) -> Vec<PeerLink> {
        let lanes = self.lanes.read();
        let each = lanes.iter().flat_map(|(node, lanes)| {
            let ages = [lanes.operations.age(), lanes.bulk.age()].into_iter().flatten();
            ages.map(|age| PeerLink { node: node.clone(), dialled: true, age })
        });
        each.collect()
    }

    /// How many peers have a stream that stands.
    #[must_use]
    pub fn up_count(&self) -> usize {
        self.lanes.read().values().filter(|lanes| lanes.operations.is_up()).count()
    }

    /// What was sent to all of them, and who was refused a stream.
    #[must_use]
    pub fn counters(&self) -> Arc<LinkCounters> {
        self.counters.clone()
    }

    /// Operations that wait for an answer or for the wire.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lanes.read().values().map(|lanes| lanes.operations.waiting() + lanes.bulk.waiting()).sum()
    }

    /// Drops every stream; each is opened again.
    pub fn break_streams(&self) {
        for lanes in self.lanes.read().values() {
            lanes.operations.break_stream();
            lanes.bulk.break_stream();
        }
    }

    fn fit_to(&self, view: &ClusterView) {
        let wanted = wanted(view);
        let mut lanes = self.lanes.write();
        lanes.retain(|node, _| wanted.contains(node));
        for node in wanted {
            lanes.entry(node.clone()).or_insert_with(|| {
                let closed = self.shutdown.child_token();
                Lanes {
                    operations: self.open(&node, Lane::Operations, closed.clone()),
                    bulk: self.open(&node, Lane::Bulk, closed.clone()),
                    _closed: closed.drop_guard(),
                }
            });
        }
    }

    fn open(&self, node: &NodeId, lane: Lane, closed: CancellationToken) -> Arc<Link> {
        let rng = self.env.rng(&format!("link {node} {lane:?}"));
        let (link, driver) = Link::new(
            node.clone(),
            lane == Lane::Operations,
            self.config.identity.clone(),
            self.config.tls.clone(),
            self.cluster.clone(),
            self.counters.clone(),
            rng,
        );
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                () = driver => {}
            }
        });
        link
    }
}

/// Members once there is a ring, everyone gossip tells of before.
fn wanted(view: &ClusterView) -> BTreeSet<NodeId> {
    let mut nodes: BTreeSet<NodeId> = match view.record() {
        Some(record) => record.members().iter().map(|member| member.node_id.clone()).collect(),
        None => view.nodes().keys().cloned().collect(),
    };
    nodes.remove(view.me());
    nodes
}
