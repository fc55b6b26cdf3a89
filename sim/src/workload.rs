//! What clients do: unrelated callers, each on a machine of its own, mostly after the same few keys.

use crate::{
    cluster::Cluster,
    content::{KeyId, WriteId},
    history::{Action, Answer, Operation, SimTime},
    journal::Journal,
    options::{Access, Options},
    session::{Call, Session},
};
use futures::future::join_all;
use madsim::{runtime::Handle, task::JoinHandle};
use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use shoal_proto::types::Consistency;
use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// For how long most calls go to one key before they turn to another.
const FOCUS: Duration = Duration::from_millis(1_500);
const FOCUSED_PERCENT: u32 = 60;
/// How many calls follow the one before at once.
const BURST_PERCENT: u32 = 40;
/// How many calls go to another node than the one before although that one answered.
const WANDER_PERCENT: u32 = 5;
/// Nodes that are tried before a call is given up.
const CONNECTIONS_PER_CALL: usize = 3;
const SMALL_BYTES: usize = 400;
/// Beyond what travels with other operations.
const LARGE_BYTES: std::ops::Range<usize> = 60_000..150_000;

/// What clients share.
#[derive(Clone)]
pub(crate) struct World {
    /// The run.
    pub(crate) options: Arc<Options>,
    /// The nodes.
    pub(crate) cluster: Arc<Cluster>,
    /// Where calls are written down.
    pub(crate) journal: Arc<Journal>,
    /// Calls that are left to be made.
    pub(crate) budget: Arc<AtomicU32>,
    /// Calls that faults made.
    pub(crate) pressed: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Numbers from here on belong to the callers that faults send.
const FIRST_PRESSING: u16 = 100;

/// Makes one call at QUORUM without waiting for it, by a client of its own.
pub(crate) fn press(world: &World, via: usize, key: KeyId, action: Action) {
    let mut pressed = world.pressed.lock().unwrap_or_else(PoisonError::into_inner);
    let number = FIRST_PRESSING + pressed.len() as u16;
    let mut client = Client::new(number, world.clone());
    let call = async move {
        client.perform(via, key, action, Consistency::Quorum, SMALL_BYTES).await;
    };
    pressed.push(machine(number).spawn(call));
}

/// Waits for all calls that faults made.
pub(crate) async fn pressed(world: &World) {
    let calls = std::mem::take(&mut *world.pressed.lock().unwrap_or_else(PoisonError::into_inner));
    join_all(calls).await;
}

/// Starts all clients. Each returns once the calls of the run are used up.
pub(crate) fn start(world: &World) -> Vec<JoinHandle<()>> {
    let start = |number| {
        let client = Client { access: world.options.access, ..Client::new(number, world.clone()) };
        machine(number).spawn(async move { client.work().await })
    };
    (0..world.options.clients).map(start).collect()
}

/// After the heal: every kind of call through every node on every key, each of which must succeed. Returns those that
/// did not.
pub(crate) async fn check_service(world: &World) -> Vec<Operation> {
    let number = world.options.clients;
    let mut client = Client::new(number, world.clone());
    let service = async move {
        let mut failures = Vec::new();
        for key in 0..client.world.options.keys {
            let node = usize::from(key) % client.world.cluster.size();
            let actions =
                [Action::Read, Action::Write { ttl: None }, Action::Read, Action::Delete, Action::Read];
            for action in actions {
                let operation =
                    client.perform(node, KeyId(key), action, Consistency::Quorum, SMALL_BYTES).await;
                failures.extend(operation.reached().is_none().then_some(operation));
            }
            let operation =
                client.perform(node, KeyId(key), Action::Read, Consistency::One, SMALL_BYTES).await;
            failures.extend(operation.reached().is_none().then_some(operation));
        }
        // Last: it takes everything away.
        for (node, action) in [(0, Action::Flush), (1, Action::Flush), (2, Action::Read)] {
            let operation = client.perform(node, KeyId(0), action, Consistency::All, SMALL_BYTES).await;
            failures.extend(operation.reached().is_none().then_some(operation));
        }
        failures
    };
    machine(number).spawn(service).await.unwrap_or_default()
}

/// Streams that stalled under faults take a few seconds to be given up.
const READ_ALL_ATTEMPTS: u32 = 20;

/// Reads every key at ALL, as users who want their owners brought up to date would: hints die with the coordinator that
/// keeps them, and what they held is then found by read repair alone.
pub(crate) async fn read_all_owners(world: &World) {
    let number = world.options.clients + 1;
    let mut client = Client::new(number, world.clone());
    let reads = async move {
        for key in 0..client.world.options.keys {
            let node = usize::from(key) % client.world.cluster.size();
            for _ in 0..READ_ALL_ATTEMPTS {
                client.think().await;
                let read =
                    client.perform(node, KeyId(key), Action::Read, Consistency::All, SMALL_BYTES).await;
                if read.reached().is_some() {
                    break;
                }
            }
        }
    };
    _ = machine(number).spawn(reads).await;
}

fn machine(client: u16) -> madsim::runtime::NodeHandle {
    let [high, low] = client.to_be_bytes();
    let ip = Ipv4Addr::new(10, 1, high, low);
    Handle::current().create_node().name(format!("client-{client}")).ip(ip.into()).build()
}

struct Client {
    number: u16,
    sequence: u32,
    access: Access,
    session: Option<Session>,
    rng: StdRng,
    world: World,
}

impl Client {
    fn new(number: u16, world: World) -> Self {
        let rng = world.options.stream(&format!("client {number}"));
        Self { number, sequence: 0, access: Access::Contact, session: None, rng, world }
    }

    async fn work(mut self) {
        let take_one = |left: u32| left.checked_sub(1);
        while self.world.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
            self.think().await;
            let node = self.choose_node();
            let (key, action, level, size) = self.draw();
            let operation = self.perform(node, key, action, level, size).await;
            let is_bound = self.access == Access::Contact;
            if (is_bound && operation.reached().is_none()) || self.rng.random_ratio(WANDER_PERCENT, 100) {
                self.session = None;
            }
        }
    }

    async fn think(&mut self) {
        let pause = if self.rng.random_ratio(BURST_PERCENT, 100) {
            Duration::from_micros(self.rng.random_range(0..3_000))
        } else {
            // The rest makes up for the bursts.
            let longest = self.world.options.think * 2 * 100 / (100 - BURST_PERCENT);
            self.rng.random_range(Duration::ZERO..=longest)
        };
        sleep(pause).await;
    }

    /// The node it is connected to, or any that is up.
    fn choose_node(&mut self) -> usize {
        let connected = self.session.as_ref().and_then(|session| session.node);
        connected.or_else(|| self.world.cluster.up().choose(&mut self.rng).copied()).unwrap_or(0)
    }

    fn draw(&mut self) -> (KeyId, Action, Consistency, usize) {
        let options = self.world.options.clone();
        let (mix, rng) = (&options.mix, &mut self.rng);
        if mix.flushes > 0 && rng.random_ratio(mix.flushes, 1_000) {
            return (KeyId(0), Action::Flush, Consistency::All, 0);
        }
        let key = if rng.random_ratio(FOCUSED_PERCENT, 100) {
            let slice = self.world.journal.elapsed().as_millis() / FOCUS.as_millis();
            (xxh3_64_with_seed(&slice.to_le_bytes(), options.seed) % u64::from(options.keys)) as u16
        } else {
            rng.random_range(0..options.keys)
        };
        let action = match rng.random_range(0..100) {
            percent if percent < mix.deletes => Action::Delete,
            percent if percent < mix.deletes + mix.writes => {
                let ttl = rng.random_ratio(mix.with_ttl, 100).then(|| {
                    Duration::from_millis(rng.random_range(100..=options.ttl_max.as_millis() as u64))
                });
                Action::Write { ttl }
            }
            _ => Action::Read,
        };
        let is_large = rng.random_ratio(mix.large, 100);
        let size = rng.random_range(if is_large { LARGE_BYTES } else { 0..SMALL_BYTES });
        (KeyId(key), action, options.draw_level(rng), size)
    }

    /// Makes one call and writes it down.
    async fn perform(
        &mut self,
        node: usize,
        key: KeyId,
        action: Action,
        level: Consistency,
        size: usize,
    ) -> Operation {
        self.sequence += 1;
        let write = WriteId { client: self.number, sequence: self.sequence, key };
        let connected = self.connect(node).await;
        let start = self.world.journal.now();
        let (via, answer) = match (connected, &self.session) {
            (Ok(()), Some(session)) => {
                (session.node, session.call(&Call { action, write, size, level }).await)
            }
            (Err(error), _) => (Some(node), Answer::Failed { maybe: false, error }),
            (Ok(()), None) => unreachable!("connecting leaves a session"),
        };
        self.record(write, via, action, level, start, answer)
    }

    /// Connects to `node`, or to another one that is up if that fails.
    async fn connect(&mut self, node: usize) -> Result<(), String> {
        if self.session.as_ref().is_some_and(|session| session.node.is_none_or(|at| at == node)) {
            return Ok(());
        }
        if self.access != Access::Contact {
            return self.connect_routed().await;
        }
        let mut target = node;
        let mut last_error = String::new();
        for _ in 0..CONNECTIONS_PER_CALL {
            let address = self.world.cluster.client_address(target);
            match Session::open(target, address, self.world.options.request_timeout).await {
                Ok(session) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(error) => last_error = error.to_string(),
            }
            target = self.world.cluster.up().choose(&mut self.rng).copied().unwrap_or(node);
        }
        Err(last_error)
    }

    /// Makes a client that knows all nodes, and asks them in an order of its own.
    async fn connect_routed(&mut self) -> Result<(), String> {
        let Options { request_timeout, read_patience, .. } = *self.world.options;
        let cluster = &self.world.cluster;
        let mut addresses: Vec<String> =
            (0..cluster.size()).map(|node| cluster.client_address(node)).collect();
        addresses.shuffle(&mut self.rng);
        let hedge_after = (self.access == Access::Hedged).then_some(read_patience);
        let session = Session::route(&addresses, request_timeout, hedge_after, self.rng.random()).await;
        self.session = Some(session.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn record(
        &self,
        write: WriteId,
        via: Option<usize>,
        action: Action,
        level: Consistency,
        start: SimTime,
        answer: Answer,
    ) -> Operation {
        let WriteId { client, sequence, key } = write;
        let end = self.world.journal.now();
        let operation = Operation { client, sequence, via, key, action, level, start, end, answer };
        self.world.journal.operation(operation.clone());
        operation
    }
}
