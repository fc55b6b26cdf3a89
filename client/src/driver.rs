//! The task behind a client: it owns the connection, gathers waiting calls into messages and hands answers back.

use crate::ClientError;
use crate::call::{Answer, Call, Job};
use crate::config::{BATCH_BYTES, BATCH_CALLS, CALLS_IN_FLIGHT, PATIENCE};
use crate::link::{Dialler, Link};
use shoal_proto::wire::kv::v1::{Operation, PipelineRequest, PipelineResponse, operation::Op};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Serves `jobs` until every client is dropped. A broken link is replaced when the next job comes.
pub(crate) async fn run(mut dialler: Dialler, mut link: Link, jobs: mpsc::Receiver<Job>) {
    let mut queue = Queue { put_back: None, jobs };
    loop {
        if Conversation::new(link).hold(&mut queue).await == End::NoMoreJobs {
            return;
        }
        link = loop {
            let Some(job) = queue.next().await else { return };
            if job.is_abandoned() {
                continue;
            }
            match dialler.dial().await {
                Ok(link) => {
                    queue.put_back = Some(job);
                    break link;
                }
                Err(error) => {
                    job.fail(error.clone());
                    while let Some(job) = queue.try_next() {
                        job.fail(error.clone());
                    }
                }
            }
        };
    }
}

/// Jobs in the order they came.
struct Queue {
    put_back: Option<Job>,
    jobs: mpsc::Receiver<Job>,
}

impl Queue {
    /// Loses nothing when dropped before it is done.
    async fn next(&mut self) -> Option<Job> {
        match self.put_back.take() {
            Some(job) => Some(job),
            None => self.jobs.recv().await,
        }
    }

    fn try_next(&mut self) -> Option<Job> {
        self.put_back.take().or_else(|| self.jobs.try_recv().ok())
    }
}

/// Why a conversation ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    NoMoreJobs,
    Broken,
}

/// What goes on over one link. Dropping it fails the calls that have no answer yet.
struct Conversation {
    link: Link,
    outstanding: BTreeMap<u64, Outstanding>,
    next_id: u64,
    /// When the node last sent anything.
    heard_at: Instant,
    /// When overdue calls were last looked for.
    checked_at: Instant,
}

/// A call that was sent.
struct Outstanding {
    reply: oneshot::Sender<Result<Answer, ClientError>>,
    deadline: Instant,
}

impl Conversation {
    fn new(link: Link) -> Self {
        let now = Instant::now();
        Self { link, outstanding: BTreeMap::new(), next_id: 0, heard_at: now, checked_at: now }
    }

    async fn hold(mut self, queue: &mut Queue) -> End {
        let requests = self.link.requests.clone();
        loop {
            let has_room = self.outstanding.len() < CALLS_IN_FLIGHT;
            tokio::select! {
                biased;
                message = self.link.replies.message() => match message {
                    Ok(Some(message)) => self.settle(message),
                    Ok(None) => return End::Broken,
                    Err(status) => {
                        tracing::debug!(%status, "connection lost");
                        return End::Broken;
                    }
                },
                () = sleep_until(self.checked_at + PATIENCE), if !self.outstanding.is_empty() => {
                    if self.node_is_silent() {
                        tracing::debug!("the node no longer answers");
                        return End::Broken;
                    }
                }
                // The place in the outgoing stream comes first: calls gather while it is taken.
                taken = async { Ok::<_, mpsc::error::SendError<()>>((requests.reserve().await?, queue.next().await)) },
                    if has_room => match taken {
                    Ok((place, Some(job))) => {
                        let operations = self.gather(job, queue);
                        if !operations.is_empty() {
                            place.send(PipelineRequest { operations });
                        }
                    }
                    Ok((_, None)) => return End::NoMoreJobs,
                    Err(_) => return End::Broken,
                },
            }
        }
    }

    /// Everything that waits, as far as one message takes it.
    fn gather(&mut self, first: Job, queue: &mut Queue) -> Vec<Operation> {
        let now = Instant::now();
        let (mut operations, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Call(call) if call.claim_to_send() => {
                    bytes += call.bytes();
                    operations.push(self.register(call, now));
                }
                Job::Call(_) => {}
                // Fails only when the caller has given up.
                Job::Channel(reply) => drop(reply.send(Ok(self.link.channel.clone()))),
            }
            let has_room = operations.len() < BATCH_CALLS
                && bytes < BATCH_BYTES
                && self.outstanding.len() < CALLS_IN_FLIGHT;
            next = if has_room { queue.try_next() } else { None };
        }
        operations
    }

    fn register(&mut self, call: Call, now: Instant) -> Operation {
        if self.outstanding.is_empty() {
            self.checked_at = now;
        }
        let id = self.next_id;
        self.next_id += 1;
        let Call { mut op, deadline, reply, .. } = call;
        let deadline_ms = node_deadline_ms(deadline.saturating_duration_since(now));
        match &mut op {
            Op::Get(get) => get.deadline_ms = deadline_ms,
            Op::Set(set) => set.deadline_ms = deadline_ms,
            Op::Delete(delete) => delete.deadline_ms = deadline_ms,
            Op::Expire(expire) => expire.deadline_ms = deadline_ms,
        }
        self.outstanding.insert(id, Outstanding { reply, deadline });
        Operation { id, op: Some(op) }
    }

    fn settle(&mut self, message: PipelineResponse) {
        self.heard_at = Instant::now();
        for result in message.results {
            // An unknown id is an answer that came too late.
            if let Some(call) = self.outstanding.remove(&result.id) {
                let answer =
                    result.result.ok_or_else(|| ClientError::Protocol("answer without a kind".into()));
                // Fails only when the caller has given up.
                drop(call.reply.send(answer));
            }
        }
    }

    /// Forgets calls that are long overdue. A node that let them pass and says nothing else either has died silently.
    fn node_is_silent(&mut self) -> bool {
        let now = Instant::now();
        self.checked_at = now;
        let sent = self.outstanding.len();
        self.outstanding.retain(|_, call| now < call.deadline + PATIENCE);
        self.outstanding.len() < sent && now >= self.heard_at + PATIENCE
    }
}

/// What the node is told of the time that remains: a little less, so that its own word on a timeout arrives in time.
fn node_deadline_ms(remaining: Duration) -> u32 {
    let millis = (remaining - remaining / 20).as_millis();
    u32::try_from(millis).unwrap_or(u32::MAX).max(1)
}
