//! Chitchat, and the only file that names its types.

use super::{
    runtime::Host,
    schema::{self, Identity, Pair, SchemaError},
    sealed_socket::SealedSocket,
};
use crate::{config::GossipConfig, node_info::NodeInfo};
use async_trait::async_trait;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, Deserializable as _,
    FailureDetectorConfig, NodeState, Serializable as _, spawn_chitchat,
    transport::{Socket, Transport},
};
use parking_lot::Mutex;
use shoal_proto::types::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::SocketAddr,
};
use tokio::sync::watch;
use tracing::{debug, warn};

/// Heartbeats further apart than this many intervals say nothing of a node's rhythm: it was away.
const LONGEST_PAUSE_INTERVALS: u32 = 20;

/// One node's chitchat.
pub(super) struct Agent {
    me: ChitchatId,
    handle: ChitchatHandle,
    host: Host,
    live: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
    /// What the known incarnations published, so that only changes are parsed and complained of.
    heard: BTreeMap<ChitchatId, Heard>,
}

/// What an incarnation published up to a version.
struct Heard {
    version: u64,
    node: Option<NodeInfo>,
}

/// What chitchat knows at one moment.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// The newest incarnation of every other node.
    pub(super) nodes: Vec<NodeInfo>,
    /// An incarnation of this very node that outranks us.
    pub(super) rival: Option<Rival>,
}

/// Another process that runs under our node id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rival {
    pub(super) generation: u64,
    pub(super) gossip: SocketAddr,
}

/// Who starts to gossip.
pub(super) struct Introduction {
    /// The name of the cluster.
    pub(super) cluster: String,
    /// This node.
    pub(super) node: NodeInfo,
    /// Where others reach its gossip.
    pub(super) advertise: SocketAddr,
    /// Whom it asks first (`host:port`).
    pub(super) seeds: Vec<String>,
    /// The rhythm.
    pub(super) timing: GossipConfig,
}

impl Agent {
    /// Starts chitchat on `host` with `socket` as its only way out.
    pub(super) async fn start(
        introduction: Introduction,
        pairs: Vec<Pair>,
        socket: SealedSocket,
        mut host: Host,
    ) -> anyhow::Result<Self> {
        let Introduction { cluster, node, advertise, seeds, timing } = introduction;
        let me = ChitchatId::new(node.node_id.as_str(), node.generation, advertise);
        let config = ChitchatConfig {
            chitchat_id: me.clone(),
            cluster_id: cluster,
            gossip_interval: timing.interval,
            listen_addr: advertise,
            seed_nodes: seeds,
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: timing.phi,
                max_interval: timing.interval * LONGEST_PAUSE_INTERVALS,
                initial_interval: timing.interval,
                dead_node_grace_period: timing.grace,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: timing.grace,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let transport = SealedTransport(Mutex::new(Some(socket)));
        let handle = host.launch(spawn_chitchat(config, pairs, &transport)).await?;
        let live = handle.chitchat().lock().await.live_nodes_watcher();
        Ok(Self { me, handle, host, live, heard: BTreeMap::new() })
    }

    /// Waits for a change among the live nodes or what they publish.
    pub(super) async fn changed(&mut self) {
        if self.live.changed().await.is_err() {
            // Chitchat is gone, and whoever waits for its end is told by `terminated`.
            std::future::pending().await
        }
    }

    /// Waits for chitchat's task to end and says why; it should not.
    pub(super) fn terminated(&self) -> impl Future<Output = String> + use<> {
        let end = self.handle.termination_watcher();
        async move { end.await.map_or_else(|error| error.to_string(), |()| "stopped".to_owned()) }
    }

    /// Publishes the pairs that differ from what is published.
    pub(super) async fn publish(&self, pairs: Vec<Pair>) {
        let chitchat = self.handle.chitchat();
        let mut chitchat = chitchat.lock().await;
        self.host.enter(|| {
            let state = chitchat.self_node_state();
            for (key, value) in pairs {
                state.set(key, value);
            }
        });
    }

    /// What is known now, of dead nodes and of those too new to be believed alive as well.
    pub(super) async fn observe(&mut self) -> Observation {
        let chitchat = self.handle.chitchat();
        let chitchat = chitchat.lock().await;
        let Self { me, host, heard, .. } = self;
        host.enter(|| observe(&chitchat, me, heard))
    }

    /// Makes chitchat end by itself, as a bug in it would.
    #[cfg(test)]
    pub(super) fn crash(&self) {
        self.handle.abort();
    }

    /// Stops chitchat and closes its socket. There is no farewell: others notice the silence.
    pub(super) async fn stop(self) {
        if let Err(error) = self.handle.shutdown().await {
            warn!(%error, "gossip had failed before it was stopped");
        }
        self.host.stop().await;
    }
}

fn observe(chitchat: &Chitchat, me: &ChitchatId, heard: &mut BTreeMap<ChitchatId, Heard>) -> Observation {
    let states = chitchat.node_states();
    let live: BTreeSet<_> = chitchat.live_nodes().collect();
    heard.retain(|id, _| states.contains_key(id));
    let mut newest: BTreeMap<&str, (&ChitchatId, NodeInfo)> = BTreeMap::new();
    for (id, state) in states {
        if id.node_id == me.node_id {
            continue;
        }
        let Some(node) = hear(heard, id, state) else { continue };
        let node = NodeInfo { live: live.contains(id), ..node.clone() };
        match newest.get(&*id.node_id) {
            Some((known, _)) if !outranks(id, known) => {}
            _ => drop(newest.insert(&id.node_id, (id, node))),
        }
    }
    let rival = states
        .keys()
        .filter(|id| id.node_id == me.node_id && outranks(id, me))
        .max_by_key(|id| id.generation_id);
    Observation {
        nodes: newest.into_values().map(|(_, node)| node).collect(),
        rival: rival.map(|id| Rival { generation: id.generation_id, gossip: id.gossip_advertise_addr }),
    }
}

/// Of two incarnations of one node the later start counts. Two starts with one number are a mistake, and then every
/// node must settle on the same one.
fn outranks(id: &ChitchatId, other: &ChitchatId) -> bool {
    let address = |id: &ChitchatId| id.gossip_advertise_addr.to_string();
    id.generation_id > other.generation_id
        || (id.generation_id == other.generation_id && address(id) < address(other))
}

fn hear<'a>(
    heard: &'a mut BTreeMap<ChitchatId, Heard>,
    id: &ChitchatId,
    state: &NodeState,
) -> Option<&'a NodeInfo> {
    let version = state.max_version();
    let heard = match heard.entry(id.clone()) {
        Entry::Occupied(entry) if entry.get().version == version => entry.into_mut(),
        entry => {
            let read = Heard { version, node: read(id, state) };
            entry.insert_entry(read).into_mut()
        }
    };
    heard.node.as_ref()
}

fn read(id: &ChitchatId, state: &NodeState) -> Option<NodeInfo> {
    let node_id = NodeId::new(&id.node_id)
        .inspect_err(
            |error| warn!(%error, address = %id.gossip_advertise_addr, "gossip of a node is ignored"),
        )
        .ok()?;
    let who =
        Identity { node_id, generation: id.generation_id, gossip: id.gossip_advertise_addr.to_string() };
    match schema::parse(who, |key| state.get(key)) {
        Ok(node) => Some(node),
        // A node is heard of before its keys arrive.
        Err(error @ SchemaError::Missing(_)) => {
            debug!(node = ?id, %error, "gossip of a node is incomplete");
            None
        }
        Err(error) => {
            warn!(node = ?id, %error, "gossip of a node is ignored");
            None
        }
    }
}

/// Hands chitchat the one socket that is ready for it.
struct SealedTransport(Mutex<Option<SealedSocket>>);

#[async_trait]
impl Transport for SealedTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.0.lock().take().ok_or_else(|| anyhow::anyhow!("the socket is already in use"))?;
        Ok(Box::new(socket))
    }
}

#[async_trait]
impl Socket for SealedSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        SealedSocket::send(self, to, &message.serialize_to_vec()).await;
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let (sender, payload) = self.receive().await?;
            match ChitchatMessage::deserialize(&mut &payload[..]) {
                Ok(message) => return Ok((sender, message)),
                Err(error) => self.undecodable(sender, &error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(generation: u64, address: &str) -> ChitchatId {
        ChitchatId::new("n", generation, address.parse().unwrap())
    }

    #[test]
    fn the_later_start_outranks_and_the_smaller_address_breaks_ties() {
        let cases = [
            ((2, "127.0.0.1:2"), (1, "127.0.0.1:1"), true),
            ((1, "127.0.0.1:1"), (2, "127.0.0.1:2"), false),
            ((1, "127.0.0.1:1"), (1, "127.0.0.1:2"), true),
            ((1, "127.0.0.1:2"), (1, "127.0.0.1:1"), false),
            ((1, "127.0.0.1:1"), (1, "127.0.0.1:1"), false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(outranks(&id(one.0, one.1), &id(other.0, other.1)), expected, "{one:?} {other:?}");
        }
    }
}
