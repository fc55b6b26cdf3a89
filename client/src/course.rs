//! One call's way through the cluster: attempts, one after another or side by side, until one is answered.

use crate::attempt::{Attempt, Reply, first_answer};
use crate::call::{Answer, Call, Job};
use crate::cluster::{Cluster, Routes};
use crate::config::{ROUND_PAUSE, SEND_PATIENCE};
use crate::node::{Node, Room};
use crate::retry::{self, ATTEMPTS, Kind, Verdict};
use crate::{ClientError, mutant};
use shoal_proto::types::Tag;
use shoal_proto::wire::kv::v1::operation::Op;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How often all nodes are tried in turn.
const ROUNDS: u32 = 3;
/// No attempt is waited for longer than this before another one is made beside it.
const SLOW: Duration = Duration::from_secs(1);

/// A call under way.
pub(crate) struct Course<'a> {
    cluster: &'a Cluster,
    routes: Arc<Routes>,
    op: Op,
    kind: Kind,
    slot: u16,
    begun: Instant,
    deadline: Instant,
    /// Nodes this round has been to.
    tried: SmallVec<[u16; 8]>,
    rounds: u32,
    /// Attempts that may still be answered, oldest first.
    running: SmallVec<[Attempt; 2]>,
    /// Attempts that were sent.
    sent: u32,
    hedged: bool,
    /// An attempt that failed may have taken effect, or may yet.
    maybe: bool,
    /// Nodes that could not be reached, and why.
    unreached: Vec<(String, String)>,
}

/// Something to do while no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alarm {
    /// See whether the newest attempt was sent at all.
    LookAfter,
    /// Ask a second node as well.
    Hedge,
    /// The newest attempt takes so long that another is made beside it.
    Slow,
    /// The time is up.
    Deadline,
}

enum Event {
    Answered(usize, Reply),
    Rang(Alarm),
}

impl<'a> Course<'a> {
    pub(crate) fn new(cluster: &'a Cluster, op: Op, kind: Kind, slot: u16, patience: Duration) -> Self {
        let begun = Instant::now();
        Self {
            cluster,
            routes: cluster.routes(),
            op,
            kind,
            slot,
            begun,
            deadline: begun + patience,
            tried: SmallVec::new(),
            rounds: 0,
            running: SmallVec::new(),
            sent: 0,
            hedged: false,
            maybe: false,
            unreached: Vec::new(),
        }
    }

    /// Goes on until an attempt is answered, nothing more can be tried, or the time is up.
    pub(crate) async fn run(mut self) -> Result<Answer, ClientError> {
        self.cluster.earn();
        self.start().await?;
        loop {
            let (at, alarm) = self.alarm();
            let event = tokio::select! {
                biased;
                (index, answer) = first_answer(&mut self.running) => Event::Answered(index, answer),
                () = sleep_until(at) => Event::Rang(alarm),
            };
            match event {
                Event::Answered(index, answer) => {
                    let attempt = self.running.remove(index);
                    match self.settle(attempt, answer) {
                        Ok(answer) => return Ok(answer),
                        Err(error) => self.go_on(error).await?,
                    }
                }
                Event::Rang(Alarm::LookAfter) => self.look_after().await?,
                Event::Rang(Alarm::Hedge) => self.hedge(),
                Event::Rang(Alarm::Slow) => self.overtake(),
                Event::Rang(Alarm::Deadline) => return Err(self.time_is_up()),
            }
        }
    }

    /// What to do next if no answer comes, and when.
    fn alarm(&self) -> (Instant, Alarm) {
        let mut next = (self.deadline, Alarm::Deadline);
        let Some(newest) = self.running.last() else { return next };
        let mut consider = |at: Instant, alarm| {
            if at < next.0 {
                next = (at, alarm);
            }
        };
        if !newest.is_slow {
            let left = self.deadline.saturating_duration_since(newest.begun);
            consider(newest.begun + (left / 2).min(SLOW), Alarm::Slow);
        }
        if let Some(after) = self.cluster.config.hedge_after
            && self.kind == Kind::Read
            && !self.hedged
        {
            consider(newest.begun + after, Alarm::Hedge);
        }
        if !newest.looked_after {
            consider(newest.begun + SEND_PATIENCE, Alarm::LookAfter);
        }
        next
    }

    /// Makes an attempt on the best node left; waits for room or for another round if it must.
    async fn start(&mut self) -> Result<(), ClientError> {
        loop {
            let crowded = match self.launch() {
                Launch::Started => return Ok(()),
                Launch::Crowded(index, node) => Some((index, node)),
                Launch::NobodyLeft => None,
            };
            match crowded {
                Some((index, node)) => {
                    let Ok(Some(room)) = timeout(self.left(), node.room()).await else {
                        let why = "too many calls are in flight to every node that could be asked";
                        return Err(retry::last(ClientError::Overloaded(why.into()), self.maybe));
                    };
                    let job = self.attempt(index, node.clone(), room);
                    // Its ticket tells if nobody took it in time.
                    let _ = timeout(self.left(), node.submit(job)).await;
                    return Ok(());
                }
                None => self.next_round().await?,
            }
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Makes an attempt on the best node left that has room.
    fn launch(&mut self) -> Launch {
        let mut crowded = None;
        let routes = self.routes.clone();
        while let Some((index, node)) = routes.next(self.slot, &self.tried) {
            self.tried.push(index);
            let Some(room) = node.try_room() else {
                self.cluster.counters.crowded.count();
                crowded = crowded.or(Some((index, node.clone())));
                continue;
            };
            let job = self.attempt(index, node.clone(), room);
            if node.try_submit(job) {
                return Launch::Started;
            }
            self.cluster.counters.crowded.count();
            self.running.pop();
            crowded = crowded.or(Some((index, node.clone())));
        }
        crowded.map_or(Launch::NobodyLeft, |(index, node)| Launch::Crowded(index, node))
    }

    fn attempt(&mut self, index: u16, node: Arc<Node>, room: Room) -> Job {
        node.on_call();
        if mutant::active("retry_new_tag") && self.cluster.heard.cluster_time().is_some() {
            let tag = self.cluster.heard.next_tag(self.cluster.writer);
            set_tag(&mut self.op, tag.map_or(0, Tag::to_bits));
        }
        let (call, ticket) = Call::new(self.op.clone(), self.deadline);
        self.running.push(Attempt::new(index, node, ticket, room));
        Job::Call(call)
    }

    /// After every node was tried: a pause, and all of them again, as they are then.
    async fn next_round(&mut self) -> Result<(), ClientError> {
        self.rounds += 1;
        if self.rounds >= ROUNDS {
            let attempts = std::mem::take(&mut self.unreached);
            return Err(retry::last(ClientError::Connect { attempts }, self.maybe));
        }
        let pause = (ROUND_PAUSE.0 * (1 << self.rounds)).min(ROUND_PAUSE.1);
        let wake = Instant::now() + self.cluster.about(pause);
        if wake >= self.deadline {
            sleep_until(self.deadline).await;
            return Err(self.time_is_up());
        }
        sleep_until(wake).await;
        self.routes = self.cluster.routes();
        self.tried.clear();
        self.unreached.clear();
        Ok(())
    }

    /// What an attempt came to. Tells its node's breaker.
    fn settle(&mut self, attempt: Attempt, answer: Reply) -> Result<Answer, Failed> {
        let was_sent = attempt.ticket.give_up();
        let answer = match answer {
            Ok(Ok(Answer::Failure(failure))) => Err(ClientError::from(failure)),
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Disconnected { maybe: was_sent && self.kind != Kind::Read }),
        };
        self.sent += u32::from(was_sent);
        match &answer {
            Err(ClientError::Connect { attempts }) => {
                self.unreached.extend(attempts.iter().cloned());
                attempt.node.on_unreachable();
            }
            // Another node would have said the same of this call.
            Ok(_)
            | Err(
                ClientError::Invalid(_)
                | ClientError::TagAhead(_)
                | ClientError::TagFlushed(_)
                | ClientError::PermissionDenied(_)
                | ClientError::OutOfMemory { .. },
            ) => attempt.node.on_success(),
            // A node that reaches no other is as good as gone to those who need several.
            Err(_) => attempt.node.on_failure(),
        }
        answer.map_err(|error| Failed { error, was_sent, index: attempt.index })
    }

    /// Goes on after a failed attempt, if that is of use and allowed.
    async fn go_on(&mut self, failed: Failed) -> Result<(), ClientError> {
        let Failed { error, was_sent, index } = failed;
        let others_may = self.running.iter().any(|attempt| attempt.ticket.was_sent());
        let verdict = retry::decide(self.kind, &error, self.maybe || others_may);
        self.maybe |= was_sent && self.kind != Kind::Read && error.maybe();
        if verdict == Verdict::Fail {
            return Err(retry::last(error, self.maybe || (others_may && self.kind != Kind::Read)));
        }
        tracing::debug!(%error, "attempt failed");
        if !self.running.is_empty() {
            if self.running.iter().all(|attempt| attempt.is_slow) {
                self.launch_beside();
            }
            return Ok(());
        }
        if verdict == Verdict::RetryUntagged {
            self.cluster.counters.tags_refused.count();
            self.kind = Kind::Untagged;
            set_tag(&mut self.op, 0);
            self.tried.retain(|tried| *tried != index);
        } else if was_sent {
            if self.sent >= ATTEMPTS || !self.cluster.spend() {
                return Err(retry::last(error, self.maybe));
            }
            self.cluster.counters.retries.count();
        } else {
            self.cluster.counters.moves.count();
        }
        let doubt = self.maybe;
        let is_connect = matches!(error, ClientError::Connect { .. });
        // That nobody is left to ask says less than what the last one asked said.
        self.start().await.map_err(|nobody| match nobody {
            ClientError::Connect { .. } if !is_connect => retry::last(error, doubt),
            other => other,
        })
    }

    /// Takes the newest attempt back if no node has taken it yet, and tries another node.
    async fn look_after(&mut self) -> Result<(), ClientError> {
        let Some(newest) = self.running.last_mut() else { return Ok(()) };
        newest.looked_after = true;
        if self.routes.next(self.slot, &self.tried).is_none() || newest.ticket.give_up() {
            return Ok(());
        }
        newest.node.on_failure();
        self.running.pop();
        self.cluster.counters.moves.count();
        if self.running.is_empty() {
            return self.start().await;
        }
        self.launch();
        Ok(())
    }

    fn hedge(&mut self) {
        self.hedged = true;
        if self.routes.next(self.slot, &self.tried).is_some() && self.cluster.spend() {
            self.cluster.counters.hedges.count();
            self.launch();
        }
    }

    /// Makes another attempt beside the newest one, which takes too long.
    fn overtake(&mut self) {
        let Some(newest) = self.running.last_mut() else { return };
        newest.is_slow = true;
        newest.node.on_failure();
        self.launch_beside();
    }

    /// Makes another attempt beside those that may still be answered, if that is of use and allowed.
    fn launch_beside(&mut self) {
        let is_repeatable = matches!(self.kind, Kind::Read | Kind::Tagged(_));
        let attempts = self.sent + self.running.len() as u32;
        if is_repeatable
            && attempts < ATTEMPTS
            && self.routes.next(self.slot, &self.tried).is_some()
            && self.cluster.spend()
        {
            self.cluster.counters.retries.count();
            self.launch();
        }
    }

    fn time_is_up(&mut self) -> ClientError {
        let mut maybe = self.maybe;
        for attempt in &self.running {
            if attempt.ticket.give_up() {
                maybe |= self.kind != Kind::Read;
            }
            if !attempt.is_slow {
                attempt.node.on_failure();
            }
        }
        let waited = self.deadline.saturating_duration_since(self.begun).as_millis();
        ClientError::Timeout { message: format!("no answer within {waited} ms"), maybe }
    }
}

enum Launch {
    Started,
    /// All that are left have too many calls in flight; this is the best of them.
    Crowded(u16, Arc<Node>),
    NobodyLeft,
}

/// An attempt that failed.
struct Failed {
    error: ClientError,
    was_sent: bool,
    index: u16,
}

fn set_tag(op: &mut Op, tag: u64) {
    match op {
        Op::Set(set) => set.tag = tag,
        Op::Delete(delete) => delete.tag = tag,
        Op::Get(_) | Op::Expire(_) => {}
    }
}
