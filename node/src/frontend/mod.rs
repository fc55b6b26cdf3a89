//! The doors. Each translates its protocol to a [`Command`] and a [`Reply`] to its protocol; nothing else reaches the
//! coordinator.

mod batch;
pub mod error_map;
pub mod grpc;
// The router stands on the real network stack.
#[cfg(not(madsim))]
pub mod http;
pub mod resp;
#[cfg(not(madsim))]
pub mod standard;

pub(in crate::frontend) use batch::execute_all;

use crate::coordinator::{
    Coordinator, CoordinatorError, ExistedReply, Expiry, Explanation, GetReply, Outcome, RequestOptions,
    SetReply,
};
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
    /// Tell what every owner holds under a key.
    Explain(Key),
}

/// A request that a door has translated, or why it could not be.
pub(in crate::frontend) type Translated = Result<(Command, RequestOptions), CoordinatorError>;

/// An answer in no particular protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To [`Command::Get`].
    Value(GetReply),
    /// To [`Command::Set`].
    Stored(SetReply),
    /// To [`Command::Delete`].
    Deleted(ExistedReply),
    /// To [`Command::Expire`].
    Touched(ExistedReply),
    /// To [`Command::Explain`].
    Explained(Box<Explanation>),
}

impl Reply {
    /// What the answer was worth; `None` of an explanation, which no level applies to.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Value(reply) => Some(&reply.outcome),
            Self::Stored(reply) => Some(&reply.outcome),
            Self::Deleted(reply) | Self::Touched(reply) => Some(&reply.outcome),
            Self::Explained(_) => None,
        }
    }
}

impl Command {
    /// The key the command is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Get(key)
            | Self::Set(key, ..)
            | Self::Delete(key)
            | Self::Expire(key, _)
            | Self::Explain(key) => key,
        }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Get(_) | Self::Explain(_))
    }
}

/// Runs a command at once if this node can answer it alone; hands it back otherwise.
///
/// # Errors
/// The command itself, to be given to [`execute`].
pub fn try_execute(
    coordinator: &Coordinator,
    command: Command,
    options: &RequestOptions,
) -> Result<Result<Reply, CoordinatorError>, Command> {
    let done = match &command {
        Command::Get(key) => coordinator.try_get(key, options).map(|r| r.map(Reply::Value)),
        Command::Set(key, value, expiry) => {
            coordinator.try_set(key, value, *expiry, options).map(|r| r.map(Reply::Stored))
        }
        Command::Delete(_) | Command::Expire(..) | Command::Explain(_) => None,
    };
    done.ok_or(command)
}

/// Runs a command over the owners of its key.
///
/// # Errors
/// What the coordinator could not do.
pub async fn execute(
    coordinator: &Coordinator,
    command: Command,
    options: &RequestOptions,
) -> Result<Reply, CoordinatorError> {
    match command {
        Command::Get(key) => coordinator.get(key, options).await.map(Reply::Value),
        Command::Set(key, value, expiry) => {
            coordinator.set(key, value, expiry, options).await.map(Reply::Stored)
        }
        Command::Delete(key) => coordinator.delete(key, options).await.map(Reply::Deleted),
        Command::Expire(key, expiry) => coordinator.expire(key, expiry, options).await.map(Reply::Touched),
        Command::Explain(key) => {
            coordinator.explain(key, options).await.map(|explanation| Reply::Explained(Box::new(explanation)))
        }
    }
}
