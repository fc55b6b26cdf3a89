//! Drives a read over the owners of its key until the verdict or the deadline.

use super::{
    Coordinator, CoordinatorError,
    plan::Plan,
    quorum::{QuorumTracker, Verdict},
    resolve::resolve,
};
use crate::{
    mutant,
    replica::{Done, ReplicaError, ReplicaRequest, ReplicaResult},
};
use shoal_membership::ClusterView;
use shoal_proto::types::{
    Cause, Consistency, Key, ReadAnswer, Refusal, ReplicaAnswer, ReplicaOp, Stamped, UnixMillis,
};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadOutcome {
    /// The newest version, as of now; `None` when nobody holds anything.
    pub entry: Option<Stamped>,
    pub asked: u8,
    pub answered: u8,
    pub repaired: bool,
}

/// How one attempt under one stamp ended.
pub(super) enum Attempt<T> {
    Settled(Result<T, CoordinatorError>),
    /// A replica knew better; what it knew has been learnt.
    Stale,
}

impl Coordinator {
    /// Reads `key` at `level`, beginning anew whenever a replica knows a newer ring or generation, so that answers that
    /// are counted together share one stamp.
    pub(super) async fn read(
        &self,
        key: &Key,
        level: Consistency,
        deadline: Instant,
    ) -> Result<ReadOutcome, CoordinatorError> {
        let started = Instant::now();
        loop {
            let view = self.cluster.view();
            let plan = Plan::new(&view, key, level)?;
            let available = plan.owners.iter().filter(|owner| self.replicas.can_ask(&view, **owner)).count();
            if available < plan.required {
                return Err(plan.unavailable(available, false));
            }
            let mut attempt = ReadAttempt::new(self, view, plan, key, started, deadline);
            match attempt.run().await {
                Attempt::Settled(result) => return result,
                Attempt::Stale => self.metrics.stale_restarts.inc(level),
            }
        }
    }
}

struct ReadAttempt<'a> {
    coordinator: &'a Coordinator,
    view: Arc<ClusterView>,
    plan: Plan,
    key: &'a Key,
    started: Instant,
    deadline: Instant,
    outcomes: mpsc::Sender<(u16, ReplicaResult)>,
    heard: mpsc::Receiver<(u16, ReplicaResult)>,
    tracker: QuorumTracker,
    answers: Vec<(u16, ReadAnswer)>,
    /// This node's own copy, which the others need not send again.
    known: Option<Stamped>,
    asked: usize,
}

impl<'a> ReadAttempt<'a> {
    fn new(
        coordinator: &'a Coordinator,
        view: Arc<ClusterView>,
        plan: Plan,
        key: &'a Key,
        started: Instant,
        deadline: Instant,
    ) -> Self {
        let (outcomes, heard) = mpsc::channel(plan.replicas());
        let tracker = QuorumTracker::new(plan.required, plan.replicas());
        let answers = Vec::with_capacity(plan.replicas());
        let known = None;
        Self {
            coordinator,
            view,
            plan,
            key,
            started,
            deadline,
            outcomes,
            heard,
            tracker,
            answers,
            known,
            asked: 0,
        }
    }

    async fn run(&mut self) -> Attempt<ReadOutcome> {
        for _ in 0..self.plan.required {
            self.ask_next();
        }
        let deadline = self.deadline;
        loop {
            match self.tracker.verdict() {
                Verdict::Reached if !self.wants_another() => break,
                Verdict::Unreachable => {
                    return Attempt::Settled(Err(self.plan.unavailable(self.tracker.answered(), false)));
                }
                Verdict::Reached | Verdict::Pending => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = self.coordinator.config.read_patience.min(left);
            match tokio::time::timeout(patience, self.heard.recv()).await {
                Ok(Some((owner, outcome))) => {
                    if self.take_in(owner, outcome) {
                        return Attempt::Stale;
                    }
                }
                // Enough answered, and the one more that a miss at ONE waits for is slow.
                Err(_) if self.tracker.verdict() == Verdict::Reached => break,
                // Whoever was asked is slow: ask another, and count whoever answers first.
                Err(_) if Instant::now() < deadline => self.ask_next(),
                Ok(None) | Err(_) => return Attempt::Settled(Err(self.timed_out())),
            }
        }
        self.settle().await
    }

    /// A miss at ONE is reported only after one more owner was asked.
    fn wants_another(&mut self) -> bool {
        let first_miss = self.plan.required == 1
            && self.answers.len() == 1
            && self.answers.iter().all(|(_, answer)| answer.version.is_none());
        if !first_miss {
            return false;
        }
        if self.asked == self.tracker.heard() {
            self.ask_next();
        }
        self.asked > self.tracker.heard()
    }

    /// Asks the next owner that can be asked at all; owners that cannot count as failed.
    fn ask_next(&mut self) {
        let replicas = &self.coordinator.replicas;
        while let Some(owner) = self.plan.owners.get(self.asked).copied() {
            self.asked += 1;
            let op =
                ReplicaOp::Read { key: self.key.clone(), known: self.known.as_ref().map(Stamped::version) };
            // The channel has room for every owner.
            if self.view.my_index() == Some(owner) {
                let answer = replicas.local.handle(Some(&self.plan.stamp), op);
                if let ReplicaAnswer::Read(read) = &answer
                    && read.votes
                {
                    // What this node holds spares the others their value, if it is counted.
                    self.known =
                        read.version.and_then(|version| Stamped::from_parts(version, read.value.clone()));
                }
                return drop(self.outcomes.try_send((owner, Ok(answer))));
            }
            if replicas.can_ask(&self.view, owner) {
                let outcomes = self.outcomes.clone();
                let done = Done::new(move |outcome| drop(outcomes.try_send((owner, outcome))));
                let (stamp, deadline) = (Some(self.plan.stamp.clone()), self.deadline);
                return replicas.submit(&self.view, owner, ReplicaRequest { stamp, op, deadline, done });
            }
            self.tracker.fail();
        }
    }

    /// Counts an outcome. Returns whether the attempt's stamp turned out stale.
    fn take_in(&mut self, owner: u16, outcome: ReplicaResult) -> bool {
        match outcome {
            Ok(ReplicaAnswer::Read(answer)) => {
                self.observe(&answer);
                // A rebuilding owner's silence proves nothing, but at ONE a value it has is a value.
                let counts = answer.votes || (self.plan.required == 1 && answer.version.is_some());
                if counts {
                    self.answers.push((owner, answer));
                    self.tracker.answer();
                } else {
                    self.tracker.fail();
                    self.ask_next();
                }
            }
            Ok(ReplicaAnswer::Refused(refusal @ Refusal::StaleStamp { .. })) => {
                self.coordinator.replicas.local.learn(&self.view, self.plan.vnode, refusal);
                // Begun anew only if there is something new to begin from: otherwise it would be refused again.
                if self.coordinator.has_moved_on(&self.view) {
                    return true;
                }
                self.tracker.fail();
                self.ask_next();
            }
            outcome if too_late(&outcome) => {}
            Ok(_) | Err(_) => {
                self.tracker.fail();
                self.ask_next();
            }
        }
        false
    }

    fn observe(&self, answer: &ReadAnswer) {
        let heard = answer.version.map(|version| version.stamp()).max(answer.ghost);
        heard.into_iter().for_each(|tag| self.coordinator.replicas.local.clock.observe(tag));
    }

    async fn settle(&mut self) -> Attempt<ReadOutcome> {
        let now = self.coordinator.now();
        let resolution = match resolve(&self.answers, self.known.as_ref(), now) {
            Ok(resolution) => resolution,
            Err(error) => return Attempt::Settled(Err(CoordinatorError::Invalid(error.to_string()))),
        };
        let mut outcome = ReadOutcome {
            entry: resolution.winner.clone(),
            asked: self.asked as u8,
            answered: self.answers.len() as u8,
            repaired: false,
        };
        let spread_to = self.plan.required.max(Consistency::Quorum.required(self.plan.replicas()));
        let Some(winner) = resolution.winner else { return Attempt::Settled(Ok(outcome)) };
        if !self.plan.level.is_quorum(self.plan.replicas())
            || resolution.holders.len() >= spread_to
            || mutant::active("skip_write_back")
        {
            return Attempt::Settled(Ok(outcome));
        }
        // The version stands on too few owners to be sure of: a later read could miss it. Spread it before answering.
        let missing = spread_to - resolution.holders.len();
        let winner = if mutant::active("repair_extends_expiry") { extended(winner) } else { winner };
        let deadline = self.deadline;
        let write = self.coordinator.spread(
            &self.view,
            &self.plan,
            self.key,
            winner,
            Cause::Repair,
            &resolution.lagging,
            missing,
            deadline,
        );
        match write.await {
            Attempt::Stale => Attempt::Stale,
            Attempt::Settled(Ok(_)) => {
                self.coordinator.metrics.read_repairs.inc(self.plan.level);
                outcome.repaired = true;
                Attempt::Settled(Ok(outcome))
            }
            Attempt::Settled(Err(CoordinatorError::Unavailable { available, .. })) => {
                Attempt::Settled(Err(self.plan.unavailable(available, false)))
            }
            Attempt::Settled(Err(_)) => Attempt::Settled(Err(self.timed_out())),
        }
    }

    fn timed_out(&self) -> CoordinatorError {
        CoordinatorError::Timeout {
            level: self.plan.level,
            required: self.plan.required,
            answered: self.tracker.answered(),
            waited_ms: self.started.elapsed().as_millis() as u64,
            maybe: false,
        }
    }
}

/// Whether an owner let the request's own deadline pass. Not counted as a failure: the request ends now either way, and
/// what it says must be that it waited.
pub(super) fn too_late(outcome: &ReplicaResult) -> bool {
    matches!(outcome, Err(ReplicaError::Timeout) | Ok(ReplicaAnswer::Refused(Refusal::Late)))
}

/// The deliberate bug of a repair that lengthens a value's life.
fn extended(entry: Stamped) -> Stamped {
    let version = entry.version();
    match (version.expires_at, entry.value()) {
        (Some(UnixMillis(at)), Some(value)) => {
            Stamped::live(version.tag, version.touch, Some(UnixMillis(at + 60_000)), value.clone())
                .touched_at(version.touched_at)
        }
        _ => entry,
    }
}
