//! The doors. Each translates its protocol to a [`Command`] and a [`Reply`] to its protocol; nothing else reaches the
//! coordinator.

mod batch;
mod door;
pub mod error_map;
mod gate;
pub mod grpc;
// The router stands on the real network stack.
#[cfg(not(madsim))]
pub mod http;
// The simulator knows no connections.
#[cfg(not(madsim))]
pub mod places;
pub mod resp;
#[cfg(not(madsim))]
pub mod standard;

pub(in crate::frontend) use batch::execute_all;
pub use door::Door;
pub use gate::{Gate, Refusal};

use crate::auth::Scope;
use crate::coordinator::{
    CoordinatorError, ExistedReply, Expiry, ExpiryCondition, Explanation, FlushReply, GetReply, Outcome,
    RequestOptions, ScanReply, ScanRequest, SetReply, SlotReply,
};
use crate::metrics::Operation;
use shoal_proto::types::{Key, Value};

/// A request in no particular protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read a key.
    Get(Key),
    /// Store a value.
    Set(Key, Value, Expiry),
    /// Delete a key.
    Delete(Key),
    /// Change when a key expires.
    Expire(Key, Expiry),
    /// Change it if this holds of when it would have.
    ExpireIf(Key, Expiry, ExpiryCondition),
    /// Read a key, and change when it expires.
    GetAndExpire(Key, Expiry),
    /// Tell what every owner holds under a key.
    Explain(Key),
    /// Tell what a key and its value are charged.
    Usage(Key),
    /// Drop everything.
    Flush {
        /// Wait until this node has dropped it from memory, too.
        swept: bool,
    },
    /// Take a step of a walk over all keys.
    Scan(ScanRequest),
    /// Tell the keys of a hash slot.
    Slot {
        /// Which.
        slot: u16,
        /// How many at most; all are counted.
        limit: u32,
    },
}

/// A request that a door has translated, or why it could not be.
pub(in crate::frontend) type Translated = Result<(Command, RequestOptions), CoordinatorError>;

/// An answer in no particular protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To [`Command::Get`] and [`Command::GetAndExpire`].
    Value(GetReply),
    /// To [`Command::Set`].
    Stored(SetReply),
    /// To [`Command::Delete`].
    Deleted(ExistedReply),
    /// To [`Command::Expire`] and [`Command::ExpireIf`].
    Touched(ExistedReply),
    /// To [`Command::Explain`].
    Explained(Box<Explanation>),
    /// To [`Command::Usage`]; `None` of a key without a value.
    Usage(Option<u64>),
    /// To [`Command::Flush`].
    Flushed(FlushReply),
    /// To [`Command::Scan`].
    Scanned(ScanReply),
    /// To [`Command::Slot`].
    Slot(SlotReply),
}

impl Reply {
    /// What the answer was worth; `None` of answers which no level applies to.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Value(reply) => Some(&reply.outcome),
            Self::Stored(reply) => Some(&reply.outcome),
            Self::Deleted(reply) | Self::Touched(reply) => Some(&reply.outcome),
            Self::Explained(_) | Self::Usage(_) | Self::Flushed(_) | Self::Scanned(_) | Self::Slot(_) => None,
        }
    }
}

impl Command {
    /// The key the command is about; `None` when it is about all of them.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Get(key)
            | Self::Set(key, ..)
            | Self::Delete(key)
            | Self::Expire(key, _)
            | Self::ExpireIf(key, ..)
            | Self::GetAndExpire(key, _)
            | Self::Explain(key)
            | Self::Usage(key) => Some(key),
            Self::Flush { .. } | Self::Scan(_) | Self::Slot { .. } => None,
        }
    }

    /// Bytes of its key and value.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let value = if let Self::Set(_, value, _) = self { value.as_bytes().len() } else { 0 };
        self.key().map_or(0, |key| key.as_bytes().len()) + value
    }

    /// What it asks for of the data of one key; `None` when it is a question about it, or about all keys.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Get(_) => Some(Operation::Get),
            Self::Set(..) => Some(Operation::Set),
            Self::Delete(_) => Some(Operation::Delete),
            Self::Expire(..) | Self::ExpireIf(..) | Self::GetAndExpire(..) => Some(Operation::Expire),
            Self::Explain(_) | Self::Usage(_) | Self::Flush { .. } | Self::Scan(_) | Self::Slot { .. } => {
                None
            }
        }
    }

    /// What a client must be allowed to do for it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.is_read() { Scope::Read } else { Scope::Write }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        match self {
            Self::Get(_) | Self::Explain(_) | Self::Usage(_) | Self::Scan(_) | Self::Slot { .. } => true,
            Self::Set(..)
            | Self::Delete(_)
            | Self::Expire(..)
            | Self::ExpireIf(..)
            | Self::GetAndExpire(..)
            | Self::Flush { .. } => false,
        }
    }
}
