//! One long-lived stream to one peer: connects, proves itself, carries batches, and starts over when it breaks.
//!
//! - `dial` opens streams, `carry` moves operations and answers over one after the other.
//! - What is in flight is kept per link, not per stream: when secrets change, a new stream takes over, and the answers
//!   of the one before still count.

mod carry;
mod dial;

use super::{Done, LinkCounters, ReplicaError, ReplicaRequest, handshake::Identity};
use crate::{limits, tls::Tls};
use dial::Dialler;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use shoal_membership::Cluster;
use shoal_proto::{
    types::{NodeId, ReplicaOp},
    wire::replica::v1::link_response,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

/// How long connecting and the handshake may take together.
const CONNECT: Duration = Duration::from_secs(2);
/// The first pause after a failed attempt; doubled up to [`BACKOFF_HIGHEST`].
const BACKOFF_LOWEST: Duration = Duration::from_millis(50);
const BACKOFF_HIGHEST: Duration = Duration::from_secs(1);
/// How often expired operations are looked for.
const SWEEP: Duration = Duration::from_millis(20);
/// A peer that lets operations expire and says nothing for this long is asked last.
const SILENCE: Duration = Duration::from_secs(1);
/// After this long its stream is given up for a new one: the old one may be waiting out a transport's backoff.
const STALL: Duration = Duration::from_secs(3);
/// How long the answers of a stream that was replaced are waited for.
const LINGER: Duration = Duration::from_secs(10);
/// Messages handed to the transport ahead of the wire.
const MESSAGES_AHEAD: usize = 4;

/// The handle of a link: what is queued and in flight on it.
pub(super) struct Link {
    target: NodeId,
    /// Of the links to a peer one tells the cluster whether it can be reached.
    tells: bool,
    queue: mpsc::Sender<Queued>,
    outstanding: Arc<Outstanding>,
    sent: Arc<LinkCounters>,
    up: AtomicBool,
    // Touched when the stream begins and when an operator asks.
    since: Mutex<Instant>,
    broken: Notify,
}

/// Operations and bytes that wait for an answer or for the wire.
#[derive(Default)]
struct Outstanding {
    operations: AtomicUsize,
    bytes: AtomicUsize,
}

struct Queued {
    request: ReplicaRequest,
    _slot: Slot,
}

struct InFlight {
    deadline: Instant,
    done: Done,
    _slot: Slot,
}

/// Gives its share of the bounds back when dropped.
struct Slot {
    bytes: usize,
    outstanding: Arc<Outstanding>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.outstanding.operations.fetch_sub(1, Ordering::Relaxed);
        self.outstanding.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Link {
    /// A link to `target` and the driver that keeps it up for as long as it is polled.
    pub(super) fn new(
        target: NodeId,
        tells: bool,
        identity: Identity,
        tls: Option<Arc<Tls>>,
        cluster: Arc<Cluster>,
        sent: Arc<LinkCounters>,
        rng: StdRng,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (queue, requests) = mpsc::channel(limits::PEER_QUEUE);
        let link = Arc::new(Self {
            target,
            tells,
            queue,
            outstanding: Arc::default(),
            sent,
            up: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
            broken: Notify::new(),
        });
        let driver = Driver {
            dialler: Dialler::new(link.target.clone(), identity, tls, cluster.clone(), rng),
            link: link.clone(),
            cluster,
            outgoing: Outgoing { requests, queued: Vec::with_capacity(limits::PEER_BATCH_OPS), last_id: 0 },
            in_flight: Mutex::default(),
            heard: Mutex::new(Instant::now()),
        };
        (link, driver.run())
    }

    /// Sends `request`, or reports at once why not.
    pub(super) fn submit(&self, request: ReplicaRequest) {
        if !self.is_up() {
            return request.done.call(Err(ReplicaError::Unreachable));
        }
        let bytes = payload_bytes(&request.op);
        let outstanding = &self.outstanding;
        let operations = outstanding.operations.fetch_add(1, Ordering::Relaxed);
        let queued = outstanding.bytes.fetch_add(bytes, Ordering::Relaxed);
        let slot = Slot { bytes, outstanding: outstanding.clone() };
        if operations >= limits::PEER_QUEUE || queued > limits::PEER_QUEUE_BYTES {
            return request.done.call(Err(ReplicaError::Overloaded));
        }
        if let Err(refused) = self.queue.try_send(Queued { request, _slot: slot }) {
            refused.into_inner().request.done.call(Err(ReplicaError::Overloaded));
        }
    }

    /// Whether the stream stands.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// For how long the stream has stood, if it does.
    pub(super) fn age(&self) -> Option<Duration> {
        self.is_up().then(|| self.since.lock().elapsed())
    }

    /// Operations that wait for an answer or for the wire.
    pub(super) fn waiting(&self) -> usize {
        self.outstanding.operations.load(Ordering::Relaxed)
    }

    fn tell(&self, cluster: &Cluster, reachable: bool) {
        if self.tells {
            cluster.observe_reachable(&self.target, reachable);
        }
    }

    /// Drops the stream; it is opened again.
    pub(super) fn break_stream(&self) {
        self.broken.notify_waiters();
    }
}

/// Bytes of key and value an operation carries.
pub(super) fn payload_bytes(op: &ReplicaOp) -> usize {
    match op {
        ReplicaOp::Read { key, .. } | ReplicaOp::Inspect { key } => key.as_bytes().len(),
        ReplicaOp::Write { key, entry, .. } => {
            key.as_bytes().len() + entry.value().map_or(0, |value| value.as_bytes().len())
        }
        _ => 0,
    }
}

struct Driver {
    dialler: Dialler,
    link: Arc<Link>,
    cluster: Arc<Cluster>,
    outgoing: Outgoing,
    // Touched for an instant by the sending, the receiving and the sweeping half.
    in_flight: Mutex<BTreeMap<u64, InFlight>>,
    heard: Mutex<Instant>,
}

/// Operations on their way to the wire. Nothing of it is lost when a stream is replaced.
struct Outgoing {
    requests: mpsc::Receiver<Queued>,
    /// Taken from the end.
    queued: Vec<Queued>,
    /// The number of the last operation sent.
    last_id: u64,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("no address known")]
    NoAddress,
    #[error("no connection within {CONNECT:?}")]
    ConnectTimeout,
    #[error("connect: {0}")]
    Connect(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("stream: {0}")]
    Stream(#[from] Box<tonic::Status>),
    #[error("{0}")]
    Handshake(#[from] super::handshake::HandshakeError),
    #[error("refused by peer: {0}")]
    Rejected(String),
    #[error("closed by peer")]
    Closed,
    #[error("nothing heard for {STALL:?} while operations expired")]
    Stalled,
    #[error("the secret that the peer had proven was dropped")]
    Outlived,
}

impl From<tonic::Status> for LinkError {
    fn from(status: tonic::Status) -> Self {
        Self::Stream(Box::new(status))
    }
}

impl Driver {
    async fn run(mut self) {
        let mut backoff = BACKOFF_LOWEST;
        loop {
            let error = match self.dialler.dial().await {
                Ok(stream) => {
                    backoff = BACKOFF_LOWEST;
                    self.carry(stream).await
                }
                Err(error) => error,
            };
            error.log(&self.link.target);
            self.dialler.pause(backoff).await;
            self.fail_queued();
            backoff = (backoff * 2).min(BACKOFF_HIGHEST);
        }
    }

    fn fail_queued(&mut self) {
        let Outgoing { requests, queued, .. } = &mut self.outgoing;
        for queued in queued.drain(..) {
            queued.request.done.call(Err(ReplicaError::Unreachable));
        }
        while let Ok(queued) = requests.try_recv() {
            queued.request.done.call(Err(ReplicaError::Unreachable));
        }
    }
}

impl LinkError {
    fn log(&self, peer: &NodeId) {
        match self {
            Self::Handshake(_) | Self::Rejected(_) | Self::Tls(_) => {
                tracing::warn!(%peer, error = %self, "peer link refused");
            }
            _ => tracing::debug!(%peer, error = %self, "peer link down"),
        }
    }
}

/// What an answer other than the expected one means.
fn rejection(body: Option<link_response::Body>) -> LinkError {
    match body {
        Some(link_response::Body::Rejected(rejected)) => LinkError::Rejected(rejected.reason),
        Some(_) => super::handshake::HandshakeError::Broken("message out of order").into(),
        None => LinkError::Closed,
    }
}
