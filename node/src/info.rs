//! [`ClusterInfo`] over the parts of a running node.

use crate::{
    admin::{
        ClusterInfo, ClusterStatus, NodeAddress, NodeReport, NodeStats, NodeStatus, SlotRange, Topology,
        TopologyNode,
    },
    coordinator::Hints,
    frontend::resp::RespCounters,
    metrics::Metrics,
    replica::{LocalReplica, Peers},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use prometheus_client::metrics::gauge::Gauge;
use shoal_membership::{
    Cluster, ClusterView, NodeInfo,
    gossip::GossipCounters,
    ring::{
        self,
        table::{self, OwnedSlots},
    },
};
use shoal_proto::types::NodeId;
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Reads, never changes.
pub(crate) struct NodeFacts {
    pub(crate) cluster_name: String,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) local: Arc<LocalReplica>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) hints: Arc<Hints>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) resp: Arc<RespCounters>,
    pub(crate) gossip: Arc<GossipCounters>,
    pub(crate) gauges: Gauges,
    pub(crate) started: Instant,
}

/// What a scrape reads off the moment it comes.
#[derive(Default)]
pub(crate) struct Gauges(Vec<(Gauge, Read)>);

type Read = fn(&NodeFacts, &NodeStats) -> u64;

impl Gauges {
    /// Registers the gauges with `metrics`.
    #[must_use]
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let all: [(&str, &str, Read); 26] = [
            ("store_entries", "Values held", |_, s| s.entries),
            ("store_markers", "Tombstones and expired markers held", |_, s| s.markers),
            ("store_bytes", "Bytes held", |_, s| s.bytes),
            ("store_max_bytes", "Limit on the bytes held", |_, s| s.max_bytes),
            ("store_hits", "Reads of the own copy that found a value", |_, s| s.hits),
            ("store_misses", "Reads of the own copy that found none", |_, s| s.misses),
            ("store_evictions", "Values evicted", |_, s| s.evictions),
            ("store_expirations", "Values expired", |_, s| s.expirations),
            ("vnodes_owned", "Vnodes this node owns", |_, s| s.vnodes_owned.into()),
            ("vnodes_ready", "Vnodes this node votes for", |_, s| s.vnodes_ready.into()),
            ("hints", "Hints kept for others", |_, s| s.hints),
            ("hint_bytes", "Their bytes", |_, s| s.hint_bytes),
            ("resp_connections", "RESP connections open", |_, s| s.connections),
            ("resp_commands", "RESP commands received", |_, s| s.commands),
            ("peers_up", "Peers with a stream that stands", |f, _| f.peers.up_count() as u64),
            ("members", "Members of the ring", |f, _| f.cluster.view().members().len() as u64),
            ("ring_epoch", "Epoch of the ring record", |f, _| {
                f.cluster.view().record().map_or(0, |r| r.epoch())
            }),
            ("gossip_sealed", "Gossip datagrams sent", |f, _| f.gossip.snapshot().sealed),
            ("gossip_opened", "Gossip datagrams understood", |f, _| f.gossip.snapshot().opened),
            ("gossip_refused_malformed", "Gossip datagrams that are none", |f, _| {
                f.gossip.snapshot().refused_malformed
            }),
            ("gossip_refused_other_cluster", "Gossip datagrams of another cluster", |f, _| {
                f.gossip.snapshot().refused_other_cluster
            }),
            ("gossip_refused_unsealed", "Gossip datagrams where only one side has a secret", |f, _| {
                f.gossip.snapshot().refused_unsealed
            }),
            ("gossip_refused_bad_seal", "Gossip datagrams that no secret opens", |f, _| {
                f.gossip.snapshot().refused_bad_seal
            }),
            ("gossip_oversized", "Gossip messages too large to send", |f, _| f.gossip.snapshot().oversized),
            ("gossip_send_failed", "Gossip datagrams the system would not send", |f, _| {
                f.gossip.snapshot().send_failed
            }),
            ("uptime_milliseconds", "Time since start", |_, s| s.uptime_ms),
        ];
        let register = |(name, help, read): (&str, &str, Read)| {
            let gauge: Gauge = Gauge::default();
            metrics.register(|registry| registry.register(name, help, gauge.clone()));
            (gauge, read)
        };
        Self(all.into_iter().map(register).collect())
    }
}

impl ClusterInfo for NodeFacts {
    fn me(&self) -> NodeAddress {
        let view = self.cluster.view();
        address(&view, view.me())
    }

    fn key_slot(&self, key: &[u8]) -> u16 {
        ring::slot(key)
    }

    fn slot_ranges(&self) -> Vec<SlotRange> {
        let view = self.cluster.view();
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
        let store = self.local.store.stats();
        let (hints, hint_bytes) = self.hints.size();
        let owned = self.cluster.view().my_vnodes().len() as u32;
        NodeStats {
            entries: store.entries,
            markers: store.markers,
            bytes: store.bytes + store.marker_bytes,
            max_bytes: store.max_bytes,
            hits: store.hits,
            misses: store.misses,
            evictions: store.evictions,
            expirations: store.expirations,
            vnodes_owned: owned,
            vnodes_ready: self.local.vnodes.ready_count().min(owned),
            hints,
            hint_bytes,
            connections: self.resp.open(),
            commands: self.resp.commands(),
            requests: self.metrics.reads.get() + self.metrics.writes.get(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
        }
    }

    fn status(&self) -> ClusterStatus {
        let view = self.cluster.view();
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
            cluster: self.cluster_name.clone(),
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
        let report = NodeReport { stats: self.stats(), ..NodeReport::default() };
        ready(BTreeMap::from([(self.cluster.view().me().clone(), report)])).boxed()
    }

    fn topologies(&self) -> BoxStream<'static, Topology> {
        let mut last = None;
        let views = WatchStream::new(self.cluster.subscribe());
        // Most views differ in what clients need not know.
        let changes = views.filter_map(move |view| {
            let topology = topology(&view);
            let news = last.as_ref() != Some(&topology);
            last = Some(topology.clone());
            ready(news.then_some(topology))
        });
        changes.boxed()
    }

    fn is_ready(&self) -> bool {
        self.cluster.me().ready
    }

    fn metrics_text(&self) -> String {
        let stats = self.stats();
        for (gauge, read) in &self.gauges.0 {
            gauge.set(i64::try_from(read(self, &stats)).unwrap_or(i64::MAX));
        }
        self.metrics.text()
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

fn address(view: &ClusterView, node_id: &NodeId) -> NodeAddress {
    let resp = view.nodes().get(node_id).map(|node| node.addresses.resp.as_str()).unwrap_or_default();
    let (host, port) = resp.rsplit_once(':').unwrap_or((resp, ""));
    let name = node_id.as_str().as_bytes();
    NodeAddress {
        node_id: node_id.clone(),
        redis_id: format!("{:032x}{:08x}", xxh3_128(name), xxh3_64(name) as u32),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().unwrap_or(0),
    }
}
