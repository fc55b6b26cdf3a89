//! Builds a node from its modules. The only file that knows them all; it owns the order of starting and stopping.

use crate::{
    admin::ClusterInfo,
    auth::Auth,
    config::NodeConfig,
    coordinator::{Coordinator, CoordinatorConfig, Hints},
    frontend::{
        Door, Gate,
        grpc::GrpcDoor,
        resp::{RespCounters, RespDoor},
    },
    info::{NodeFacts, Parts},
    limits,
    listen::{BindError, Rest, Security, Services, Sockets},
    live::Live,
    metrics::{Connections, DoorName, Metrics},
    rebuild::{Rebuild, RebuildConfig},
    replica::{
        InboundLinks, LocalReplica, Peers, PeersConfig, ReplicaService, Replicas, Reporter, VnodeStates,
        handshake::Identity,
    },
    ring::{LearnError, RingAgent, RingEditor, RingLedger, RingSettings},
    store::{Store, StoreConfig},
};
use futures::future::join_all;
use rand::Rng as _;
use shoal_membership::{
    Cluster, Env, HybridClock, NodeInfo, StateError,
    gossip::{Gossip, GossipError, GossipEvent, GossipSettings},
};
use shoal_proto::types::{Key, NodeId, NodeState, Stamped, Vnode};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long requests in progress have to be answered when the node stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the workers then have to end before they are dropped.
const STOP: Duration = Duration::from_secs(2);
/// Low bits of a generation, drawn once for the life of a state file; the bits above count the starts.
const GENERATION_SALT_BITS: u32 = 20;
/// How often expired entries are reclaimed, and after how many of them whoever else waits for the thread has its turn.
const EXPIRE_EVERY: Duration = Duration::from_millis(100);
const EXPIRE_STEPS: usize = 128;

/// A node cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its state file is unreadable.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state file is another node's.
    #[error(
        "the state file belongs to node {found}, this node is {expected}: give each node its own state directory"
    )]
    OtherNode {
        /// Whose it is.
        found: NodeId,
        /// Who this is.
        expected: NodeId,
    },
    /// The record in the state file does not fit.
    #[error(transparent)]
    Ring(#[from] LearnError),
    /// A door cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The advertised gossip address is no address.
    #[error("advertised gossip address '{0}' is not of the form ip:port")]
    GossipAddress(String),
    /// Gossip cannot start.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// Another process runs under this node's id.
    #[error("duplicate node id {node}: another process runs as generation {generation} at {address}")]
    DuplicateNodeId {
        /// The id.
        node: NodeId,
        /// The other's generation.
        generation: u64,
        /// Where it gossips.
        address: SocketAddr,
    },
    /// Gossip ended by itself.
    #[error("gossip ended: {0}")]
    GossipEnded(String),
}

/// The server as a library call.
pub struct Node;

/// A node at work. Dropped, it stops at once; [`RunningNode::shutdown`] stops it in order.
pub struct RunningNode {
    auth: Arc<Auth>,
    info: Arc<NodeFacts>,
    live: Arc<Live>,
    cluster: Arc<Cluster>,
    local: Arc<LocalReplica>,
    peers: Arc<Peers>,
    coordinator: Arc<Coordinator>,
    gossip: Option<Gossip>,
    /// Closes the doors.
    closing: CancellationToken,
    doors: Vec<JoinHandle<()>>,
    /// Ends everything else, and the doors with it.
    shutdown: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node on bound sockets. It serves at once; it is ready when [`ClusterInfo::is_ready`] says so.
    ///
    /// # Errors
    /// When its state, its configuration or its sockets do not allow it.
    pub async fn start(config: NodeConfig, env: Env, sockets: Sockets) -> Result<RunningNode, NodeError> {
        let state = next_incarnation(&config, &env)?;
        let shutdown = CancellationToken::new();
        let closing = shutdown.child_token();
        let metrics = Arc::new(Metrics::default());
        let auth = Arc::new(Auth::new(config.credentials.clone()));
        let identity = Identity {
            cluster: config.cluster.clone(),
            secrets: config.secrets.clone(),
            node_id: config.node_id.clone(),
            generation: state.generation,
        };

        let live = Arc::new(Live::new(&config));
        let cluster = Arc::new(Cluster::new(describe(&config, &state)));
        let clock = Arc::<HybridClock>::default();
        let ledger = Arc::new(RingLedger::new(
            state,
            env.state.clone(),
            cluster.clone(),
            clock.clone(),
            config.seeds.clone(),
            config.vnodes,
        )?);
        let store = Arc::new(Store::new(StoreConfig {
            max_bytes: config.max_memory,
            policy: config.eviction_policy,
            vnodes: config.vnodes,
            seed: env.seed.derive("store index").0,
            marker_life: limits::MARKER_LIFE,
            marker_share: limits::MARKER_SHARE,
        }));
        let hints = Arc::new(Hints::new(limits::HINT_BYTES_PER_TARGET, hint_bytes(&config), metrics.clone()));
        let local = Arc::new(LocalReplica {
            cluster: cluster.clone(),
            store: store.clone(),
            vnodes: Arc::new(VnodeStates::new(config.vnodes)),
            clock,
            wall: env.wall.clone(),
            ring: ledger.clone(),
            swept: watch::Sender::new(0),
            reporter: OnceLock::new(),
            hints: hints.clone(),
        });
        let peers = Arc::new(Peers::new(
            PeersConfig { identity: identity.clone(), tls: config.tls.clone() },
            cluster.clone(),
            env.clone(),
            shutdown.clone(),
        ));
        let replicas = Replicas { local: local.clone(), peers: peers.clone() };
        let editor = RingEditor::new(ledger.clone(), cluster.clone(), peers.clone(), env.rng("ring edits"));
        let coordinator = Arc::new(Coordinator::new(
            cluster.clone(),
            replicas.clone(),
            Arc::new(editor),
            hints.clone(),
            metrics.clone(),
            CoordinatorConfig { live: live.clone(), read_patience: config.read_patience },
        ));
        let inbound = Arc::<InboundLinks>::default();
        let resp_counters = Arc::new(RespCounters::default());
        let (http_connections, grpc_connections) =
            (Arc::<Connections>::default(), Arc::<Connections>::default());

        // Gossip first: if it cannot start, no door has been opened.
        let gossip = Gossip::start(gossip_settings(&config)?, cluster.clone(), &env).await?;
        let info = Arc::new(NodeFacts::new(Parts {
            cluster_name: config.cluster.clone(),
            cluster: cluster.clone(),
            local: local.clone(),
            peers: peers.clone(),
            inbound: inbound.clone(),
            hints: hints.clone(),
            metrics: metrics.clone(),
            resp: resp_counters.clone(),
            http: http_connections.clone(),
            grpc: grpc_connections.clone(),
            gossip: gossip.counters(),
            tls: config.tls.clone(),
        }));
        let reporter: Weak<dyn Reporter> = Arc::<NodeFacts>::downgrade(&info);
        let _ = local.reporter.set(reporter);

        let settings = RingSettings { replicas: config.replicas, vnodes: config.vnodes };
        let agent = RingAgent::new(ledger, cluster.clone(), peers.clone(), settings, env.rng("ring"));
        let rebuild_config = RebuildConfig { patience: config.rebuild_patience, on_loss: config.on_loss };
        let rebuild = Rebuild::new(cluster.clone(), replicas.clone(), metrics.clone(), rebuild_config);
        let mut workers = vec![
            tokio::spawn(peers.clone().follow()),
            tokio::spawn(agent.run(shutdown.clone())),
            tokio::spawn(rebuild.run(shutdown.clone())),
            tokio::spawn(hints.replay(replicas, cluster.clone(), shutdown.clone())),
            tokio::spawn(expire(local.clone(), shutdown.clone())),
            tokio::spawn(resize(local.clone(), live.clone(), shutdown.clone())),
            tokio::spawn(local.clone().sweep(shutdown.clone())),
            tokio::spawn(info.clone().watch(shutdown.clone())),
        ];
        let rng = env.rng("handshakes");
        let counters = peers.counters();
        let replica = ReplicaService::new(identity, local.clone(), inbound, counters, rng, closing.clone());
        let door = |name| Door::new(coordinator.clone(), metrics.requests.door(name));
        let gate = |name| Gate::new(auth.clone(), metrics.auth_refused.door(name));
        let grpc = GrpcDoor::new(door(DoorName::Grpc), gate(DoorName::Grpc), info.clone(), closing.clone());
        let backend = Arc::new(door(DoorName::Resp));
        let resp = RespDoor::new(backend, gate(DoorName::Resp), info.clone(), resp_counters, live.clone());
        let rest =
            Rest { door: door(DoorName::Rest), gate: gate(DoorName::Rest), connections: http_connections };
        let resp = Arc::new(resp);
        workers.push(tokio::spawn(resp.clone().sweep(shutdown.clone().cancelled_owned())));
        let services = Services { replica, grpc, grpc_connections, resp, rest, info: info.clone() };
        let security = Security { tls: config.tls.clone(), metrics: metrics.clone() };
        let doors = sockets.open(services, &security, &closing);
        let gossip = Some(gossip);
        Ok(RunningNode {
            auth,
            info,
            live,
            cluster,
            local,
            peers,
            coordinator,
            gossip,
            closing,
            doors,
            shutdown,
            workers,
        })
    }
}

impl RunningNode {
    /// Facts about the node and its cluster.
    #[must_use]
    pub fn info(&self) -> Arc<dyn ClusterInfo> {
        self.info.clone()
    }

    /// The settings that can change while the node runs.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.clone()
    }

    /// The credentials that clients are asked for, to be replaced when they change.
    #[must_use]
    pub fn auth(&self) -> Arc<Auth> {
        self.auth.clone()
    }

    /// The node's coordinator, for callers in the same process.
    #[must_use]
    pub fn coordinator(&self) -> Arc<Coordinator> {
        self.coordinator.clone()
    }

    /// Everything the node holds, as of now, in no particular order.
    #[must_use]
    pub fn dump(&self) -> Vec<(Key, Stamped)> {
        let vnodes = self.cluster.view().record().map_or(0, |record| record.table().vnodes());
        let now = self.local.now();
        let mut entries = Vec::new();
        for vnode in (0..vnodes).map(Vnode) {
            let mut after = None;
            loop {
                let (page, next) = self.local.store.scan(vnode, after, usize::MAX, now);
                entries.extend(page);
                match next {
                    Some(hash) => after = Some(hash),
                    None => break,
                }
            }
        }
        entries
    }

    /// Drops every stream to a peer; each is opened again.
    pub fn break_links(&self) {
        self.peers.break_streams();
    }

    /// Waits for something after which the node must not go on.
    pub async fn wait_fatal(&self) -> NodeError {
        let Some(gossip) = &self.gossip else { return NodeError::GossipEnded("stopped".into()) };
        let mut events = gossip.events();
        let event = match events.wait_for(Option::is_some).await {
            Ok(event) => event.clone(),
            Err(_) => None,
        };
        match event {
            Some(GossipEvent::DuplicateNodeId { generation, gossip }) => {
                NodeError::DuplicateNodeId { node: self.cluster.me().node_id, generation, address: gossip }
            }
            Some(GossipEvent::Terminated(why)) => NodeError::GossipEnded(why),
            None => NodeError::GossipEnded("its driver is gone".into()),
        }
    }

    /// Stops: doors close, requests in progress are answered, workers end, gossip falls silent.
    pub async fn shutdown(mut self) {
        self.closing.cancel();
        let doors = std::mem::take(&mut self.doors);
        if tokio::time::timeout(DRAIN, join_all(doors)).await.is_err() {
            tracing::warn!("some requests were not answered in time");
        }
        // Not before: requests in progress need the links to their owners.
        self.shutdown.cancel();
        let workers = std::mem::take(&mut self.workers);
        if tokio::time::timeout(STOP, join_all(workers)).await.is_err() {
            tracing::warn!("some workers did not stop in time");
        }
        if let Some(gossip) = self.gossip.take() {
            gossip.shutdown().await;
        }
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Counts this start of the node, durably, before anyone hears of it.
fn next_incarnation(config: &NodeConfig, env: &Env) -> Result<NodeState, NodeError> {
    let node_id = config.node_id.clone();
    let mut state = env.state.load()?.unwrap_or(NodeState {
        node_id: node_id.clone(),
        // Salted: a node that lost its state file must not take a generation it had before, under which its empty
        // memory would be believed.
        generation: env.rng("generation").next_u64() % (1 << GENERATION_SALT_BITS),
        record: None,
        promised: None,
        accepted: None,
    });
    if state.node_id != node_id {
        return Err(NodeError::OtherNode { found: state.node_id, expected: node_id });
    }
    state.generation += 1 << GENERATION_SALT_BITS;
    env.state.save(&state)?;
    Ok(state)
}

fn describe(config: &NodeConfig, state: &NodeState) -> NodeInfo {
    NodeInfo {
        node_id: config.node_id.clone(),
        generation: state.generation,
        addresses: config.advertise.clone(),
        zone: config.zone.clone(),
        capacity: config.capacity,
        ring: None,
        ready: false,
        live: true,
    }
}

fn gossip_settings(config: &NodeConfig) -> Result<GossipSettings, NodeError> {
    let advertise = &config.advertise.gossip;
    Ok(GossipSettings {
        cluster: config.cluster.clone(),
        secrets: config.secrets.clone(),
        listen: config.listen.gossip,
        advertise: advertise.parse().map_err(|_| NodeError::GossipAddress(advertise.clone()))?,
        seeds: config.seeds.iter().filter(|seed| *seed != advertise).cloned().collect(),
        timing: config.gossip.clone(),
    })
}

/// What all hints together may take.
fn hint_bytes(config: &NodeConfig) -> usize {
    usize::try_from(config.max_memory / limits::HINT_MEMORY_DIVISOR).unwrap_or(usize::MAX)
}

async fn expire(local: Arc<LocalReplica>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EXPIRE_EVERY) => {}
        }
        // However many expire at once, all are reclaimed now, and nobody waits for more than a few of them.
        while local.store.expire(local.now(), EXPIRE_STEPS) == EXPIRE_STEPS && !shutdown.is_cancelled() {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets the store follow its limit.
async fn resize(local: Arc<LocalReplica>, live: Arc<Live>, shutdown: CancellationToken) {
    let mut changes = live.changes();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            // The sender lives as long as `live`.
            _ = changes.changed() => local.store.set_max_bytes(live.max_memory()),
        }
    }
}
