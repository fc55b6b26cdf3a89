//! Doubles that the tests of this door share.

use super::{Backend, RespCounters, RespDoor};
use crate::{
    admin::{
        ClusterInfo, ClusterStatus, NodeAddress, NodeReport, NodeStats, NodeStatus, PeerLink, SlotRange,
        Topology,
    },
    auth::Auth,
    coordinator::{
        CoordinatorError, ExistedReply, FlushReply, GetReply, RequestOptions, ScanReply, SetReply, SlotReply,
    },
    frontend::{Command, Gate, Reply},
    metrics::{DoorName, DoorRequests, Metrics, Tally},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use parking_lot::Mutex;
use shoal_membership::{Addresses, NodeInfo};
use shoal_proto::types::{Key, NodeId, UnixMillis, Value};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::oneshot;

pub(super) use crate::test_support::{live, outcome};

pub(super) fn value(text: &str) -> Value {
    Value::new(text.to_owned()).unwrap()
}

/// The key of a command; nothing where it is about all keys.
fn name(command: &Command) -> &[u8] {
    command.key().map_or(&[], Key::as_bytes)
}

/// A map that answers at once what is local, and the rest when told to.
pub(super) struct MapBackend {
    map: Mutex<BTreeMap<Key, Value>>,
    requests: DoorRequests,
    /// Keys that begin with `r` are remote.
    remote: bool,
    /// Remote commands begun and not yet finished, in the order they began.
    pub(super) held: Mutex<Vec<(Command, RequestOptions, oneshot::Sender<()>)>>,
}

impl Default for MapBackend {
    fn default() -> Self {
        let requests = Metrics::default().requests.door(DoorName::Resp);
        Self { map: Mutex::default(), requests, remote: false, held: Mutex::default() }
    }
}

impl MapBackend {
    /// One whose keys that begin with `r` are remote.
    pub(super) fn remote() -> Arc<Self> {
        Arc::new(Self { remote: true, ..Self::default() })
    }

    /// Lets the remote command at `index` of those held go on.
    pub(super) fn release(&self, index: usize) {
        let (.., go) = self.held.lock().remove(index);
        let _ = go.send(());
    }

    /// The keys of the remote commands held.
    pub(super) fn held_keys(&self) -> Vec<String> {
        let held = self.held.lock();
        held.iter().map(|(command, ..)| String::from_utf8_lossy(name(command)).into_owned()).collect()
    }

    fn run(&self, command: Command) -> Result<Reply, CoordinatorError> {
        let mut map = self.map.lock();
        let outcome = outcome();
        if name(&command).ends_with(b"!") {
            return Err(CoordinatorError::NotReady);
        }
        Ok(match command {
            Command::Get(key) => Reply::Value(GetReply { value: map.get(&key).cloned(), outcome }),
            Command::Set(key, value, _) => {
                map.insert(key, value);
                Reply::Stored(SetReply { outcome })
            }
            Command::Delete(key) => {
                Reply::Deleted(ExistedReply { existed: map.remove(&key).is_some(), outcome })
            }
            Command::GetAndExpire(key, _) => {
                Reply::Value(GetReply { value: map.get(&key).cloned(), outcome })
            }
            Command::Expire(key, _) | Command::ExpireIf(key, ..) => {
                Reply::Touched(ExistedReply { existed: map.contains_key(&key), outcome })
            }
            // A map has no owners.
            Command::Explain(_) => return Err(CoordinatorError::NotReady),
            Command::Usage(key) => Reply::Usage(map.get(&key).map(|value| value.as_bytes().len() as u64)),
            Command::Flush { .. } => {
                map.clear();
                let tag = shoal_proto::types::Tag::from_bits(1).unwrap();
                Reply::Flushed(FlushReply { tag, epoch: 2, adopted: 1, members: 1 })
            }
            Command::Scan(_) => Reply::Scanned(ScanReply { keys: map.keys().cloned().collect(), cursor: 0 }),
            Command::Slot { limit, .. } => {
                let keys = map.keys().take(limit as usize).cloned().collect();
                Reply::Slot(SlotReply { count: map.len() as u64, keys })
            }
        })
    }
}

impl Backend for MapBackend {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_700_000_000_123)
    }

    fn tally(&self) -> Tally {
        self.requests.tally()
    }

    fn try_execute(
        &self,
        command: Command,
        _: &RequestOptions,
        _: &mut Tally,
    ) -> Result<Result<Reply, CoordinatorError>, Command> {
        if command.key().is_none() || (self.remote && name(&command).starts_with(b"r")) {
            return Err(command);
        }
        Ok(self.run(command))
    }

    fn conclude(&self, _: &mut Tally) {}

    fn execute(
        &self,
        command: Command,
        options: RequestOptions,
    ) -> BoxFuture<'_, Result<Reply, CoordinatorError>> {
        let (go, gone) = oneshot::channel();
        self.held.lock().push((command.clone(), options, go));
        async move {
            let _ = gone.await;
            self.run(command)
        }
        .boxed()
    }
}

/// A cluster of three nodes.
pub(super) struct ThreeNodes;

fn address(port: u16) -> NodeAddress {
    NodeAddress {
        node_id: NodeId::new(&format!("node-{port}")).unwrap(),
        redis_id: format!("{port:040x}"),
        host: "127.0.0.1".into(),
        port,
    }
}

impl ClusterInfo for ThreeNodes {
    fn me(&self) -> NodeAddress {
        address(1)
    }

    fn redis_id(&self, node: &NodeId) -> String {
        let port = node.as_str().trim_start_matches("node-");
        address(port.parse().unwrap()).redis_id
    }

    fn key_slot(&self, key: &[u8]) -> u16 {
        key.len() as u16
    }

    fn slot_ranges(&self) -> Vec<SlotRange> {
        vec![
            SlotRange { start: 0, end: 8191, owners: vec![address(1), address(2)] },
            SlotRange { start: 8192, end: 16_383, owners: vec![address(2), address(3)] },
        ]
    }

    fn stats(&self) -> NodeStats {
        NodeStats {
            entries: 5,
            bytes: 100,
            max_bytes: 1000,
            hits: 3,
            uptime_ms: 90_000,
            ..NodeStats::default()
        }
    }

    fn status(&self) -> ClusterStatus {
        let node = |port| NodeStatus {
            info: NodeInfo {
                node_id: address(port).node_id,
                generation: 1,
                addresses: Addresses::default(),
                zone: String::new(),
                capacity: 100,
                ring: None,
                ready: true,
                live: port != 3,
            },
            member: true,
            live: port != 3,
            owned_vnodes: 1,
        };
        ClusterStatus {
            cluster: "test".into(),
            cluster_id: 1,
            epoch: 7,
            phase: 3,
            vnodes: 2,
            replicas: 2,
            me: address(1).node_id,
            nodes: (1..=3).map(node).collect(),
        }
    }

    fn survey(&self) -> BoxFuture<'_, BTreeMap<NodeId, NodeReport>> {
        let report = NodeReport { stats: self.stats(), ..NodeReport::default() };
        ready(BTreeMap::from([(address(1).node_id, report)])).boxed()
    }

    fn topologies(&self) -> BoxStream<'static, Topology> {
        futures::stream::empty().boxed()
    }

    fn links(&self) -> Vec<PeerLink> {
        let link = |port, dialled| PeerLink {
            node: address(port).node_id,
            dialled,
            age: Duration::from_millis(123),
        };
        vec![link(2, true), link(2, false)]
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn resident_bytes(&self) -> Option<u64> {
        Some(150)
    }

    fn metrics_text(&self) -> String {
        String::new()
    }
}

pub(super) fn door(backend: Arc<MapBackend>) -> Arc<RespDoor> {
    Arc::new(open_door(backend))
}

/// A door that asks nobody for anything.
pub(super) fn open_door(backend: Arc<MapBackend>) -> RespDoor {
    guarded_door(backend, Arc::default())
}

/// A door that asks for the credentials of `auth`.
pub(super) fn guarded_door(backend: Arc<MapBackend>, auth: Arc<Auth>) -> RespDoor {
    let gate = Gate::new(auth, Metrics::default().auth_refused.door(DoorName::Resp));
    RespDoor::new(backend, gate, Arc::new(ThreeNodes), Arc::new(RespCounters::default()), Arc::new(live()))
}
