//! Drives a write over the owners of its key until the verdict or the deadline.

use super::{
    Coordinator, CoordinatorError,
    plan::Plan,
    quorum::{QuorumTracker, Verdict},
    read::{Attempt, too_late},
};
use crate::replica::{Done, ReplicaRequest, ReplicaResult};
use shoal_membership::ClusterView;
use shoal_proto::types::{
    Cause, Consistency, Key, Refusal, ReplicaAnswer, ReplicaOp, Stamped, Version, WriteAnswer,
};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WriteOutcome {
    pub asked: u8,
    pub answered: u8,
    /// A live value stood there before, on an owner that was counted.
    pub was_live: bool,
    /// The largest version that stood in the way.
    pub superseded_by: Option<Version>,
    /// An owner could not be reached before the verdict.
    pub hinted: bool,
}

impl WriteOutcome {
    pub(super) fn count(&mut self, answer: WriteAnswer) {
        self.answered += 1;
        self.was_live |= answer.was_live;
        self.superseded_by = self.superseded_by.max(answer.superseded_by);
    }
}

impl Coordinator {
    /// Writes `entry` to every owner and waits for as many as `level` asks. The tag never changes, however often the
    /// write begins anew.
    pub(super) async fn write(
        &self,
        key: &Key,
        entry: &Stamped,
        level: Consistency,
        deadline: Instant,
    ) -> Result<WriteOutcome, CoordinatorError> {
        let mut sent = false;
        loop {
            let view = self.cluster.view();
            let plan = Plan::new(&view, key, level)?;
            if view.flushes(entry.version().tag) {
                // Owners would take it for done and keep nothing.
                return Err(CoordinatorError::Flushed { maybe: sent });
            }
            let available = plan.owners.iter().filter(|owner| self.replicas.can_ask(&view, **owner)).count();
            if available < plan.required {
                return Err(plan.unavailable(available, sent));
            }
            sent = true;
            let attempt = self.spread(
                &view,
                &plan,
                key,
                entry.clone(),
                Cause::User,
                &plan.owners,
                plan.required,
                deadline,
            );
            match attempt.await {
                Attempt::Settled(result) => return result,
                Attempt::Stale => self.metrics.stale_restarts.inc(level),
            }
        }
    }

    /// Writes `entry` to `targets`, all under the plan's stamp, and waits for `required` of them. Whoever fails, now or
    /// after the verdict, is left a hint.
    #[expect(
        clippy::too_many_arguments,
        reason = "one write in full; a struct would be built and taken apart at once"
    )]
    pub(super) async fn spread(
        &self,
        view: &Arc<ClusterView>,
        plan: &Plan,
        key: &Key,
        entry: Stamped,
        cause: Cause,
        targets: &[u16],
        required: usize,
        deadline: Instant,
    ) -> Attempt<WriteOutcome> {
        let started = Instant::now();
        let (outcomes, mut heard) = mpsc::channel(targets.len());
        for owner in targets {
            let outcomes = outcomes.clone();
            // The channel has room for every owner; after the verdict nobody listens.
            let tell = move |outcome| drop(outcomes.try_send(outcome));
            self.write_to(view, plan, *owner, key, entry.clone(), cause, deadline, tell);
        }
        drop(outcomes);
        let mut tracker = QuorumTracker::new(required, targets.len());
        let mut outcome = WriteOutcome { asked: targets.len() as u8, ..WriteOutcome::default() };
        let mut refused = None;
        loop {
            match tracker.verdict() {
                Verdict::Reached => return Attempt::Settled(Ok(outcome)),
                Verdict::Unreachable => {
                    let error = match refused {
                        // Nobody took it, and nobody would.
                        Some(why) if tracker.answered() == 0 && !outcome.hinted => {
                            CoordinatorError::Invalid(why)
                        }
                        _ => plan.unavailable(tracker.answered(), true),
                    };
                    return Attempt::Settled(Err(error));
                }
                Verdict::Pending => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(Some(result)) = tokio::time::timeout(left, heard.recv()).await else {
                return Attempt::Settled(Err(CoordinatorError::Timeout {
                    level: plan.level,
                    required,
                    answered: tracker.answered(),
                    waited_ms: started.elapsed().as_millis() as u64,
                    maybe: true,
                }));
            };
            match result {
                Ok(ReplicaAnswer::Write(answer)) => {
                    outcome.count(answer);
                    tracker.answer();
                }
                // Begun anew only if there is something new to begin from: otherwise it would be refused again.
                Ok(ReplicaAnswer::Refused(Refusal::StaleStamp { .. })) if self.has_moved_on(view) => {
                    return Attempt::Stale;
                }
                Ok(ReplicaAnswer::Refused(Refusal::Invalid(why))) => {
                    refused = Some(why);
                    tracker.fail();
                }
                late if too_late(&late) => outcome.hinted = true,
                Ok(_) | Err(_) => {
                    outcome.hinted = true;
                    tracker.fail();
                }
            }
        }
    }

    /// Writes to one owner. A failure leaves a hint, whether or not anyone still listens to `tell`.
    #[expect(
        clippy::too_many_arguments,
        reason = "one write in full; a struct would be built and taken apart at once"
    )]
    pub(super) fn write_to(
        &self,
        view: &Arc<ClusterView>,
        plan: &Plan,
        owner: u16,
        key: &Key,
        entry: Stamped,
        cause: Cause,
        deadline: Instant,
        tell: impl FnOnce(ReplicaResult) + Send + 'static,
    ) {
        let op = ReplicaOp::Write { key: key.clone(), entry: entry.clone(), cause };
        let (hints, local) = (self.hints.clone(), self.replicas.local.clone());
        let (their_view, vnode, key) = (view.clone(), plan.vnode, key.clone());
        let done = Done::new(move |outcome| {
            match &outcome {
                Ok(ReplicaAnswer::Write(answer)) => {
                    if let Some(version) = answer.superseded_by {
                        local.clock.observe(version.stamp());
                    }
                }
                Ok(ReplicaAnswer::Refused(Refusal::Invalid(_))) => {}
                _ => {
                    if let Ok(ReplicaAnswer::Refused(refusal)) = &outcome {
                        local.learn(&their_view, vnode, refusal.clone());
                    }
                    if their_view.my_index() != Some(owner) {
                        hints.store(&their_view.member(owner).node_id, &key, &entry);
                    }
                }
            }
            tell(outcome);
        });
        self.replicas.submit(
            view,
            owner,
            ReplicaRequest { stamp: Some(plan.stamp.clone()), op, deadline, done },
        );
    }
}
