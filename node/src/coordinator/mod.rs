//! Runs a request over the owners of its key: plans, asks, counts, resolves, repairs, leaves hints.
//!
//! `plan`, `quorum`, `resolve`, `explanation`, `cursor` and `glob` decide and know nothing of time or tasks; `read`,
//! `write`, `expire` and `explain` drive what concerns one key, `flush` and `scan` what concerns all.

mod api;
mod cursor;
mod expire;
mod explain;
mod explanation;
mod flush;
mod glob;
mod hints;
mod plan;
mod quorum;
mod read;
mod resolve;
mod scan;
mod write;

pub use api::{
    CoordinatorError, ExistedReply, Expiry, ExpiryCondition, GetReply, Outcome, RequestOptions, SetReply,
};
pub use explanation::{Explanation, Held, OwnerCopy};
pub use flush::FlushReply;
pub use glob::Glob;
pub use hints::Hints;
pub use plan::Plan;
pub use quorum::{QuorumTracker, Verdict};
pub use resolve::{Resolution, ValueMissing, resolve};
pub use scan::{KeyFilter, ScanReply, ScanRequest, SlotReply};

use crate::{
    limits,
    live::Live,
    metrics::{Metrics, Operation},
    replica::{Replicas, Trust},
    ring::RingEditor,
};
use read::ReadOutcome;
use shoal_membership::{Cluster, ClusterView};
use shoal_proto::types::{
    Cause, Consistency, Key, Refusal, ReplicaAnswer, ReplicaOp, Stamped, Tag, UnixMillis, Value, Version,
    Vnode, WriterId,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use write::WriteOutcome;
use xxhash_rust::xxh3::xxh3_64;

/// How far ahead of the clock a client's tag may be: further, and it would shut out everyone else's writes.
const CLIENT_TAG_AHEAD: Duration = Duration::from_millis(500);

/// What requests that do not choose are served by.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// The levels of reads and of writes, deletes aside, and how long a request may take.
    pub live: Arc<Live>,
    /// How long a read waits for the owners it asked before it asks another.
    pub read_patience: Duration,
}

/// Serves requests on whichever node received them.
pub struct Coordinator {
    cluster: Arc<Cluster>,
    replicas: Replicas,
    ring: Arc<RingEditor>,
    hints: Arc<Hints>,
    metrics: Arc<Metrics>,
    config: CoordinatorConfig,
    /// Places of those who have a key explained.
    explanations: Semaphore,
    /// Places of those who flush.
    flushes: Semaphore,
}

impl Coordinator {
    /// A coordinator over all copies.
    #[must_use]
    pub fn new(
        cluster: Arc<Cluster>,
        replicas: Replicas,
        ring: Arc<RingEditor>,
        hints: Arc<Hints>,
        metrics: Arc<Metrics>,
        config: CoordinatorConfig,
    ) -> Self {
        let explanations = Semaphore::new(limits::EXPLANATIONS);
        let flushes = Semaphore::new(limits::FLUSHES);
        Self { cluster, replicas, ring, hints, metrics, config, explanations, flushes }
    }

    /// The hybrid clock's reading: what TTLs count from and expiry is judged by.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.replicas.local.now()
    }

    /// The level a request of this kind is served at: the one it chooses, or its default.
    #[must_use]
    pub fn level(&self, operation: Operation, options: &RequestOptions) -> Consistency {
        options.consistency.unwrap_or(match operation {
            Operation::Get => self.config.live.read_consistency(),
            Operation::Set | Operation::Expire => self.config.live.write_consistency(),
            Operation::Delete => Consistency::Quorum,
        })
    }

    /// Answers a read at once if this node can alone; `None` when others must be asked (use [`Coordinator::get`]).
    #[must_use]
    pub fn try_get(&self, key: &Key, options: &RequestOptions) -> Option<Result<GetReply, CoordinatorError>> {
        let level = self.level(Operation::Get, options);
        let view = self.cluster.view();
        let vnode = view.vnode_of(key.as_bytes())?;
        let replicas = view.owners(vnode).len();
        if level.required(replicas) != 1 {
            return None;
        }
        let entry = self.replicas.local.read_alone(&view, vnode, key)?;
        if entry.is_none() && replicas > 1 {
            // A miss asks one more owner.
            return None;
        }
        let outcome = ReadOutcome { entry, asked: 1, answered: 1, repaired: false };
        Some(Ok(self.get_reply(outcome, level)))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When the level is out of reach or its owners do not answer in time. A miss is no error.
    pub async fn get(&self, key: Key, options: &RequestOptions) -> Result<GetReply, CoordinatorError> {
        let level = self.level(Operation::Get, options);
        let outcome = self.counted(level, self.read(&key, level, self.deadline(options)).await)?;
        Ok(self.get_reply(outcome, level))
    }

    /// Stores a value at once if one acknowledgement is enough and this node can give it; the other owners get theirs
    /// in the background. `None` when others must be waited for (use [`Coordinator::set`]).
    #[must_use]
    pub fn try_set(
        &self,
        key: &Key,
        value: &Value,
        expiry: Expiry,
        options: &RequestOptions,
    ) -> Option<Result<SetReply, CoordinatorError>> {
        let level = self.level(Operation::Set, options);
        let view = self.cluster.view();
        let vnode = view.vnode_of(key.as_bytes())?;
        if expiry == Expiry::Keep
            || level.required(view.owners(vnode).len()) != 1
            || !self.acknowledges(&view, vnode)
        {
            return None;
        }
        let written = self.new_tag(&view, options.tag).and_then(|tag| {
            let entry = Stamped::live(tag, 0, self.expires_at(expiry, None)?, value.clone());
            let version = entry.version();
            Ok(self
                .write_alone(&view, key, entry, level, self.deadline(options))?
                .map(|outcome| (version, outcome)))
        });
        let written = written.transpose()?;
        Some(
            written
                .map(|(version, outcome)| SetReply { outcome: self.written(version, outcome, level, false) }),
        )
    }

    /// Stores a value.
    ///
    /// # Errors
    /// When the level is out of reach or its owners do not answer in time; the error says whether the write may still
    /// take effect.
    pub async fn set(
        &self,
        key: Key,
        value: Value,
        expiry: Expiry,
        options: &RequestOptions,
    ) -> Result<SetReply, CoordinatorError> {
        let level = self.level(Operation::Set, options);
        let deadline = self.deadline(options);
        let replaced = match expiry {
            Expiry::Keep => {
                self.counted(level, self.read(&key, level, deadline).await)?.entry.map(|e| e.version())
            }
            _ => None,
        };
        loop {
            let tag = self.new_tag(&self.cluster.view(), options.tag)?;
            let entry = Stamped::live(tag, 0, self.expires_at(expiry, replaced)?, value.clone());
            let result = self.write(&key, &entry, level, deadline).await;
            if !needs_another_tag(&result, options) {
                let outcome = self.counted(level, result)?;
                return Ok(SetReply { outcome: self.written(entry.version(), outcome, level, false) });
            }
        }
    }

    /// Deletes a key. Unless a level is chosen it is QUORUM, and ONE, flagged, where a quorum is out of reach: a delete
    /// that only one owner knows of may be outlived by the value.
    ///
    /// # Errors
    /// As [`Coordinator::set`].
    pub async fn delete(&self, key: Key, options: &RequestOptions) -> Result<ExistedReply, CoordinatorError> {
        let level = self.level(Operation::Delete, options);
        let deadline = self.deadline(options);
        // Where ONE will do in the end, half of the time is kept for it.
        let left = deadline.saturating_duration_since(Instant::now());
        let first = if options.consistency.is_none() { deadline - left / 2 } else { deadline };
        let mut degraded = false;
        let (entry, mut result) = loop {
            let entry = Stamped::tombstone(self.new_tag(&self.cluster.view(), options.tag)?);
            let result = self.write(&key, &entry, level, first).await;
            if !needs_another_tag(&result, options) {
                break (entry, result);
            }
        };
        let out_of_reach =
            matches!(result, Err(CoordinatorError::Unavailable { .. } | CoordinatorError::Timeout { .. }));
        if options.consistency.is_none() && out_of_reach {
            self.metrics.degraded_deletes.inc();
            degraded = true;
            result = self.write(&key, &entry, Consistency::One, deadline).await;
        }
        let reached = if degraded { Consistency::One } else { level };
        let outcome = self.counted(reached, result)?;
        let existed = outcome.was_live;
        Ok(ExistedReply { existed, outcome: self.written(entry.version(), outcome, reached, degraded) })
    }

    /// What the store charges for a key and its value, as owners of this version keep them; `None` without a value.
    ///
    /// # Errors
    /// As [`Coordinator::get`].
    pub async fn usage(&self, key: Key, options: &RequestOptions) -> Result<Option<u64>, CoordinatorError> {
        let level = self.level(Operation::Get, options);
        let read = self.counted(level, self.read(&key, level, self.deadline(options)).await)?;
        let entry = read.entry.filter(|entry| entry.value().is_some());
        Ok(entry.map(|entry| self.replicas.local.charge(&key, &entry)))
    }

    fn deadline(&self, options: &RequestOptions) -> Instant {
        Instant::now()
            + options
                .timeout
                .unwrap_or_else(|| self.config.live.request_timeout())
                .min(limits::REQUEST_TIMEOUT)
    }

    /// Whether this node's acknowledgement of a write to `vnode` counts.
    fn acknowledges(&self, view: &ClusterView, vnode: Vnode) -> bool {
        view.my_index().is_some_and(|me| view.owners(vnode).contains(&me))
            && self.replicas.local.vnodes.trust(vnode) > Trust::Starting
    }

    /// Writes here and leaves the other owners to the background. `None` when this node turns out not to be able to: the
    /// ring has changed meanwhile.
    fn write_alone(
        &self,
        view: &Arc<ClusterView>,
        key: &Key,
        entry: Stamped,
        level: Consistency,
        deadline: Instant,
    ) -> Result<Option<WriteOutcome>, CoordinatorError> {
        let plan = Plan::new(view, key, level)?;
        if view.flushes(entry.version().tag) {
            return Err(CoordinatorError::Flushed { maybe: false });
        }
        let mut outcome = WriteOutcome { asked: plan.replicas() as u8, ..WriteOutcome::default() };
        let op = ReplicaOp::Write { key: key.clone(), entry: entry.clone(), cause: Cause::User };
        match self.replicas.local.handle(Some(&plan.stamp), op) {
            ReplicaAnswer::Write(answer) => outcome.count(answer),
            ReplicaAnswer::Refused(Refusal::Invalid(why)) => return Err(CoordinatorError::Invalid(why)),
            ReplicaAnswer::Refused(Refusal::Full) => return Err(CoordinatorError::Full { maybe: false }),
            _ => return Ok(None),
        }
        for owner in plan.owners.iter().copied().filter(|owner| Some(*owner) != view.my_index()) {
            self.write_to(view, &plan, owner, key, entry.clone(), Cause::User, deadline, |_| ());
        }
        Ok(Some(outcome))
    }

    /// The client's tag if it made one, otherwise the next of this node's clock.
    fn new_tag(&self, view: &ClusterView, made_by_client: Option<Tag>) -> Result<Tag, CoordinatorError> {
        let local = &self.replicas.local;
        let Some(tag) = made_by_client else {
            let writer =
                view.my_writer().unwrap_or_else(|| WriterId::client(xxh3_64(view.me().as_str().as_bytes())));
            return local
                .clock
                .tick(local.wall.now(), writer)
                .ok_or_else(|| CoordinatorError::Invalid("the clock is past the year 2109".into()));
        };
        if !tag.writer().is_client() {
            return Err(CoordinatorError::Invalid("tag of a client with a member's writer id".into()));
        }
        // Against wall time: against the hybrid clock, which follows the tags it accepts, each tag would buy the next.
        let ahead = tag.millis().saturating_since(local.wall.now());
        if ahead > CLIENT_TAG_AHEAD && tag.millis() > self.now() {
            return Err(CoordinatorError::TagAhead {
                ahead_ms: ahead.as_millis() as u64,
                allowed_ms: CLIENT_TAG_AHEAD.as_millis() as u64,
            });
        }
        local.clock.observe(tag);
        Ok(tag)
    }

    /// Whether more is known by now than `view` told.
    fn has_moved_on(&self, view: &Arc<ClusterView>) -> bool {
        !Arc::ptr_eq(view, &self.cluster.view())
    }

    fn expires_at(
        &self,
        expiry: Expiry,
        replaced: Option<Version>,
    ) -> Result<Option<UnixMillis>, CoordinatorError> {
        match expiry {
            Expiry::Never => Ok(None),
            Expiry::Keep => {
                Ok(replaced.filter(|version| !version.dead).and_then(|version| version.expires_at))
            }
            Expiry::At(at) if at <= UnixMillis::MAX => Ok(Some(at)),
            Expiry::After(ttl) if self.now().checked_add(ttl).is_some() => Ok(self.now().checked_add(ttl)),
            Expiry::At(_) | Expiry::After(_) => {
                Err(CoordinatorError::Invalid("expiry lies past the year 2109".into()))
            }
        }
    }

    fn written(
        &self,
        version: Version,
        outcome: WriteOutcome,
        reached: Consistency,
        degraded: bool,
    ) -> Outcome {
        if outcome.superseded_by.is_some() {
            self.metrics.superseded.inc(reached);
        }
        Outcome {
            tag: Some(version.tag),
            expires_at: version.expires_at,
            ttl: self.ttl(version.expires_at),
            reached,
            asked: outcome.asked,
            answered: outcome.answered,
            superseded_by: outcome.superseded_by.map(|version| version.tag),
            repaired: false,
            hinted: outcome.hinted,
            degraded,
        }
    }

    fn get_reply(&self, read: ReadOutcome, reached: Consistency) -> GetReply {
        let version = read.entry.as_ref().map(Stamped::version);
        let expires_at = version.and_then(|version| version.expires_at);
        let outcome = Outcome {
            tag: version.map(|version| version.tag),
            expires_at,
            ttl: self.ttl(expires_at),
            reached,
            asked: read.asked,
            answered: read.answered,
            superseded_by: None,
            repaired: read.repaired,
            hinted: false,
            degraded: false,
        };
        GetReply { value: read.entry.and_then(Stamped::into_value), outcome }
    }

    fn ttl(&self, expires_at: Option<UnixMillis>) -> Option<Duration> {
        expires_at.map(|at| at.saturating_since(self.now()))
    }

    fn counted<T>(
        &self,
        level: Consistency,
        result: Result<T, CoordinatorError>,
    ) -> Result<T, CoordinatorError> {
        match &result {
            Err(CoordinatorError::Unavailable { .. }) => self.metrics.unavailable.inc(level),
            Err(CoordinatorError::Timeout { .. }) => self.metrics.timeouts.inc(level),
            _ => {}
        }
        result
    }
}

/// Whether the cluster was flushed past a tag of this node's own before the write was sent to anyone.
fn needs_another_tag(result: &Result<WriteOutcome, CoordinatorError>, options: &RequestOptions) -> bool {
    options.tag.is_none() && matches!(result, Err(CoordinatorError::Flushed { maybe: false }))
}
