use super::{
    Ballot, Generations, Key, NodeId, NodeReport, Phase, RingRecord, Stamped, Tag, Value, Version, Vnode,
};

/// Why an entry is written: only users' writes count as use of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A client's request.
    User,
    /// Read repair.
    Repair,
    /// A hint that is replayed.
    Hint,
    /// A round pulls it from another owner.
    Round,
    /// A rebuild pulls it from another owner.
    Rebuild,
}

/// Where the next page of a pull begins: after this hash within this vnode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullCursor {
    /// The vnode last sent from.
    pub vnode: Vnode,
    /// The last hash sent from it.
    pub hash: u64,
}

/// Which keys a listing asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListing {
    /// Of which vnodes, ascending.
    pub vnodes: Vec<Vnode>,
    /// Of this hash slot alone.
    pub slot: Option<u16>,
    /// Where the last page ended. Of a hash only the upper [`KeyListing::POSITION_BITS`] count: pages end between two
    /// of these, so that a position fits a cursor of a client.
    pub after: Option<PullCursor>,
    /// About how many keys a page may have.
    pub limit: u32,
    /// The incarnation that is asked: another one keeps its keys in another order, and refuses.
    pub source_generation: u64,
}

impl KeyListing {
    /// How much of a hash tells where a page ended.
    pub const POSITION_BITS: u32 = 32;
}

/// What one node may ask of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaOp {
    /// What do you hold under `key`? The value is sent only if it is newer than `known`.
    Read {
        /// The key.
        key: Key,
        /// What the coordinator has already.
        known: Option<Version>,
    },
    /// Keep `entry` under `key` unless a larger version stands there.
    Write {
        /// The key.
        key: Key,
        /// The new state.
        entry: Stamped,
        /// Why it is written.
        cause: Cause,
    },
    /// "I restarted with empty memory as this generation": adopt it, then say what you hold.
    RebuildBegin {
        /// Who rebuilds.
        node: NodeId,
        /// Its new generation.
        generation: u64,
        /// Of which vnodes.
        vnodes: Vec<Vnode>,
    },
    /// Send the entries of these vnodes, page by page.
    RebuildPull {
        /// Who rebuilds.
        node: NodeId,
        /// Its generation.
        generation: u64,
        /// Of which vnodes, ascending.
        vnodes: Vec<Vnode>,
        /// Where the last page ended.
        after: Option<PullCursor>,
        /// About how large a page may be.
        max_bytes: u32,
        /// The incarnation that is asked: another one has other memory, and refuses.
        source_generation: u64,
    },
    /// Paxos, first phase.
    RingPrepare {
        /// For the record of this epoch.
        epoch: u64,
        /// The proposer's ballot.
        ballot: Ballot,
        /// Who votes, sorted.
        voters: Vec<String>,
    },
    /// Paxos, second phase.
    RingAccept {
        /// The proposer's ballot.
        ballot: Ballot,
        /// The proposed record.
        record: Box<RingRecord>,
        /// Who votes, sorted.
        voters: Vec<String>,
    },
    /// This record was chosen: adopt it.
    RingLearn(Box<RingRecord>),
    /// Which record do you have?
    RingFetch,
    /// How are you?
    Report,
    /// What do you know of `key`? Changes nothing and counts as no use of it.
    Inspect {
        /// The key.
        key: Key,
    },
    /// What does your hybrid clock read?
    ReadClock,
    /// Which keys with values do you hold? Changes nothing and counts as no use of them.
    ListKeys(KeyListing),
}

/// What a replica holds under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAnswer {
    /// False while the replica rebuilds: its silence proves nothing.
    pub votes: bool,
    /// What it holds; `None` when it never saw the key or forgot it.
    pub version: Option<Version>,
    /// The value, when live and newer than what the coordinator had.
    pub value: Option<Value>,
    /// The tag of what it evicted under the key before all owners had confirmed it. Only where it holds nothing.
    pub ghost: Option<Tag>,
}

/// What became of a write on one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteAnswer {
    /// The larger version that stood there already, if one did.
    pub superseded_by: Option<Version>,
    /// A live value stood there before.
    pub was_live: bool,
}

/// How a co-owner stands with one vnode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildState {
    /// It holds what it must: its reads and pulls count.
    pub ready: bool,
    /// The generations under which all owners were empty at once, if that is how it became ready.
    pub founding: Option<Generations>,
}

/// A co-owner's answer to the start of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildStates {
    /// The answering node's generation.
    pub generation: u64,
    /// Its record's number.
    pub number: (u64, Phase),
    /// Parallel to the vnodes asked for.
    pub states: Vec<RebuildState>,
}

/// Some entries of the vnodes that are pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildPage {
    /// Keys and what stands under them.
    pub entries: Vec<(Key, Stamped)>,
    /// Where to go on; `None` at the end.
    pub next: Option<PullCursor>,
}

/// Some keys of the vnodes that are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysPage {
    /// Keys that had values.
    pub keys: Vec<Key>,
    /// Where to go on; `None` at the end. A page can be empty and yet not the last.
    pub next: Option<PullCursor>,
}

/// What a node's hybrid clock reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The largest tick it has made or seen ([`Tag::ticks`](super::Tag::ticks)).
    pub ticks: u64,
    /// All vnodes of the node are rebuilt: it has seen the tag of everything it must hold.
    pub ready: bool,
}

/// An acceptor's answer to a prepare or an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingVote {
    /// Promised or accepted; what had been accepted before.
    Granted {
        /// The highest ballot accepted so far and its record.
        accepted: Option<(Ballot, Box<RingRecord>)>,
    },
    /// A larger ballot was promised.
    Outbid {
        /// That ballot.
        promised: Ballot,
    },
    /// A record of that epoch or a later one is already chosen.
    Chosen(Box<RingRecord>),
    /// The node will not vote in this election at all.
    Refused(String),
}

/// How far a node's memory of a vnode can be trusted since it started empty. Only ever grows while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Trust {
    /// Just started: not even write acknowledgements count.
    Starting,
    /// Enough co-owners know of this incarnation: write acknowledgements count, reads do not.
    Rebuilding,
    /// It holds what it must.
    Ready,
}

/// What one node knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The answering start of the node.
    pub generation: u64,
    /// It owns the key's vnode by its own record.
    pub owner: bool,
    /// How far its memory of the vnode can be trusted.
    pub trust: Trust,
    /// What it holds; `None` when it never saw the key or forgot it.
    pub version: Option<Version>,
    /// The value's length, 0 without one.
    pub value_bytes: u64,
    /// The tag of what it evicted under the key before all owners had confirmed it. Only where it holds nothing.
    pub ghost: Option<Tag>,
    /// Nodes it keeps a hint of the key for.
    pub hinted: Vec<NodeId>,
}

/// Why a replica did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The coordinator is behind.
    StaleStamp {
        /// The newer record, if that is what it lacks.
        record: Option<Box<RingRecord>>,
        /// The generations the replica knows of the vnode's owners.
        generations: Generations,
    },
    /// The replica is behind: send it the record first.
    Behind {
        /// Its epoch, 0 without a record.
        epoch: u64,
        /// Its phase.
        phase: u32,
    },
    /// It does not own the vnode.
    NotOwner,
    /// The deadline had passed before the work began.
    Late,
    /// A bound was hit.
    Overloaded,
    /// It has just restarted and not yet heard from enough co-owners: nothing it does counts.
    Starting,
    /// The owners compare what they have of the vnode up to here, and nothing older is taken any more.
    Sealed {
        /// The largest stamp that is refused.
        through: Tag,
    },
    /// The request can never succeed as it is.
    Invalid(String),
}

/// What one node answers another.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplicaAnswer {
    /// To [`ReplicaOp::Read`].
    Read(ReadAnswer),
    /// To [`ReplicaOp::Write`].
    Write(WriteAnswer),
    /// To [`ReplicaOp::RebuildBegin`].
    RebuildStates(RebuildStates),
    /// To [`ReplicaOp::RebuildPull`].
    RebuildPage(RebuildPage),
    /// To [`ReplicaOp::RingPrepare`] and [`ReplicaOp::RingAccept`].
    RingVote(RingVote),
    /// To [`ReplicaOp::RingFetch`] and [`ReplicaOp::RingLearn`].
    RingState(Option<Box<RingRecord>>),
    /// To [`ReplicaOp::Report`].
    Report(Box<NodeReport>),
    /// To [`ReplicaOp::Inspect`].
    Inspection(Inspection),
    /// To [`ReplicaOp::ReadClock`].
    Clock(ClockReading),
    /// To [`ReplicaOp::ListKeys`].
    Keys(KeysPage),
    /// To anything.
    Refused(Refusal),
}
