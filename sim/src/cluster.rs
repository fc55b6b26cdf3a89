//! The joint with the server: boots real nodes on simulated machines and lets the harness reach into them.

use crate::{
    content::KeyId,
    fault::{Step, Weather},
    journal::Journal,
    options::Options,
    skew::SkewedClock,
    snapshot::Snapshot,
};
use madsim::{net::NetSim, runtime::Handle, task::NodeId as Machine, time::TimeHandle};
use rand::{Rng, seq::SliceRandom};
use shoal_membership::{
    Addresses, Env, Secrets, Seed,
    config::GossipConfig,
    env::{MemoryState, StateFile},
};
use shoal_node::{
    Node, NodeError, RunningNode, Sockets,
    config::{ClientGrants, ListenAddresses, NodeConfig, OnLoss},
};
use shoal_proto::types::{Consistency, NodeId, UnixMillis};
use std::{
    collections::BTreeMap,
    future::pending,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

const RESP_PORT: u16 = 7379;
const HTTP_PORT: u16 = 7380;
const GRPC_PORT: u16 = 7381;
const GOSSIP_PORT: u16 = 7382;
/// Ample: eviction is not what these runs are about.
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// Time between two looks at the nodes.
const POLL: Duration = Duration::from_millis(100);

/// The nodes of a run.
pub(crate) struct Cluster {
    members: Vec<Member>,
    keys: u16,
}

struct Member {
    machine: Machine,
    name: NodeId,
    running: Slot,
}

/// Where a node that has started can be reached by the harness; empty while it is down.
type Slot = Arc<Mutex<Option<Arc<RunningNode>>>>;

impl Cluster {
    /// Starts all nodes. They still have to find each other.
    pub(crate) fn boot(options: &Options, epoch: UnixMillis) -> Self {
        let members = (0..options.nodes).map(|node| Member::create(node, options, epoch)).collect();
        Self { members, keys: options.keys }
    }

    /// How many nodes there are.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// Where clients reach a node.
    pub(crate) fn client_address(&self, node: usize) -> String {
        address(node, GRPC_PORT).to_string()
    }

    /// The nodes that have started and not died since.
    pub(crate) fn up(&self) -> Vec<usize> {
        (0..self.size()).filter(|node| self.members[*node].running().is_some()).collect()
    }

    /// The nodes that are not up with all their vnodes rebuilt.
    pub(crate) fn unready(&self) -> Vec<usize> {
        let is_ready = |node: &Member| node.running().is_some_and(|running| running.info().is_ready());
        (0..self.size()).filter(|node| !is_ready(&self.members[*node])).collect()
    }

    /// Waits until every node is ready, at most `limit`. Returns whether they are.
    pub(crate) async fn await_ready(&self, limit: Duration) -> bool {
        let all_ready = async {
            while !self.unready().is_empty() {
                sleep(POLL).await;
            }
        };
        timeout(limit, all_ready).await.is_ok()
    }

    /// All nodes in random order, but the owners of `key` first.
    pub(crate) fn nodes_around(&self, key: KeyId, rng: &mut impl Rng) -> Vec<usize> {
        let mut nodes = self.owners().remove(&key).unwrap_or_default();
        nodes.shuffle(rng);
        let mut others: Vec<usize> = (0..self.size()).filter(|node| !nodes.contains(node)).collect();
        others.shuffle(rng);
        nodes.extend(others);
        nodes
    }

    /// Does one step of a fault to a node or the network.
    pub(crate) fn apply(&self, step: Step) {
        let handle = Handle::current();
        let net = NetSim::current();
        let machine = |node: usize| self.members[node].machine;
        match step {
            Step::Kill(node) => {
                handle.kill(machine(node));
                self.members[node].forget();
            }
            Step::Start(node) => handle.restart(machine(node)),
            Step::Pause(node) => handle.pause(machine(node)),
            Step::Resume(node) => handle.resume(machine(node)),
            Step::Cut { from, to } => net.clog_link(machine(from), machine(to)),
            Step::Mend { from, to } => net.unclog_link(machine(from), machine(to)),
            Step::BreakStreams(node) => {
                if let Some(running) = self.members[node].running() {
                    running.break_links();
                }
            }
            Step::Weather(weather) => set_weather(weather),
            Step::Write(_) | Step::Read(_) | Step::Wait(_) | Step::AwaitReady(_) => {}
        }
    }

    /// The stores of all nodes that are up, judged by the fastest clock.
    pub(crate) fn snapshot(&self, journal: &Journal, clock_bound: Duration) -> Snapshot {
        let at = journal.now();
        let fastest = UnixMillis(journal.epoch().0 + at.plus(clock_bound).0 / 1_000);
        let stores = self.members.iter().enumerate();
        let stores = stores.filter_map(|(node, member)| Some((node, member.running()?.dump())));
        Snapshot::new(at, fastest, stores, self.owners())
    }

    /// Who owns the keys of the workload, as any node that is up sees it.
    fn owners(&self) -> BTreeMap<KeyId, Vec<usize>> {
        let Some(info) = self.members.iter().find_map(Member::running).map(|running| running.info()) else {
            return BTreeMap::new();
        };
        let ranges = info.slot_ranges();
        let owners_of = |key: KeyId| {
            let slot = info.key_slot(key.to_key().as_bytes());
            let range = ranges.iter().find(|range| (range.start..=range.end).contains(&slot))?;
            let owners = range.owners.iter();
            Some((key, owners.filter_map(|owner| self.number_of(&owner.node_id)).collect()))
        };
        (0..self.keys).map(KeyId).filter_map(owners_of).collect()
    }

    fn number_of(&self, name: &NodeId) -> Option<usize> {
        self.members.iter().position(|member| member.name == *name)
    }
}

impl Member {
    /// Makes a machine that starts the node now, and again whenever it is restarted.
    fn create(node: usize, options: &Options, epoch: UnixMillis) -> Self {
        let config = node_config(node, options);
        let name = config.node_id.clone();
        let running = Slot::default();
        let boot = Arc::new(Boot {
            config,
            clock: Arc::new(SkewedClock {
                epoch,
                skew: options.skews[node].clone(),
                time: TimeHandle::current(),
            }),
            seed: Seed(options.seed).derive(name.as_str()),
            state: Arc::new(MemoryState::default()),
            boots: AtomicU64::new(0),
            running: running.clone(),
        });
        let handle = Handle::current();
        let machine = handle.create_node().name(name.as_str()).ip(ip(node));
        let machine = machine.init(move || boot.clone().run()).build();
        Self { machine: machine.id(), name, running }
    }

    fn running(&self) -> Option<Arc<RunningNode>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a machine needs to start its node, and what it keeps when the node dies.
struct Boot {
    config: NodeConfig,
    clock: Arc<SkewedClock>,
    seed: Seed,
    state: Arc<dyn StateFile>,
    boots: AtomicU64,
    running: Slot,
}

impl Boot {
    async fn run(self: Arc<Self>) {
        // A node that starts again draws new randomness, as it would in production.
        let boot = self.boots.fetch_add(1, Ordering::Relaxed);
        let seed = self.seed.derive(&format!("boot {boot}"));
        let env = Env { wall: self.clock.clone(), seed, state: self.state.clone() };
        match self.start(env).await {
            Ok(node) => {
                *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(node));
            }
            Err(error) => tracing::error!(node = %self.config.node_id, %error, "node did not start"),
        }
        // The machine ends when this returns.
        pending::<()>().await;
    }
}

impl Boot {
    async fn start(&self, env: Env) -> Result<RunningNode, NodeError> {
        let sockets = Sockets::bind(&self.config.listen).await?;
        Node::start(self.config.clone(), env, sockets).await
    }
}

/// Changes the network between all machines.
pub(crate) fn set_weather(weather: Weather) {
    NetSim::current().update_config(|config| {
        config.packet_loss_rate = f64::from(weather.loss_percent) / 100.0;
        let shortest = Duration::from_millis(weather.latency_min_ms);
        config.send_latency =
            shortest..Duration::from_millis(weather.latency_max_ms.max(1) + 1).max(shortest);
    });
}

fn node_config(node: usize, options: &Options) -> NodeConfig {
    let advertise = Addresses {
        gossip: address(node, GOSSIP_PORT).to_string(),
        grpc: address(node, GRPC_PORT).to_string(),
        resp: address(node, RESP_PORT).to_string(),
        http: address(node, HTTP_PORT).to_string(),
    };
    NodeConfig {
        cluster: "simulation".to_owned(),
        secrets: Secrets::new(["a secret that only the nodes of this run share"]),
        tls: None,
        credentials: Default::default(),
        node_id: NodeId::new(&format!("node-{node}")).unwrap_or_else(|_| unreachable!("a plain name")),
        seeds: (0..options.nodes).map(|seed| address(seed, GOSSIP_PORT).to_string()).collect(),
        zone: String::new(),
        capacity: 100,
        listen: ListenAddresses {
            resp: address(node, RESP_PORT),
            http: address(node, HTTP_PORT),
            grpc: address(node, GRPC_PORT),
            gossip: address(node, GOSSIP_PORT),
        },
        advertise,
        gossip: GossipConfig { interval: options.gossip_interval, ..GossipConfig::local() },
        replicas: options.replicas,
        vnodes: options.vnodes,
        read_consistency: Consistency::One,
        write_consistency: Consistency::One,
        request_timeout: options.request_timeout,
        read_patience: options.read_patience,
        max_memory: MEMORY_BYTES,
        eviction_policy: Default::default(),
        rebuild_patience: options.rebuild_patience,
        on_loss: OnLoss::Reset,
        clients: ClientGrants::default(),
        told: Vec::new(),
    }
}

fn address(node: usize, port: u16) -> SocketAddr {
    SocketAddr::new(ip(node), port)
}

fn ip(node: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, 1 + node as u8).into()
}
