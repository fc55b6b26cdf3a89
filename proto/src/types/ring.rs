use super::{Consistency, NodeId, Tag, WriterId};
use std::collections::BTreeSet;

/// The most vnodes a cluster can have: one per hash slot.
pub const MAX_VNODES: u32 = 16_384;
/// The most members a ring record can name.
pub const MAX_MEMBERS: usize = 1_024;
/// The most owners a vnode can have.
pub const MAX_REPLICAS: usize = 9;

/// A block of neighbouring hash slots: the unit of placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vnode(pub u16);

/// How far the change to a record's epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The old owners alone.
    Old,
    /// Write both, read the old owners.
    WriteBothReadOld,
    /// Write both, read the new owners.
    WriteBothReadNew,
    /// The new owners alone: the change is finished.
    New,
}

impl Phase {
    /// The phase's number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Old => 0,
            Self::WriteBothReadOld => 1,
            Self::WriteBothReadNew => 2,
            Self::New => 3,
        }
    }

    /// The phase with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Old, Self::WriteBothReadOld, Self::WriteBothReadNew, Self::New]
            .into_iter()
            .find(|p| p.number() == number)
    }
}

/// One member of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub node_id: NodeId,
    /// No incarnation below this generation belongs to the cluster.
    pub generation_floor: u64,
    /// Unique among members.
    pub writer_id: WriterId,
    /// The failure domain it stands in.
    pub zone: String,
    /// Relative share of the data; 100 is the default.
    pub capacity: u32,
    /// Where peers reach it (`host:port`) unless gossip says otherwise; may be empty.
    pub peer_address: String,
}

/// The preference list of every vnode, as indices into the record's members.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerTable {
    replicas: usize,
    owners: Vec<u16>,
}

/// The parts do not make a ring record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// The number of vnodes is not a power of two between 1 and [`MAX_VNODES`].
    #[error("{0} vnodes: a power of two up to {MAX_VNODES} is required")]
    Vnodes(u32),
    /// The number of owners per vnode is out of range.
    #[error("{0} replicas: 1 to {MAX_REPLICAS} are allowed")]
    Replicas(usize),
    /// The table's length is not vnodes times replicas.
    #[error("owner table of {0} places does not have one row per vnode")]
    TableLength(usize),
    /// A row names a member twice or one that does not exist.
    #[error("vnode {0} does not have distinct existing owners")]
    Row(u16),
    /// No member, too many, or a name, writer id or capacity that is not allowed.
    #[error("invalid members: {0}")]
    Members(&'static str),
    /// Epochs begin at 1 and clusters have an id.
    #[error("record without {0}")]
    Missing(&'static str),
    /// The phase number is unknown.
    #[error("unknown phase {0}")]
    Phase(u32),
}

impl OwnerTable {
    /// A table from its rows laid end to end, `replicas` places each.
    ///
    /// # Errors
    /// When a bound is exceeded or a row names a member twice. That members exist is checked by [`RingRecord::new`].
    pub fn new(replicas: usize, owners: Vec<u16>) -> Result<Self, InvalidRecord> {
        if !(1..=MAX_REPLICAS).contains(&replicas) {
            return Err(InvalidRecord::Replicas(replicas));
        }
        if !owners.len().is_multiple_of(replicas) {
            return Err(InvalidRecord::TableLength(owners.len()));
        }
        let vnodes = owners.len() / replicas;
        if !vnodes.is_power_of_two() || vnodes > MAX_VNODES as usize {
            return Err(InvalidRecord::Vnodes(u32::try_from(vnodes).unwrap_or(u32::MAX)));
        }
        for (vnode, row) in owners.chunks_exact(replicas).enumerate() {
            if row.iter().enumerate().any(|(i, owner)| row[..i].contains(owner)) {
                return Err(InvalidRecord::Row(vnode as u16));
            }
        }
        Ok(Self { replicas, owners })
    }

    /// How many vnodes there are.
    #[must_use]
    pub fn vnodes(&self) -> u16 {
        (self.owners.len() / self.replicas) as u16
    }

    /// Owners per vnode.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// The preference list of `vnode`.
    ///
    /// # Panics
    /// When the vnode is not in the table.
    #[must_use]
    pub fn row(&self, vnode: Vnode) -> &[u16] {
        let start = usize::from(vnode.0) * self.replicas;
        &self.owners[start..start + self.replicas]
    }

    /// All rows in vnode order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.owners.chunks_exact(self.replicas)
    }

    /// All rows laid end to end.
    #[must_use]
    pub fn places(&self) -> &[u16] {
        &self.owners
    }
}

impl std::fmt::Debug for OwnerTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnerTable({} vnodes x {})", self.vnodes(), self.replicas)
    }
}

/// Settings that belong to the cluster rather than to a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Tag bits of the last cluster-wide flush: everything at or under it is gone. 0 if there was none.
    pub flush_tag: u64,
    /// Seeds the hash by which nodes name keys to each other. Whoever chooses keys must not know it. 0 in records of old.
    pub hash_seed: u64,
}

/// The agreed record: who the members are and who owns what, numbered by epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingRecord {
    cluster_id: u64,
    epoch: u64,
    phase: Phase,
    members: Vec<Member>,
    table: OwnerTable,
    settings: Settings,
}

impl Settings {
    /// Whether a version of this tag is gone because the whole cluster was flushed since.
    #[must_use]
    pub fn flushes(&self, tag: Tag) -> bool {
        tag.to_bits() <= self.flush_tag
    }
}

impl RingRecord {
    /// A record from its parts.
    ///
    /// # Errors
    /// When a rule of the record is broken; the error names it.
    pub fn new(
        cluster_id: u64,
        epoch: u64,
        phase: Phase,
        members: Vec<Member>,
        table: OwnerTable,
        settings: Settings,
    ) -> Result<Self, InvalidRecord> {
        if cluster_id == 0 {
            return Err(InvalidRecord::Missing("a cluster id"));
        }
        if epoch == 0 {
            return Err(InvalidRecord::Missing("an epoch"));
        }
        if members.is_empty() || members.len() > MAX_MEMBERS {
            return Err(InvalidRecord::Members("there must be 1 to 1024"));
        }
        let names: BTreeSet<_> = members.iter().map(|m| &m.node_id).collect();
        let writers: BTreeSet<_> = members.iter().map(|m| m.writer_id).collect();
        if names.len() != members.len() || writers.len() != members.len() {
            return Err(InvalidRecord::Members("node ids and writer ids must be unique"));
        }
        if members.iter().any(|m| m.writer_id.is_client() || m.capacity == 0) {
            return Err(InvalidRecord::Members("writer ids must be members' and capacities positive"));
        }
        for (vnode, row) in table.rows().enumerate() {
            if row.iter().any(|owner| usize::from(*owner) >= members.len()) {
                return Err(InvalidRecord::Row(vnode as u16));
            }
        }
        Ok(Self { cluster_id, epoch, phase, members, table, settings })
    }

    /// The record of the next epoch that differs from this one in its settings alone: nothing moves, so there are no
    /// phases to go through.
    #[must_use]
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self { epoch: self.epoch + 1, phase: Phase::New, settings, ..self.clone() }
    }

    /// The cluster's random identity.
    #[must_use]
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// The record's number.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How far the change to this epoch has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Members, in the order the table counts them.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The owner table.
    #[must_use]
    pub fn table(&self) -> &OwnerTable {
        &self.table
    }

    /// The cluster's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What orders records: the higher one is the newer truth.
    #[must_use]
    pub fn number(&self) -> (u64, Phase) {
        (self.epoch, self.phase)
    }

    /// The index of a member in the table.
    #[must_use]
    pub fn index_of(&self, node: &NodeId) -> Option<u16> {
        self.members.iter().position(|m| m.node_id == *node).map(|i| i as u16)
    }

    /// How many owners make a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        Consistency::Quorum.required(self.table.replicas())
    }
}

/// A Paxos ballot for the record of one epoch: larger ballots win, proposers break ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot {
    /// Counted up by every attempt.
    pub round: u64,
    /// Who made it.
    pub proposer: NodeId,
}

/// What a node must not forget across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The node this state belongs to.
    pub node_id: NodeId,
    /// Counts the node's starts.
    pub generation: u64,
    /// The last record the node adopted.
    pub record: Option<RingRecord>,
    /// The highest ballot promised for the epoch after `record`.
    pub promised: Option<Ballot>,
    /// The ballot and record accepted for the epoch after `record`.
    pub accepted: Option<(Ballot, RingRecord)>,
}
