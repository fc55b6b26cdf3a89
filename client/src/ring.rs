use crate::status::node_id;
use crate::{Client, ClientError};
use shoal_proto::types::{NodeId, OwnerTable, Phase};
use shoal_proto::wire::kv::v1::{self as kv, kv_client::KvClient};

/// The agreed ring record as one node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The node that answered.
    pub node_id: NodeId,
    /// The cluster's agreed identity, 0 before there is a ring.
    pub cluster_id: u64,
    /// Epoch of the record, 0 without one.
    pub epoch: u64,
    /// How far the change to that epoch has come.
    pub phase: Phase,
    /// A hash of the whole record: nodes that agree tell the same.
    pub digest: u64,
    /// The members in the order in which the table counts them, then the gateways.
    pub nodes: Vec<RingNode>,
    /// Who owns which vnode; `None` before there is a ring.
    pub table: Option<OwnerTable>,
}

/// A node as the answering one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingNode {
    /// Its name.
    pub node_id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// Relative share of the data; 100 is the default.
    pub capacity: u32,
    /// It is in the ring record.
    pub member: bool,
    /// It answers.
    pub live: bool,
    /// It says of itself that all its vnodes are rebuilt.
    pub ready: bool,
}

impl Client {
    /// The ring as the connected node has it at this moment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ring(&self) -> Result<Ring, ClientError> {
        let first = self.over_channel(async |channel| {
            let mut kv = KvClient::new(channel);
            kv.topology(kv::TopologyRequest {}).await?.into_inner().message().await
        });
        let ring = first.await?.ok_or_else(|| ClientError::Protocol("no topology was told".into()))?;
        ring.try_into()
    }
}

impl TryFrom<kv::TopologyResponse> for Ring {
    type Error = ClientError;

    fn try_from(topology: kv::TopologyResponse) -> Result<Self, ClientError> {
        let nodes = topology.nodes.into_iter().map(RingNode::try_from).collect::<Result<Vec<_>, _>>()?;
        let members = nodes.iter().filter(|node| node.member).count();
        let owners = topology.owners.iter().map(|owner| match u16::try_from(*owner) {
            Ok(index) if usize::from(index) < members => Ok(index),
            _ => Err(ClientError::Protocol(format!("owner {owner} is not one of {members} members"))),
        });
        let owners = owners.collect::<Result<Vec<u16>, _>>()?;
        let table = (topology.epoch > 0).then(|| OwnerTable::new(topology.replicas as usize, owners));
        Ok(Self {
            node_id: node_id(&topology.node_id)?,
            cluster_id: topology.cluster_id,
            epoch: topology.epoch,
            phase: Phase::from_number(topology.phase)
                .ok_or_else(|| ClientError::Protocol(format!("unknown phase {}", topology.phase)))?,
            digest: topology.digest,
            nodes,
            table: table.transpose().map_err(|error| ClientError::Protocol(error.to_string()))?,
        })
    }
}

impl TryFrom<kv::TopologyNode> for RingNode {
    type Error = ClientError;

    fn try_from(node: kv::TopologyNode) -> Result<Self, ClientError> {
        Ok(Self {
            node_id: node_id(&node.node_id)?,
            zone: node.zone,
            capacity: node.capacity,
            member: node.member,
            live: node.live,
            ready: node.ready,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> kv::TopologyResponse {
        let node =
            |name: &str, member| kv::TopologyNode { node_id: name.into(), member, ..Default::default() };
        kv::TopologyResponse {
            epoch: 1,
            phase: 3,
            replicas: 2,
            nodes: vec![node("n1", true), node("n2", true), node("gateway", false)],
            owners: vec![0, 1, 1, 0],
            node_id: "n1".into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_table_is_made_of_members_alone() {
        let table = Ring::try_from(topology()).unwrap().table.unwrap();
        assert!(table.rows().eq([[0, 1], [1, 0]]));
        let strange = kv::TopologyResponse { owners: vec![0, 2, 1, 0], ..topology() };
        let why = ClientError::Protocol("owner 2 is not one of 2 members".into());
        assert_eq!(Ring::try_from(strange), Err(why));
        let ragged = kv::TopologyResponse { owners: vec![0, 1, 1], ..topology() };
        assert!(matches!(Ring::try_from(ragged), Err(ClientError::Protocol(_))));
    }

    #[test]
    fn before_there_is_a_ring_there_is_no_table() {
        let bare = kv::TopologyResponse { epoch: 0, phase: 0, replicas: 0, owners: vec![], ..topology() };
        let ring = Ring::try_from(bare).unwrap();
        assert_eq!((ring.epoch, ring.table, ring.nodes.len()), (0, None, 3));
    }
}
