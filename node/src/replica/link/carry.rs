//! Moves operations and answers over the streams of one link, one stream after the other.

use super::{
    BACKOFF_HIGHEST, BACKOFF_LOWEST, CONNECT, Driver, InFlight, LINGER, Link, LinkError, Outgoing, Queued,
    SILENCE, STALL, SWEEP,
    dial::{Dialler, Stream},
    rejection,
};
use crate::{
    limits,
    replica::{Done, LinkCounters, ReplicaError, ReplicaRequest, handshake::Proven},
};
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use shoal_membership::Cluster;
use shoal_proto::{
    types::{Refusal, ReplicaAnswer, ReplicaOp},
    wire::replica::v1::{self as wire, LinkRequest, LinkResponse, link_request, link_response},
};
use std::{collections::BTreeMap, pin::pin, sync::atomic::Ordering, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tonic::Streaming;

impl Driver {
    /// Carries operations until the stream ends, or the last of those that took its place.
    pub(super) async fn carry(&mut self, stream: Stream) -> LinkError {
        *self.heard.lock() = Instant::now();
        *self.link.since.lock() = Instant::now();
        self.link.up.store(true, Ordering::Release);
        self.link.tell(&self.cluster, true);
        tracing::debug!(peer = %self.link.target, "peer link up");
        let error = self.exchange(stream).await;
        self.link.up.store(false, Ordering::Release);
        self.link.tell(&self.cluster, false);
        disconnect(&self.in_flight, u64::MAX);
        self.fail_queued();
        error
    }

    async fn exchange(&mut self, mut stream: Stream) -> LinkError {
        let Self { dialler, link, cluster, outgoing, in_flight, heard } = self;
        let (link, cluster, in_flight, heard) = (&**link, &**cluster, &*in_flight, &*heard);
        let mut broken = pin!(link.broken.notified());
        let mut sweeping = pin!(sweep(in_flight, heard, link, cluster));
        // Streams that were replaced, until their last answers have come.
        let mut past = FuturesUnordered::new();
        loop {
            let Stream { outbound, inbound, proven } = stream;
            let mut receiving = Box::pin(receive(inbound, link, cluster, in_flight, heard));
            {
                let mut transmitting = pin!(transmit(outgoing, outbound, in_flight, &link.sent));
                let mut renewing = pin!(renew(dialler, &proven));
                stream = loop {
                    tokio::select! {
                        biased;
                        () = &mut broken => return LinkError::Closed,
                        error = &mut receiving => return error,
                        error = &mut transmitting => return error,
                        () = &mut sweeping => return LinkError::Stalled,
                        renewed = &mut renewing => match renewed {
                            Ok(stream) => break stream,
                            Err(error) => return error,
                        },
                        Some(()) = past.next(), if !past.is_empty() => {}
                    }
                };
            }
            tracing::debug!(peer = %link.target, "peer link proven anew");
            *link.since.lock() = Instant::now();
            // The old stream is closed for requests by now. Those that it took are still answered.
            let last_id = outgoing.last_id;
            past.push(async move {
                let ended = tokio::time::timeout(LINGER, receiving).await;
                tracing::debug!(peer = %link.target, ?ended, "replaced peer stream ended");
                disconnect(in_flight, last_id);
            });
        }
    }
}

/// Returns a stream to go on with once the secrets have changed. Until it could be opened the present one is good enough,
/// unless what the peer proved on it is accepted no longer.
async fn renew(dialler: &mut Dialler, proven: &Proven) -> Result<Stream, LinkError> {
    dialler.secrets_changed().await;
    let (began, mut backoff) = (Instant::now(), BACKOFF_LOWEST);
    loop {
        match dialler.dial().await {
            Ok(stream) => return Ok(stream),
            Err(error) => error.log(&dialler.target),
        }
        if !dialler.identity.accepts(proven) && began.elapsed() > LINGER {
            return Err(LinkError::Outlived);
        }
        dialler.pause(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_HIGHEST);
    }
}

/// Ends the operations up to `last_id`, whose stream is gone.
fn disconnect(in_flight: &Mutex<BTreeMap<u64, InFlight>>, last_id: u64) {
    let cut_off = {
        let mut in_flight = in_flight.lock();
        let later = last_id.checked_add(1).map_or_else(BTreeMap::new, |first| in_flight.split_off(&first));
        std::mem::replace(&mut *in_flight, later)
    };
    for operation in cut_off.into_values() {
        operation.done.call(Err(ReplicaError::Disconnected));
    }
}

/// Takes whatever has queued into as few messages as their bounds allow, never waiting for more. Nothing is lost when it
/// is dropped.
async fn transmit(
    outgoing: &mut Outgoing,
    outbound: mpsc::Sender<LinkRequest>,
    in_flight: &Mutex<BTreeMap<u64, InFlight>>,
    sent: &LinkCounters,
) -> LinkError {
    let Outgoing { requests, queued, last_id } = outgoing;
    loop {
        if queued.is_empty() {
            // Room first, then the batch: what has queued meanwhile goes along.
            if outbound.reserve().await.is_err()
                || requests.recv_many(queued, limits::PEER_BATCH_OPS).await == 0
            {
                return LinkError::Closed;
            }
            // Taken from the end below.
            queued.reverse();
        }
        let Ok(permit) = outbound.reserve().await else { return LinkError::Closed };
        let (batch, bytes) = next_batch(queued, last_id, in_flight);
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
