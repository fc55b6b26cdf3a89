use crate::ClientError;
use shoal_proto::wire::kv::v1::{operation::Op, operation_result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::transport::Channel;

pub(crate) type Answer = operation_result::Result;

/// What callers ask of the driver.
pub(crate) enum Job {
    /// Send an operation and bring the answer back.
    Call(Call),
    /// Lend the channel of a live connection.
    Channel(oneshot::Sender<Result<Channel, ClientError>>),
}

/// One operation on its way to a node.
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Answer, ClientError>>,
    claim: Claim,
}

/// The caller's end of a [`Call`].
pub(crate) struct Ticket {
    pub(crate) answer: oneshot::Receiver<Result<Answer, ClientError>>,
    claim: Claim,
}

/// Settles once and for all whether a call was sent or given up unsent: whoever claims it first decides.
#[derive(Clone, Default)]
struct Claim(Arc<AtomicU8>);

impl Claim {
    const OPEN: u8 = 0;
    const SENT: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Claims the call; what it was claimed for in the end.
    fn settle(&self, fate: u8) -> u8 {
        match self.0.compare_exchange(Self::OPEN, fate, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fate,
            Err(settled) => settled,
        }
    }
}

impl Job {
    pub(crate) fn fail(self, error: ClientError) {
        // A caller that is gone needs no answer.
        match self {
            Self::Call(call) => drop(call.reply.send(Err(error))),
            Self::Channel(reply) => drop(reply.send(Err(error))),
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Call(call) => call.reply.is_closed(),
            Self::Channel(reply) => reply.is_closed(),
        }
    }
}

impl Call {
    pub(crate) fn new(op: Op, deadline: Instant) -> (Self, Ticket) {
        let (reply, answer) = oneshot::channel();
        let claim = Claim::default();
        (Self { op, deadline, reply, claim: claim.clone() }, Ticket { answer, claim })
    }

    /// Claims the call for sending; false when its caller has given up.
    pub(crate) fn claim_to_send(&self) -> bool {
        !self.reply.is_closed() && self.claim.settle(Claim::SENT) == Claim::SENT
    }

    /// Bytes of key and value.
    pub(crate) fn bytes(&self) -> usize {
        match &self.op {
            Op::Get(get) => get.key.len(),
            Op::Set(set) => set.key.len() + set.value.len(),
            Op::Delete(delete) => delete.key.len(),
            Op::Expire(expire) => expire.key.len(),
        }
    }
}

impl Ticket {
    /// Whether it may have been sent by now.
    pub(crate) fn was_sent(&self) -> bool {
        self.claim.0.load(Ordering::Acquire) == Claim::SENT
    }

    /// Gives the call up; returns whether it may have been sent.
    pub(crate) fn give_up(&self) -> bool {
        self.claim.settle(Claim::GIVEN_UP) == Claim::SENT
    }
}
