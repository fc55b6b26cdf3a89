//! One attempt of a call, on one node.

use crate::ClientError;
use crate::call::{Answer, Ticket};
use crate::node::{Node, Room};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// An attempt that may still be answered.
pub(crate) struct Attempt {
    pub(crate) node: Arc<Node>,
    /// The node as the routes count it.
    pub(crate) index: u16,
    pub(crate) ticket: Ticket,
    pub(crate) begun: Instant,
    /// Whether a node has taken it was looked after.
    pub(crate) looked_after: bool,
    /// It is so slow that it has counted as a failure of its node.
    pub(crate) is_slow: bool,
    _room: Room,
}

/// What comes of an attempt: an answer, or that it was dropped unanswered.
pub(crate) type Reply = Result<Result<Answer, ClientError>, oneshot::error::RecvError>;

impl Attempt {
    /// An attempt that begins now. It gives its room back when it is dropped.
    pub(crate) fn new(index: u16, node: Arc<Node>, ticket: Ticket, room: Room) -> Self {
        let begun = Instant::now();
        Self { node, index, ticket, begun, looked_after: false, is_slow: false, _room: room }
    }
}

/// The first of the attempts to be answered or dropped, by its place.
pub(crate) async fn first_answer(running: &mut [Attempt]) -> (usize, Reply) {
    poll_fn(|context| {
        for (place, attempt) in running.iter_mut().enumerate() {
            if let Poll::Ready(reply) = Pin::new(&mut attempt.ticket.answer).poll(context) {
                return Poll::Ready((place, reply));
            }
        }
        Poll::Pending
    })
    .await
}
