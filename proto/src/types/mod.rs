//! The words every crate uses.

mod consistency;
mod key;
mod node_id;
mod replica_op;
mod report;
mod ring;
mod stamp;
mod time;
mod value;
mod version;

pub use consistency::{Consistency, UnknownConsistency};
pub use key::{Key, KeyTooLong, MAX_KEY_BYTES};
pub use node_id::{InvalidNodeId, MAX_NODE_ID_BYTES, NodeId};
pub use replica_op::{
    Cause, ClockReading, Inspection, KeyListing, KeysPage, PullCursor, ReadAnswer, RebuildPage, RebuildState,
    RebuildStates, Refusal, ReplicaAnswer, ReplicaOp, RingVote, Trust, WriteAnswer,
};
pub use report::{HotKey, NodeReport, NodeStats, PeerLink};
pub use ring::{
    Ballot, InvalidRecord, MAX_MEMBERS, MAX_REPLICAS, MAX_VNODES, Member, NodeState, OwnerTable, Phase,
    RingRecord, Settings, Vnode,
};
pub use stamp::{Generations, Stamp};
pub use time::UnixMillis;
pub use value::{MAX_VALUE_BYTES, Value, ValueTooLong};
pub use version::{CopyState, InvalidEntry, Stamped, Tag, Version, WriterId};
