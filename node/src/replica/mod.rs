//! The copies of the data: this node's own and its peers'.
//!
//! A coordinator hands an operation and a [`Done`] to [`Replicas::submit`] and never learns whether the copy is here or
//! elsewhere. `local` serves operations over the store, `flush` and `listing` those about all keys, `link` carries them to
//! a peer, `server` receives them.

mod counters;
mod flush;
pub mod handshake;
mod inbound;
mod link;
mod listing;
mod local;
mod peers;
mod server;
pub mod stamp;
mod vnodes;

pub use counters::{LinkCounters, LinkCounts};
pub use inbound::InboundLinks;
pub use local::{LocalReplica, PendingHints, Reporter};
pub use peers::{Peers, PeersConfig};
pub use server::{Proof, ReplicaService};
pub use vnodes::VnodeStates;

use shoal_membership::ClusterView;
pub use shoal_proto::types::Trust;
use shoal_proto::types::{ReplicaAnswer, ReplicaOp, Stamp};
use std::sync::Arc;
use tokio::time::Instant;

/// Why a replica gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// There is no stream to it: nothing was sent.
    #[error("unreachable")]
    Unreachable,
    /// Its queue is full: nothing was sent.
    #[error("queue full")]
    Overloaded,
    /// No answer by the deadline: it may still act.
    #[error("no answer in time")]
    Timeout,
    /// The stream broke while the operation was under way: it may have acted.
    #[error("stream broken")]
    Disconnected,
}

/// What a replica made of an operation.
pub type ReplicaResult = Result<ReplicaAnswer, ReplicaError>;

/// Called once with the outcome of an operation, wherever that becomes known. Dropped unused, it reports a broken
/// stream, so that no outcome is ever lost.
pub struct Done(Option<Box<dyn FnOnce(ReplicaResult) + Send>>);

impl Done {
    /// Calls `f` with the outcome.
    pub fn new(f: impl FnOnce(ReplicaResult) + Send + 'static) -> Self {
        Self(Some(Box::new(f)))
    }

    /// Reports the outcome.
    pub fn call(mut self, outcome: ReplicaResult) {
        if let Some(f) = self.0.take() {
            f(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f(Err(ReplicaError::Disconnected));
        }
    }
}

/// One operation on one replica.
pub struct ReplicaRequest {
    /// What the coordinator believed when it planned the operation; only ring and rebuild operations have none.
    pub stamp: Option<Stamp>,
    /// What to do.
    pub op: ReplicaOp,
    /// When the outcome stops mattering.
    pub deadline: Instant,
    /// Whom to tell.
    pub done: Done,
}

/// Every copy of the data there is.
#[derive(Clone)]
pub struct Replicas {
    /// This node's own.
    pub local: Arc<LocalReplica>,
    /// The others'.
    pub peers: Arc<Peers>,
}

impl Replicas {
    /// Gives `request` to the member at `owner` of the view's table.
    pub fn submit(&self, view: &ClusterView, owner: u16, request: ReplicaRequest) {
        if view.my_index() == Some(owner) {
            let answer = self.local.handle(request.stamp.as_ref(), request.op);
            request.done.call(Ok(answer));
        } else {
            self.peers.submit(&view.member(owner).node_id, request);
        }
    }

    /// Whether an operation for the member at `owner` would be sent at all.
    #[must_use]
    pub fn can_ask(&self, view: &ClusterView, owner: u16) -> bool {
        view.my_index() == Some(owner) || self.peers.is_up(&view.member(owner).node_id)
    }
}
