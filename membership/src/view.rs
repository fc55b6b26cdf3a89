//! What one node knows of its cluster, published as immutable snapshots.

use crate::node_info::NodeInfo;
use crate::ring;
use parking_lot::Mutex;
use shoal_proto::types::{Generations, NodeId, RingRecord, Stamp, Tag, Vnode, WriterId};
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};
use tokio::sync::watch;

/// A snapshot of the cluster as one node sees it. Never mutated after publication.
#[derive(Debug, Clone)]
pub struct ClusterView {
    me: NodeId,
    record: Option<Arc<RingRecord>>,
    /// Parallel to the record's members.
    members: Vec<MemberView>,
    my_index: Option<u16>,
    nodes: BTreeMap<NodeId, NodeInfo>,
}

/// A member of the ring with what this node knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its name.
    pub node_id: NodeId,
    /// The highest generation this node has heard of.
    pub generation: u64,
    /// Whether it is worth asking first: gossip and our own calls both think it lives.
    pub live: bool,
    /// Where its replica service listens; empty while unknown.
    pub peer_address: String,
}

impl ClusterView {
    /// This node's name.
    #[must_use]
    pub fn me(&self) -> &NodeId {
        &self.me
    }

    /// The adopted ring record.
    #[must_use]
    pub fn record(&self) -> Option<&Arc<RingRecord>> {
        self.record.as_ref()
    }

    /// This node's place among the members; `None` for a gateway.
    #[must_use]
    pub fn my_index(&self) -> Option<u16> {
        self.my_index
    }

    /// The writer id of this node's tags; `None` for a gateway.
    #[must_use]
    pub fn my_writer(&self) -> Option<WriterId> {
        let record = self.record.as_ref()?;
        Some(record.members()[usize::from(self.my_index?)].writer_id)
    }

    /// Members in the order the owner table counts them.
    #[must_use]
    pub fn members(&self) -> &[MemberView] {
        &self.members
    }

    /// The member at `index` of the owner table.
    #[must_use]
    pub fn member(&self, index: u16) -> &MemberView {
        &self.members[usize::from(index)]
    }

    /// Every node gossip tells of, this one and gateways included.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<NodeId, NodeInfo> {
        &self.nodes
    }

    /// The vnode of a key; `None` before there is a ring.
    #[must_use]
    pub fn vnode_of(&self, key: &[u8]) -> Option<Vnode> {
        Some(ring::vnode_of(key, self.record.as_ref()?.table().vnodes()))
    }

    /// The preference list of a vnode; empty before there is a ring.
    #[must_use]
    pub fn owners(&self, vnode: Vnode) -> &[u16] {
        self.record.as_ref().map_or(&[], |record| record.table().row(vnode))
    }

    /// What this node believes about a vnode; `None` before there is a ring.
    #[must_use]
    pub fn stamp(&self, vnode: Vnode) -> Option<Stamp> {
        let record = self.record.as_ref()?;
        Some(Stamp { epoch: record.epoch(), phase: record.phase(), generations: self.generations(vnode) })
    }

    /// The generations of a vnode's owners, in preference-list order.
    #[must_use]
    pub fn generations(&self, vnode: Vnode) -> Generations {
        self.owners(vnode).iter().map(|owner| self.member(*owner).generation).collect()
    }

    /// Whether a version of this tag is gone because the cluster was flushed since.
    #[must_use]
    pub fn flushes(&self, tag: Tag) -> bool {
        self.record.as_ref().is_some_and(|record| record.settings().flushes(tag))
    }

    /// The vnodes this node owns, in order.
    #[must_use]
    pub fn my_vnodes(&self) -> Vec<Vnode> {
        let (Some(record), Some(me)) = (&self.record, self.my_index) else { return Vec::new() };
        let rows = record.table().rows().enumerate();
        rows.filter(|(_, row)| row.contains(&me)).map(|(vnode, _)| Vnode(vnode as u16)).collect()
    }
}

/// Collects what is learnt of the cluster and publishes it as [`ClusterView`]s.
#[derive(Debug)]
pub struct Cluster {
    // Held while a view is built, never across an await.
    facts: Mutex<Facts>,
    views: watch::Sender<Arc<ClusterView>>,
}

#[derive(Debug)]
struct Facts {
    me: NodeInfo,
    record: Option<Arc<RingRecord>>,
    nodes: BTreeMap<NodeId, NodeInfo>,
    /// The highest generation heard of, by any way.
    generations: BTreeMap<NodeId, u64>,
    /// Nodes our own calls cannot reach.
    unreachable: BTreeSet<NodeId>,
}

impl Cluster {
    /// The cluster as known to `me`, which has just started and met nobody.
    #[must_use]
    pub fn new(me: NodeInfo) -> Self {
        let generations = BTreeMap::from([(me.node_id.clone(), me.generation)]);
        let facts = Facts {
            nodes: BTreeMap::from([(me.node_id.clone(), me.clone())]),
            me,
            record: None,
            generations,
            unreachable: BTreeSet::new(),
        };
        let (views, _) = watch::channel(Arc::new(facts.view()));
        Self { facts: Mutex::new(facts), views }
    }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        self.views.borrow().clone()
    }

    /// Follows the views; a change is announced once per publication.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.views.subscribe()
    }

    /// What this node publishes of itself.
    #[must_use]
    pub fn me(&self) -> NodeInfo {
        self.facts.lock().me.clone()
    }

    /// Replaces what gossip tells of the other nodes. Of several incarnations of one node only the newest counts.
    pub fn observe_nodes(&self, nodes: impl IntoIterator<Item = NodeInfo>) {
        self.change(|facts| {
            let mut newest: BTreeMap<NodeId, NodeInfo> = BTreeMap::new();
            for node in nodes.into_iter().filter(|node| node.node_id != facts.me.node_id) {
                match newest.get(&node.node_id) {
                    Some(known) if known.generation >= node.generation => {}
                    _ => drop(newest.insert(node.node_id.clone(), node)),
                }
            }
            for node in newest.values() {
                facts.observe_generation(&node.node_id, node.generation);
            }
            newest.insert(facts.me.node_id.clone(), facts.me.clone());
            if newest == facts.nodes {
                return false;
            }
            facts.nodes = newest;
            true
        });
    }

    /// Publishes a record if it is newer than the one at hand. The caller has made it durable.
    pub fn publish_record(&self, record: Arc<RingRecord>) {
        self.change(|facts| {
            if facts.record.as_ref().is_some_and(|known| known.number() >= record.number()) {
                return false;
            }
            facts.record = Some(record);
            true
        });
    }

    /// Learns that `node` runs as `generation`. Returns whether that was news.
    pub fn observe_generation(&self, node: &NodeId, generation: u64) -> bool {
        self.change(|facts| facts.observe_generation(node, generation))
    }

    /// Learns from our own calls whether `node` can be reached.
    pub fn observe_reachable(&self, node: &NodeId, reachable: bool) {
        self.change(|facts| {
            if reachable { facts.unreachable.remove(node) } else { facts.unreachable.insert(node.clone()) }
        });
    }

    /// Publishes whether all vnodes of this node are rebuilt.
    pub fn set_ready(&self, ready: bool) {
        self.change(|facts| {
            let changed = facts.me.ready != ready;
            facts.me.ready = ready;
            facts.nodes.insert(facts.me.node_id.clone(), facts.me.clone());
            changed
        });
    }

    fn change(&self, apply: impl FnOnce(&mut Facts) -> bool) -> bool {
        let mut facts = self.facts.lock();
        let changed = apply(&mut facts);
        if changed {
            // Sent under the lock, so that views are published in the order of the changes.
            self.views.send_replace(Arc::new(facts.view()));
        }
        changed
    }
}

impl Facts {
    fn observe_generation(&mut self, node: &NodeId, generation: u64) -> bool {
        // Our own generation comes from our state file, never from hearsay.
        if *node == self.me.node_id {
            return false;
        }
        let known = self.generations.entry(node.clone()).or_default();
        let news = generation > *known;
        *known = generation.max(*known);
        news
    }

    fn view(&self) -> ClusterView {
        let members = self.record.iter().flat_map(|record| record.members()).map(|member| {
            let gossiped = self.nodes.get(&member.node_id);
            let known = self.generations.get(&member.node_id).copied().unwrap_or_default();
            let is_me = member.node_id == self.me.node_id;
            MemberView {
                node_id: member.node_id.clone(),
                generation: known.max(member.generation_floor),
                live: is_me
                    || (gossiped.is_some_and(|n| n.live) && !self.unreachable.contains(&member.node_id)),
                peer_address: gossiped
                    .map(|n| n.addresses.grpc.clone())
                    .filter(|address| !address.is_empty())
                    .unwrap_or_else(|| member.peer_address.clone()),
            }
        });
        ClusterView {
            me: self.me.node_id.clone(),
            record: self.record.clone(),
            members: members.collect(),
            my_index: self.record.as_ref().and_then(|record| record.index_of(&self.me.node_id)),
            nodes: self.nodes.clone(),
        }
    }
}
