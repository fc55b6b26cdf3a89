//! The task behind a stream: it owns the connection, gathers waiting calls into messages and hands answers back.

use crate::ClientError;
use crate::call::{Answer, Call, Job};
use crate::config::{BATCH_BYTES, BATCH_CALLS, CALLS_IN_FLIGHT, PATIENCE};
use crate::heard::Heard;
use crate::link::{Dialler, Link};
use shoal_proto::wire::kv::v1::{Operation, PipelineRequest, PipelineResponse, operation::Op};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Serves `jobs` until every sender is dropped, and answers what was sent by then. A link is opened when a job comes and
/// none is there, because there never was one or it broke.
pub(crate) async fn run(
    mut dialler: Dialler,
    mut link: Option<Link>,
    jobs: mpsc::Receiver<Job>,
    heard: Arc<Heard>,
) {
    let mut queue = Queue { put_back: None, jobs };
    loop {
        let open = match link.take() {
            Some(link) => link,
            None => match dial(&mut dialler, &mut queue).await {
                Some(link) => link,
                None => return,
            },
        };
        if Conversation::new(open, heard.clone()).hold(&mut queue).await == End::NoMoreJobs {
            return;
        }
    }
}

/// Opens a link for the next job; `None` when there is none any more. While nobody answers, jobs fail as they come.
async fn dial(dialler: &mut Dialler, queue: &mut Queue) -> Option<Link> {
    loop {
        let job = queue.next().await?;
        if job.is_abandoned() {
            continue;
        }
        match dialler.dial().await {
            Ok(link) => {
                queue.put_back = Some(job);
                return Some(link);
            }
            Err(error) => {
                job.fail(error.clone());
                while let Some(job) = queue.try_next() {
                    job.fail(error.clone());
                }
            }
        }
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
    heard: Arc<Heard>,
}

/// A call that was sent.
struct Outstanding {
    reply: oneshot::Sender<Result<Answer, ClientError>>,
    sent_at: Instant,
    deadline: Instant,
}

impl Conversation {
    fn new(link: Link, heard: Arc<Heard>) -> Self {
        let now = Instant::now();
        Self { link, outstanding: BTreeMap::new(), next_id: 0, heard_at: now, checked_at: now, heard }
    }

    async fn hold(mut self, queue: &mut Queue) -> End {
        let requests = self.link.requests.clone();
        let mut closing = false;
        loop {
            if closing {
                self.outstanding.retain(|_, call| !call.reply.is_closed());
                if self.outstanding.is_empty() {
                    return End::NoMoreJobs;
                }
            }
            let has_room = !closing && self.outstanding.len() < CALLS_IN_FLIGHT;
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
                    Ok((_, None)) => closing = true,
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
        self.outstanding.insert(id, Outstanding { reply, sent_at: now, deadline });
        Operation { id, op: Some(op) }
    }

    fn settle(&mut self, message: PipelineResponse) {
        self.heard_at = Instant::now();
        let mut age = Duration::MAX;
        for result in message.results {
            // An unknown id is an answer that came too late.
            if let Some(call) = self.outstanding.remove(&result.id) {
                age = age.min(self.heard_at.duration_since(call.sent_at));
                let answer =
                    result.result.ok_or_else(|| ClientError::Protocol("answer without a kind".into()));
                // Fails only when the caller has given up.
                drop(call.reply.send(answer));
            }
        }
        // The node read its clock after the last of these calls had been sent.
        self.heard.clock(message.clock_ms, age);
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
