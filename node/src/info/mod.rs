//! [`ClusterInfo`] over the parts of a running node.

mod load;
mod scrape;
mod survey;

use crate::{
    admin::{
        ClusterInfo, ClusterStatus, HotKey, NodeAddress, NodeReport, NodeStats, NodeStatus, PeerLink,
        SlotRange, Topology, TopologyNode,
    },
    coordinator::Hints,
    frontend::resp::RespCounters,
    limits,
    metrics::{self, Connections, Metrics},
    replica::{InboundLinks, LocalReplica, Peers, Reporter},
    tls::Tls,
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use load::Load;
use parking_lot::Mutex;
use shoal_membership::{
    Cluster, ClusterView, NodeInfo,
    gossip::GossipCounters,
    ring::{
        self,
        table::{self, OwnedSlots},
    },
};
use shoal_proto::types::NodeId;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use survey::Survey;
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// How often the node's load is looked at.
const PULSE: Duration = Duration::from_secs(1);

/// Reads, never changes.
pub(crate) struct NodeFacts {
    parts: Parts,
    started: Instant,
    // Held for an instant by the worker and by reports.
    pulse: Mutex<Pulse>,
    survey: Survey,
}

/// What there is to read of a node.
pub(crate) struct Parts {
    pub(crate) cluster_name: String,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) local: Arc<LocalReplica>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) inbound: Arc<InboundLinks>,
    pub(crate) hints: Arc<Hints>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) resp: Arc<RespCounters>,
    pub(crate) http: Arc<Connections>,
    pub(crate) grpc: Arc<Connections>,
    pub(crate) gossip: Arc<GossipCounters>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// How busy the node has been, as of the last second.
#[derive(Default)]
struct Pulse {
    load: Load,
    hot_keys: Vec<HotKey>,
}

impl NodeFacts {
    /// Facts about a node that starts now.
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, started: Instant::now(), pulse: Mutex::default(), survey: Survey::default() }
    }

    /// Feels the node's pulse every second, until shutdown.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PULSE) => {}
            }
            let (now, requests) = (Instant::now(), &self.parts.metrics.requests);
            let hot_keys = requests.hottest(limits::HOT_KEYS_REPORTED, now.duration_since(before));
            let mut pulse = self.pulse.lock();
            pulse.load.note(now.duration_since(self.started), requests.total());
            pulse.hot_keys = hot_keys;
            before = now;
        }
    }
}

impl Reporter for NodeFacts {
    fn report(&self) -> NodeReport {
        let pulse = self.pulse.lock();
        NodeReport {
            stats: self.stats(),
            requests_per_second: pulse.load.per_second(),
            hot_keys: pulse.hot_keys.clone(),
        }
    }
}

impl ClusterInfo for NodeFacts {
    fn me(&self) -> NodeAddress {
        let view = self.parts.cluster.view();
        address(&view, view.me())
    }

    fn redis_id(&self, node: &NodeId) -> String {
        redis_id(node)
    }

    fn key_slot(&self, key: &[u8]) -> u16 {
        ring::slot(key)
    }

    fn slot_ranges(&self) -> Vec<SlotRange> {
        let view = self.parts.cluster.view();
        let Some(record) = view.record() else { return Vec::new() };
        let dialable = |owner: u16| {
            let address = address(&view, &view.member(owner).node_id);
            (!address.host.is_empty() && address.port != 0).then_some(address)
        };
        let ranges =
            table::slot_ranges(record.table()).into_iter().map(|OwnedSlots { start, end, owners }| {
                // Gossip may not have told of an owner yet. Every node answers for every key, so this one can stand in.
                let mut owners: Vec<NodeAddress> = owners.into_iter().filter_map(dialable).collect();
                if owners.is_empty() {
                    owners.push(address(&view, view.me()));
                }
                SlotRange { start, end, owners }
            });
        ranges.collect()
    }

    fn stats(&self) -> NodeStats {
        let store = self.parts.local.store.stats();
        let (hints, hint_bytes) = self.parts.hints.size();
        let owned = self.parts.cluster.view().my_vnodes().len() as u32;
        NodeStats {
            entries: store.entries,
            expiring: store.expiring,
            markers: store.markers,
            bytes: store.charged_bytes(),
            max_bytes: store.max_bytes,
            hits: store.hits,
            misses: store.misses,
            evictions: store.evictions,
            expirations: store.expirations,
            vnodes_owned: owned,
            vnodes_ready: self.parts.local.vnodes.ready_count().min(owned),
            hints,
            hint_bytes,
            connections: self.parts.resp.connections.open(),
            commands: self.parts.resp.commands(),
            requests: self.parts.metrics.requests.total(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
        }
    }

    fn status(&self) -> ClusterStatus {
        let view = self.parts.cluster.view();
        let record = view.record();
        let nodes = view.nodes().values().map(|info| {
            let index = record.and_then(|record| record.index_of(&info.node_id));
            let owned = record.zip(index).map_or(0, |(record, index)| {
                record.table().places().iter().filter(|owner| **owner == index).count()
            });
            NodeStatus {
                member: index.is_some(),
                live: index.map_or(info.live, |index| view.member(index).live),
                owned_vnodes: owned as u32,
                info: info.clone(),
            }
        });
        ClusterStatus {
            cluster: self.parts.cluster_name.clone(),
            cluster_id: record.map_or(0, |r| r.cluster_id()),
            epoch: record.map_or(0, |r| r.epoch()),
            phase: record.map_or(0, |r| r.phase().number()),
            vnodes: record.map_or(0, |r| r.table().vnodes().into()),
            replicas: record.map_or(0, |r| r.table().replicas() as u32),
            me: view.me().clone(),
            nodes: nodes.collect(),
        }
    }

    fn survey(&self) -> BoxFuture<'_, BTreeMap<NodeId, NodeReport>> {
        let view = self.parts.cluster.view();
        let others = view.nodes().keys().filter(|node| *node != view.me()).cloned();
        let asked = self.survey.reports(&self.parts.peers, others.collect());
        let me = view.me().clone();
        async move {
            let mut reports = asked.await;
            reports.insert(me, self.report());
            reports
        }
        .boxed()
    }

    fn topologies(&self) -> BoxStream<'static, Topology> {
        let mut last = None;
        let views = WatchStream::new(self.parts.cluster.subscribe());
        // Most views differ in what clients need not know.
        let changes = views.filter_map(move |view| {
            let topology = topology(&view);
            let news = last.as_ref() != Some(&topology);
            last = Some(topology.clone());
            ready(news.then_some(topology))
        });
        changes.boxed()
    }

    fn links(&self) -> Vec<PeerLink> {
        [self.parts.peers.links(), self.parts.inbound.list()].concat()
    }

    fn is_ready(&self) -> bool {
        self.parts.cluster.me().ready
    }

    fn resident_bytes(&self) -> Option<u64> {
        metrics::resident_bytes()
    }

    fn metrics_text(&self) -> String {
        self.parts.metrics.text(scrape::families(&self.parts, &self.stats()))
    }
}

fn topology(view: &ClusterView) -> Topology {
    let record = view.record();
    let members =
        record.iter().flat_map(|record| record.members()).zip(view.members()).map(|(member, seen)| {
            let gossiped = view.nodes().get(&member.node_id);
            TopologyNode {
                node_id: member.node_id.clone(),
                zone: gossiped.map_or(&member.zone, |node| &node.zone).clone(),
                grpc_address: seen.peer_address.clone(),
                live: seen.live,
                ready: gossiped.is_some_and(|node| node.ready),
                member: true,
                capacity: member.capacity,
            }
        });
    let is_gateway = |node: &&NodeInfo| record.is_none_or(|r| r.index_of(&node.node_id).is_none());
    let gateways = view.nodes().values().filter(is_gateway).map(|node| TopologyNode {
        node_id: node.node_id.clone(),
        zone: node.zone.clone(),
        grpc_address: node.addresses.grpc.clone(),
        live: node.live,
        ready: node.ready,
        member: false,
        capacity: node.capacity,
    });
    Topology {
        cluster_id: record.map_or(0, |r| r.cluster_id()),
        epoch: record.map_or(0, |r| r.epoch()),
        phase: record.map_or(0, |r| r.phase().number()),
        digest: record.map_or(0, |r| ring::digest(r)),
        replicas: record.map_or(0, |r| r.table().replicas() as u32),
        nodes: members.chain(gateways).collect(),
        owners: record.map_or_else(Vec::new, |r| r.table().places().to_vec()),
    }
}

fn redis_id(node: &NodeId) -> String {
    let name = node.as_str().as_bytes();
    format!("{:032x}{:08x}", xxh3_128(name), xxh3_64(name) as u32)
}

fn address(view: &ClusterView, node_id: &NodeId) -> NodeAddress {
    let resp = view.nodes().get(node_id).map(|node| node.addresses.resp.as_str()).unwrap_or_default();
    let (host, port) = resp.rsplit_once(':').unwrap_or((resp, ""));
    NodeAddress {
        node_id: node_id.clone(),
        redis_id: redis_id(node_id),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().unwrap_or(0),
    }
}
