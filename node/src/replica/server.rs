//! The receiving end of a link: proves the peer, then serves its batches in order.

use super::{
    InboundLinks, LinkCounters, LocalReplica,
    handshake::{HandshakeError, Identity, NONCE_BYTES, Proven},
};
use crate::limits;
use parking_lot::Mutex;
use prost::Message as _;
use rand::{Rng, rngs::StdRng};
use shoal_proto::{
    convert::DecodeError,
    types::{NodeId, Refusal, ReplicaAnswer, ReplicaOp, Stamp},
    wire::replica::v1::{
        self as wire, LinkRequest, LinkResponse, link_request, link_response, replica_server::Replica,
    },
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// How long a stream may go on once the secret that was proven on it is dropped: peers prove another one meanwhile.
const OUTLIVED: Duration = Duration::from_secs(10);
/// Messages handed to the transport ahead of the wire.
const MESSAGES_AHEAD: usize = 4;

/// The gRPC service peers dial.
#[derive(Clone)]
pub struct ReplicaService {
    identity: Identity,
    local: Arc<LocalReplica>,
    inbound: Arc<InboundLinks>,
    counters: Arc<LinkCounters>,
    // Drawn from once per connection.
    rng: Arc<Mutex<StdRng>>,
    shutdown: CancellationToken,
    /// Places for streams that have still to prove themselves.
    unproven: Arc<Semaphore>,
}

/// Whether the peer of a call has proven itself: told to whoever bounds the call until then.
#[derive(Debug, Clone, Default)]
pub struct Proof(Arc<AtomicBool>);

impl Proof {
    /// It has.
    pub fn give(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl ReplicaService {
    /// A service over `local`.
    #[must_use]
    pub fn new(
        identity: Identity,
        local: Arc<LocalReplica>,
        inbound: Arc<InboundLinks>,
        counters: Arc<LinkCounters>,
        rng: StdRng,
        shutdown: CancellationToken,
    ) -> Self {
        let unproven = Arc::new(Semaphore::new(limits::UNPROVEN_PEERS));
        Self { identity, local, inbound, counters, rng: Arc::new(Mutex::new(rng)), shutdown, unproven }
    }

    async fn serve(
        self,
        mut inbound: Streaming<LinkRequest>,
        outbound: mpsc::Sender<Result<LinkResponse, Status>>,
        proof: Proof,
        place: OwnedSemaphorePermit,
    ) {
        let shaken = self.shake_hands(&mut inbound, &outbound, &proof);
        let (peer, proven) = match tokio::time::timeout(limits::PEER_HANDSHAKE, shaken).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => {
                self.counters.count_refused();
                tracing::warn!(%error, "peer refused");
                let rejected = wire::Rejected { reason: error.to_string() };
                return drop(reply(&outbound, link_response::Body::Rejected(rejected)).await);
            }
            Err(_) => {
                self.counters.count_refused();
                return tracing::warn!("peer did not prove itself in time");
            }
        };
        drop(place);
        tracing::debug!(%peer, "peer connected");
        let mut outlived = pin!(outlived(&self.identity, &proven));
        let _link = self.inbound.begin(peer.clone());
        loop {
            let message = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                () = &mut outlived => {
                    return tracing::info!(%peer, "peer stream closed: the secret it had proven was dropped");
                }
                message = inbound.message() => message,
            };
            let Ok(Some(LinkRequest { body: Some(link_request::Body::Batch(batch)) })) = message else {
                return;
            };
            let received = Instant::now();
            let mut requests = batch.requests.into_iter().peekable();
            while requests.peek().is_some() {
                let replies = wire::Replies { replies: self.answer_some(&mut requests, received) };
                if reply(&outbound, link_response::Body::Replies(replies)).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn shake_hands(
        &self,
        inbound: &mut Streaming<LinkRequest>,
        outbound: &mpsc::Sender<Result<LinkResponse, Status>>,
        given: &Proof,
    ) -> Result<(NodeId, Proven), HandshakeError> {
        let Some(link_request::Body::Hello(hello)) = next(inbound).await else {
            return Err(HandshakeError::Broken("expected a hello"));
        };
        let mut nonce = [0; NONCE_BYTES];
        self.rng.lock().fill_bytes(&mut nonce);
        let cluster_id = self.local.cluster.view().record().map_or(0, |record| record.cluster_id());
        let challenge = self.identity.challenge(&hello, cluster_id, nonce)?;
        let gone = |_| HandshakeError::Broken("hung up");
        reply(outbound, link_response::Body::Challenge(challenge.clone())).await.map_err(gone)?;
        let Some(link_request::Body::Proof(wire::Proof { proof })) = next(inbound).await else {
            return Err(HandshakeError::Broken("expected a proof"));
        };
        let proven = self.identity.accept(&hello, &challenge, &proof)?;
        let peer = NodeId::new(&hello.node_id).map_err(|_| HandshakeError::Broken("invalid node id"))?;
        self.identity.check_incarnation(&self.local.cluster, &peer, hello.generation)?;
        // Before the peer is told, so that its first batch is not taken for more of the handshake.
        given.give();
        reply(outbound, link_response::Body::Welcome(wire::Welcome {})).await.map_err(gone)?;
        Ok((peer, proven))
    }

    /// Answers as many requests as one message has room for.
    fn answer_some(
        &self,
        requests: &mut impl Iterator<Item = wire::Request>,
        received: Instant,
    ) -> Vec<wire::Reply> {
        let mut replies = Vec::new();
        let mut bytes = 0;
        while bytes < limits::PEER_BATCH_BYTES
            && let Some(request) = requests.next()
        {
            let reply = self.answer(request, received);
            bytes += reply.encoded_len();
            replies.push(reply);
        }
        replies
    }

    fn answer(&self, request: wire::Request, received: Instant) -> wire::Reply {
        let late = received.elapsed() > Duration::from_millis(request.deadline_ms.into());
        let answer = if late {
            ReplicaAnswer::Refused(Refusal::Late)
        } else {
            match decode(request.stamp, request.op) {
                Ok((stamp, op)) => self.local.handle(stamp.as_ref(), op),
                Err(error) => ReplicaAnswer::Refused(Refusal::Invalid(error.to_string())),
            }
        };
        wire::Reply { id: request.id, answer: Some(answer.into()) }
    }
}

fn decode(
    stamp: Option<wire::Stamp>,
    op: Option<wire::request::Op>,
) -> Result<(Option<Stamp>, ReplicaOp), DecodeError> {
    let op = op.ok_or(DecodeError::Missing("operation"))?;
    Ok((stamp.map(TryInto::try_into).transpose()?, op.try_into()?))
}

/// Waits until a stream must end on which `proven` was proven.
async fn outlived(identity: &Identity, proven: &Proven) {
    let mut secrets = identity.secrets.subscribe();
    while identity.accepts(proven) {
        // An error says that nobody is left who could replace them.
        if secrets.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
    tokio::time::sleep(OUTLIVED).await;
}

async fn next(inbound: &mut Streaming<LinkRequest>) -> Option<link_request::Body> {
    inbound.message().await.ok().flatten()?.body
}

async fn reply(
    outbound: &mpsc::Sender<Result<LinkResponse, Status>>,
    body: link_response::Body,
) -> Result<(), HandshakeError> {
    let message = LinkResponse { body: Some(body) };
    outbound.send(Ok(message)).await.map_err(|_| HandshakeError::Broken("hung up"))
}

#[tonic::async_trait]
impl Replica for ReplicaService {
    type LinkStream = ReceiverStream<Result<LinkResponse, Status>>;

    async fn link(
        &self,
        request: Request<Streaming<LinkRequest>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let Ok(place) = self.unproven.clone().try_acquire_owned() else {
            self.counters.count_refused();
            return Err(Status::resource_exhausted("too many peers are proving themselves at once"));
        };
        let (outbound, replies) = mpsc::channel(MESSAGES_AHEAD);
        let proof = request.extensions().get::<Proof>().cloned().unwrap_or_default();
        tokio::spawn(self.clone().serve(request.into_inner(), outbound, proof, place));
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}
