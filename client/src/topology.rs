//! Who owns which keys and where they are, as a node tells it.

use crate::ClientError;
use crate::status::node_id;
use shoal_membership::ring;
use shoal_proto::types::{Key, NodeId, OwnerTable, Phase};
use shoal_proto::wire::kv::v1 as kv;
use std::sync::Arc;

/// Nodes in one topology; more are refused.
const MAX_NODES: usize = 10_000;

/// The agreed ring record as clients need it, with what the node that told it knows of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The cluster's agreed identity, 0 while there is no ring.
    pub cluster_id: u64,
    /// Epoch of the ring record, 0 without one.
    pub epoch: u64,
    /// How far the change to that epoch has come.
    pub phase: Phase,
    /// A hash of the whole record: nodes that agree tell the same.
    pub digest: u64,
    /// Members in the order the owner table counts them, then the gateways.
    pub nodes: Vec<TopologyNode>,
    /// Who owns which vnode; `None` before there is a ring.
    pub table: Option<OwnerTable>,
    /// The node that told it.
    pub told_by: NodeId,
}

/// One node of a [`Topology`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyNode {
    /// Its name.
    pub node_id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// Relative share of the data; 100 is the default.
    pub capacity: u32,
    /// Where its gRPC door is (`host:port`); empty while unknown.
    pub grpc_address: String,
    /// It answers, as far as is known.
    pub live: bool,
    /// It says of itself that all its vnodes are rebuilt.
    pub ready: bool,
    /// It is in the ring record; otherwise it only coordinates.
    pub member: bool,
}

/// What a client routes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topologies {
    /// The newest it was told; `None` until a node has told one.
    pub current: Option<Arc<Topology>>,
    /// The one before, for a while after a change: its nodes are still candidates, and calls to them run to their end.
    pub previous: Option<Arc<Topology>>,
}

/// What a topology is to whoever holds another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// The ring has changed.
    Newer,
    /// The same ring; who lives and where may have changed.
    Same,
    /// Told by a node that is behind.
    Older,
    /// Told by a node of another cluster.
    Foreign,
}

impl Topology {
    /// The preference list of a key, first owner first; empty without a ring.
    pub fn owners(&self, key: &Key) -> impl Iterator<Item = &TopologyNode> {
        self.preference_list(ring::slot(key.as_bytes())).iter().map(|owner| &self.nodes[usize::from(*owner)])
    }

    /// The preference list of a hash slot, as indices into the nodes.
    pub(crate) fn preference_list(&self, slot: u16) -> &[u16] {
        let table = self.table.as_ref();
        table.map_or(&[], |table| table.row(ring::vnode_of_slot(slot, table.vnodes())))
    }

    /// What `told` is to whoever holds this one.
    pub(crate) fn compare(&self, told: &Self) -> News {
        let is_known = |topology: &Self| topology.cluster_id != 0;
        if is_known(self) && is_known(told) && self.cluster_id != told.cluster_id {
            return News::Foreign;
        }
        match told.version().cmp(&self.version()) {
            std::cmp::Ordering::Greater => News::Newer,
            std::cmp::Ordering::Equal => News::Same,
            std::cmp::Ordering::Less => News::Older,
        }
    }

    fn version(&self) -> (u64, Phase) {
        (self.epoch, self.phase)
    }
}

impl TryFrom<kv::TopologyResponse> for Topology {
    type Error = ClientError;

    fn try_from(told: kv::TopologyResponse) -> Result<Self, ClientError> {
        let bad = |why: String| ClientError::Protocol(format!("topology {why}"));
        if told.nodes.len() > MAX_NODES {
            return Err(bad(format!("of {} nodes, {MAX_NODES} are allowed", told.nodes.len())));
        }
        let members = told.nodes.iter().filter(|node| node.member).count();
        let owner = |index: &u32| {
            let known = u16::try_from(*index).ok().filter(|index| usize::from(*index) < members);
            known.ok_or_else(|| bad(format!("with owner {index} of {members} members")))
        };
        let owners: Vec<u16> = told.owners.iter().map(owner).collect::<Result<_, _>>()?;
        let table = (told.epoch > 0).then(|| OwnerTable::new(told.replicas as usize, owners));
        Ok(Self {
            cluster_id: told.cluster_id,
            epoch: told.epoch,
            phase: Phase::from_number(told.phase)
                .ok_or_else(|| bad(format!("in unknown phase {}", told.phase)))?,
            digest: told.digest,
            table: table.transpose().map_err(|error| bad(format!("whose table is none: {error}")))?,
            told_by: node_id(&told.node_id)?,
            nodes: told.nodes.into_iter().map(TopologyNode::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<kv::TopologyNode> for TopologyNode {
    type Error = ClientError;

    fn try_from(node: kv::TopologyNode) -> Result<Self, ClientError> {
        Ok(Self {
            node_id: node_id(&node.node_id)?,
            zone: node.zone,
            capacity: node.capacity,
            grpc_address: node.grpc_address,
            live: node.live,
            ready: node.ready,
            member: node.member,
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A topology of `nodes` nodes named by their index, with `owners` laid end to end.
    pub(crate) fn told(
        cluster_id: u64,
        epoch: u64,
        nodes: u16,
        replicas: u32,
        owners: Vec<u32>,
    ) -> kv::TopologyResponse {
        let node = |i: u16| kv::TopologyNode {
            node_id: format!("node-{i}"),
            zone: format!("zone-{}", i % 3),
            grpc_address: format!("host-{i}:1"),
            live: true,
            ready: true,
            member: true,
            capacity: 100,
        };
        kv::TopologyResponse {
            cluster_id,
            epoch,
            phase: 3,
            replicas,
            nodes: (0..nodes).map(node).collect(),
            owners,
            node_id: "node-0".into(),
            clock_ms: 1,
            digest: epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::told, *};

    fn topology(cluster_id: u64, epoch: u64, phase: u32) -> Topology {
        let response = kv::TopologyResponse { phase, ..told(cluster_id, epoch, 2, 2, vec![0, 1, 1, 0]) };
        response.try_into().unwrap()
    }

    #[test]
    fn neighbouring_slots_share_a_preference_list() {
        let topology = topology(7, 1, 3);
        for (slot, owners) in [(0, [0, 1]), (8_191, [0, 1]), (8_192, [1, 0]), (16_383, [1, 0])] {
            assert_eq!(topology.preference_list(slot), owners, "slot {slot}");
        }
        let key = Key::new("foo").unwrap();
        assert_eq!(topology.owners(&key).map(|node| node.node_id.as_str()).next(), Some("node-1"));
    }

    #[test]
    fn a_topology_is_newer_by_epoch_then_phase_and_foreign_by_its_cluster() {
        let held = topology(7, 2, 1);
        for (cluster_id, epoch, phase, news) in [
            (7, 3, 0, News::Newer),
            (7, 2, 2, News::Newer),
            (7, 2, 1, News::Same),
            (7, 2, 0, News::Older),
            (7, 1, 3, News::Older),
            (8, 3, 0, News::Foreign),
            (8, 1, 0, News::Foreign),
        ] {
            assert_eq!(
                held.compare(&topology(cluster_id, epoch, phase)),
                news,
                "{cluster_id} {epoch} {phase}"
            );
        }
    }

    #[test]
    fn a_node_without_a_ring_has_nothing_new_to_tell() {
        let ringless: Topology =
            kv::TopologyResponse { phase: 0, ..told(0, 0, 1, 0, vec![]) }.try_into().unwrap();
        assert_eq!((&ringless.table, ringless.preference_list(5)), (&None, &[] as &[u16]));
        assert_eq!(topology(7, 1, 3).compare(&ringless), News::Older);
        assert_eq!(ringless.compare(&topology(7, 1, 3)), News::Newer);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let refused = |response: kv::TopologyResponse| match Topology::try_from(response) {
            Err(ClientError::Protocol(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused(told(7, 1, 2, 2, vec![0, 1, 1])),
            "topology whose table is none: owner table of 3 places does not have one row per vnode"
        );
        assert_eq!(
            refused(told(7, 1, 2, 1, vec![0, 1, 1])),
            "topology whose table is none: 3 vnodes: a power of two up to 16384 is required"
        );
        assert_eq!(
            refused(told(7, 1, 2, 0, vec![0])),
            "topology whose table is none: 0 replicas: 1 to 9 are allowed"
        );
        assert_eq!(refused(told(7, 1, 2, 2, vec![0, 2])), "topology with owner 2 of 2 members");
        let phase = kv::TopologyResponse { phase: 9, ..told(7, 1, 2, 2, vec![0, 1]) };
        assert_eq!(refused(phase), "topology in unknown phase 9");
    }
}
