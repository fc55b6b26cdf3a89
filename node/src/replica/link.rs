//! One long-lived stream to one peer: connects, proves itself, carries batches, and starts over when it breaks.

use super::{Done, LinkCounters, ReplicaError, ReplicaRequest, handshake::Identity};
use crate::limits;
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use shoal_membership::Cluster;
use shoal_proto::{
    types::{NodeId, Refusal, ReplicaAnswer, ReplicaOp},
    wire::replica::v1::{
        self as wire, LinkRequest, LinkResponse, link_request, link_response, replica_client::ReplicaClient,
    },
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
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};

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
            link: link.clone(),
            identity,
            cluster,
            rng,
            requests,
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
    link: Arc<Link>,
    identity: Identity,
    cluster: Arc<Cluster>,
    rng: StdRng,
    requests: mpsc::Receiver<Queued>,
    // Touched for an instant by the sending, the receiving and the sweeping half.
    in_flight: Mutex<BTreeMap<u64, InFlight>>,
    heard: Mutex<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("no address known")]
    NoAddress,
    #[error("no connection within {CONNECT:?}")]
    ConnectTimeout,
    #[error("connect: {0}")]
    Connect(#[from] tonic::transport::Error),
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
            let error = match tokio::time::timeout(CONNECT, self.connect()).await {
                Ok(Ok((outbound, inbound))) => {
                    backoff = BACKOFF_LOWEST;
                    self.carry(outbound, inbound).await
                }
                Ok(Err(error)) => error,
                Err(_) => LinkError::ConnectTimeout,
            };
            match &error {
                LinkError::Handshake(_) | LinkError::Rejected(_) => {
                    tracing::warn!(peer = %self.link.target, %error, "peer link refused");
                }
                _ => tracing::debug!(peer = %self.link.target, %error, "peer link down"),
            }
            let pause = backoff.mul_f64(0.5 + f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
            tokio::time::sleep(pause).await;
            self.fail_queued();
            backoff = (backoff * 2).min(BACKOFF_HIGHEST);
        }
    }

    async fn connect(&mut self) -> Result<(mpsc::Sender<LinkRequest>, Streaming<LinkResponse>), LinkError> {
        let view = self.cluster.view();
        let member =
            view.members().iter().find(|m| m.node_id == self.link.target).map(|m| m.peer_address.clone());
        let address = member
            .or_else(|| view.nodes().get(&self.link.target).map(|node| node.addresses.grpc.clone()))
            .filter(|address| !address.is_empty())
            .ok_or(LinkError::NoAddress)?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024);
        let mut client = ReplicaClient::new(endpoint.connect().await?)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        let (outbound, messages) = mpsc::channel(MESSAGES_AHEAD);
        let mut nonce = [0; super::handshake::NONCE_BYTES];
        self.rng.fill_bytes(&mut nonce);
        let cluster_id = view.record().map_or(0, |record| record.cluster_id());
        let hello = self.identity.hello(&self.link.target, cluster_id, nonce);
        send(&outbound, link_request::Body::Hello(hello.clone())).await?;
        let mut inbound = client.link(ReceiverStream::new(messages)).await?.into_inner();
        let challenge = match inbound.message().await?.and_then(|m| m.body) {
            Some(link_response::Body::Challenge(challenge)) => challenge,
            other => return Err(rejection(other)),
        };
        let proof = self.identity.answer(&hello, &challenge)?;
        self.identity.check_incarnation(&self.cluster, &self.link.target, challenge.generation)?;
        send(&outbound, link_request::Body::Proof(wire::Proof { proof: proof.into() })).await?;
        match inbound.message().await?.and_then(|m| m.body) {
            Some(link_response::Body::Welcome(wire::Welcome {})) => Ok((outbound, inbound)),
            other => Err(rejection(other)),
        }
    }

    /// Carries operations until the stream ends.
    async fn carry(
        &mut self,
        outbound: mpsc::Sender<LinkRequest>,
        inbound: Streaming<LinkResponse>,
    ) -> LinkError {
        *self.heard.lock() = Instant::now();
        *self.link.since.lock() = Instant::now();
        self.link.up.store(true, Ordering::Release);
        self.link.tell(&self.cluster, true);
        tracing::debug!(peer = %self.link.target, "peer link up");
        let link = self.link.clone();
        let broken = link.broken.notified();
        let (cluster, in_flight, heard) = (&self.cluster, &self.in_flight, &self.heard);
        let error = tokio::select! {
            biased;
            () = broken => LinkError::Closed,
            error = receive(inbound, &link, cluster, in_flight, heard) => error,
            error = transmit(&mut self.requests, outbound, in_flight, &link.sent) => error,
            () = sweep(in_flight, heard, &link, cluster) => LinkError::Stalled,
        };
        self.link.up.store(false, Ordering::Release);
        self.link.tell(&self.cluster, false);
        let cut_off = std::mem::take(&mut *self.in_flight.lock());
        for operation in cut_off.into_values() {
            operation.done.call(Err(ReplicaError::Disconnected));
        }
        self.fail_queued();
        error
    }

    fn fail_queued(&mut self) {
        while let Ok(queued) = self.requests.try_recv() {
            queued.request.done.call(Err(ReplicaError::Unreachable));
        }
    }
}

/// Takes whatever has queued into as few messages as their bounds allow, never waiting for more.
async fn transmit(
    requests: &mut mpsc::Receiver<Queued>,
    outbound: mpsc::Sender<LinkRequest>,
    in_flight: &Mutex<BTreeMap<u64, InFlight>>,
    sent: &LinkCounters,
) -> LinkError {
    let mut id = 0u64;
    let mut queued = Vec::with_capacity(limits::PEER_BATCH_OPS);
    loop {
        if queued.is_empty() {
            // Room first, then the batch: what has queued meanwhile goes along.
            if outbound.reserve().await.is_err()
                || requests.recv_many(&mut queued, limits::PEER_BATCH_OPS).await == 0
            {
                return LinkError::Closed;
            }
            // Taken from the end below.
            queued.reverse();
        }
        let Ok(permit) = outbound.reserve().await else { return LinkError::Closed };
        let (batch, bytes) = next_batch(&mut queued, &mut id, in_flight);
        if !batch.requests.is_empty() {
            sent.count_batch(batch.requests.len(), bytes);
            permit.send(LinkRequest { body: Some(link_request::Body::Batch(batch)) });
        }
    }
}

/// Moves requests from the end of `queued` into one message and into flight; tells its payload, too.
fn next_batch(
    queued: &mut Vec<Queued>,
    id: &mut u64,
    in_flight: &Mutex<BTreeMap<u64, InFlight>>,
) -> (wire::Batch, usize) {
    let now = Instant::now();
    let mut batch = wire::Batch { requests: Vec::with_capacity(queued.len()) };
    let mut bytes = 0;
    let mut in_flight = in_flight.lock();
    while bytes < limits::PEER_BATCH_BYTES
        && let Some(Queued { request, _slot }) = queued.pop()
    {
        let ReplicaRequest { stamp, op, deadline, done } = request;
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            done.call(Err(ReplicaError::Timeout));
            continue;
        }
        *id += 1;
        bytes += _slot.bytes;
        batch.requests.push(wire::Request {
            id: *id,
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
            stamp: stamp.map(Into::into),
            op: Some(op.into()),
        });
        in_flight.insert(*id, InFlight { deadline, done, _slot });
    }
    (batch, bytes)
}

async fn receive(
    mut inbound: Streaming<LinkResponse>,
    link: &Link,
    cluster: &Cluster,
    in_flight: &Mutex<BTreeMap<u64, InFlight>>,
    heard: &Mutex<Instant>,
) -> LinkError {
    let mut offered: Option<Instant> = None;
    loop {
        let replies = match inbound.message().await {
            Ok(Some(LinkResponse { body: Some(link_response::Body::Replies(replies)) })) => replies,
            Ok(Some(LinkResponse { body })) => return rejection(body),
            Ok(None) => return LinkError::Closed,
            Err(status) => return status.into(),
        };
        let now = Instant::now();
        if now.duration_since(std::mem::replace(&mut *heard.lock(), now)) > SILENCE {
            link.tell(cluster, true);
        }
        for reply in replies.replies {
            let waiting = in_flight.lock().remove(&reply.id);
            let Some(waiting) = waiting else { continue };
            let answer = match reply.answer.map(ReplicaAnswer::try_from) {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => {
                    tracing::warn!(peer = %link.target, %error, "undecodable reply");
                    ReplicaAnswer::Refused(Refusal::Invalid(error.to_string()))
                }
                None => ReplicaAnswer::Refused(Refusal::Invalid("empty reply".into())),
            };
            let behind = matches!(answer, ReplicaAnswer::Refused(Refusal::Behind { .. }));
            if behind && offered.is_none_or(|at| now.duration_since(at) > Duration::from_millis(200)) {
                offered = Some(now);
                offer_record(link, cluster, now);
            }
            waiting.done.call(Ok(answer));
        }
    }
}

/// A replica that refused because it is behind is sent the record.
fn offer_record(link: &Link, cluster: &Cluster, now: Instant) {
    if let Some(record) = cluster.view().record() {
        link.submit(ReplicaRequest {
            stamp: None,
            op: ReplicaOp::RingLearn(Box::new((**record).clone())),
            deadline: now + CONNECT,
            done: Done::new(|_| ()),
        });
    }
}

/// Ends operations whose deadline has passed. Returns when the stream has stalled.
async fn sweep(
    in_flight: &Mutex<BTreeMap<u64, InFlight>>,
    heard: &Mutex<Instant>,
    link: &Link,
    cluster: &Cluster,
) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        let expired: Vec<InFlight> = {
            let mut in_flight = in_flight.lock();
            let ids: Vec<u64> =
                in_flight.iter().filter(|(_, f)| f.deadline <= now).map(|(id, _)| *id).collect();
            ids.into_iter().filter_map(|id| in_flight.remove(&id)).collect()
        };
        let silence = now.duration_since(*heard.lock());
        if !expired.is_empty() && silence > SILENCE {
            link.tell(cluster, false);
        }
        let stalled = !expired.is_empty() && silence > STALL;
        for late in expired {
            late.done.call(Err(ReplicaError::Timeout));
        }
        if stalled {
            return;
        }
    }
}

async fn send(outbound: &mpsc::Sender<LinkRequest>, body: link_request::Body) -> Result<(), LinkError> {
    outbound.send(LinkRequest { body: Some(body) }).await.map_err(|_| LinkError::Closed)
}

fn rejection(body: Option<link_response::Body>) -> LinkError {
    match body {
        Some(link_response::Body::Rejected(rejected)) => LinkError::Rejected(rejected.reason),
        Some(_) => super::handshake::HandshakeError::Broken("message out of order").into(),
        None => LinkError::Closed,
    }
}
