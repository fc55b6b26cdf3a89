//! Writes kept for owners that could not be reached, and their replay.
//!
//! A hint never counts towards a level. Only the newest version per key and target is kept; an expired one shrinks to
//! its marker, so that what it had overwritten does not come back. Bounded in bytes per target and in age.

use super::plan::Plan;
use crate::{
    limits,
    metrics::Metrics,
    mutant,
    replica::{Done, PendingHints, ReplicaRequest, Replicas},
};
use bytes::Bytes;
use parking_lot::Mutex;
use shoal_membership::{Cluster, ClusterView};
use shoal_proto::types::{
    Cause, Consistency, Key, NodeId, Refusal, ReplicaAnswer, ReplicaOp, Stamped, UnixMillis, Value, Version,
    WriterId,
};
use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// How often targets are looked at.
const ROUND: Duration = Duration::from_millis(100);
/// How long one replayed hint may take.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(2);
/// Batches of which nothing was answered before a target is left alone for this round.
const UNANSWERED_BATCHES: u32 = 3;
/// What a hint costs beside its key and value.
const OVERHEAD: usize = 128;

/// The hints of one node.
pub struct Hints {
    // Held for one map operation; never across an await.
    targets: Mutex<BTreeMap<NodeId, Target>>,
    /// Bytes kept for one target, and for all together.
    bytes_per_target: usize,
    bytes: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Target {
    hints: BTreeMap<Key, Hint>,
    bytes: usize,
}

struct Hint {
    entry: Stamped,
    stored: Instant,
}

impl Hint {
    fn bytes(&self, key: &Key) -> usize {
        OVERHEAD + key.as_bytes().len() + self.entry.value().map_or(0, |value| value.as_bytes().len())
    }
}

impl Hints {
    /// No hints yet.
    #[must_use]
    pub fn new(bytes_per_target: usize, bytes: usize, metrics: Arc<Metrics>) -> Self {
        Self { targets: Mutex::default(), bytes_per_target, bytes, metrics }
    }

    /// Keeps `entry` for `target`. When that would exceed the bound it is dropped and counted: read repair must find it.
    pub fn store(&self, target: &NodeId, key: &Key, entry: &Stamped) {
        // Copied: both are slices of whatever buffer the request came in, which a hint would keep alive for minutes.
        let Some((key, entry)) = detached(key, entry) else { return };
        let mut targets = self.targets.lock();
        let total: usize = targets.values().map(|target| target.bytes).sum();
        let target = targets.entry(target.clone()).or_default();
        let older = target.hints.get(&key).map(|hint| (hint.entry.version(), hint.bytes(&key)));
        if older.is_some_and(|(version, _)| version >= entry.version()) {
            return;
        }
        let hint = Hint { entry, stored: Instant::now() };
        let replaced = older.map_or(0, |(_, bytes)| bytes);
        let bytes = target.bytes - replaced + hint.bytes(&key);
        if bytes > self.bytes_per_target || total - replaced + hint.bytes(&key) > self.bytes {
            self.metrics.hints_dropped.inc();
            return;
        }
        target.bytes = bytes;
        target.hints.insert(key, hint);
        self.metrics.hints_stored.inc();
    }

    /// How many hints are kept, and their bytes.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let targets = self.targets.lock();
        targets.values().fold((0, 0), |(count, bytes), target| {
            (count + target.hints.len() as u64, bytes + target.bytes as u64)
        })
    }

    /// Replays hints to targets that can be reached again, until shutdown.
    pub async fn replay(
        self: Arc<Self>,
        replicas: Replicas,
        cluster: Arc<Cluster>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            let waiting: Vec<NodeId> = self.targets.lock().keys().cloned().collect();
            let view = cluster.view();
            for target in &waiting {
                self.drop_flushed(target, &view);
                self.drop_old(target);
            }
            for target in waiting.into_iter().filter(|target| replicas.peers.is_up(target)) {
                self.replay_to(&target, &replicas, &cluster).await;
            }
        }
    }

    /// Replays to one target until nothing is left or it stops answering; so many at once as the bound allows.
    async fn replay_to(&self, target: &NodeId, replicas: &Replicas, cluster: &Cluster) {
        let mut after: Option<Key> = None;
        let mut patience = UNANSWERED_BATCHES;
        while patience > 0 {
            let batch = self.next_batch(target, after.as_ref(), replicas.local.now());
            let Some((last, _)) = batch.last() else { return };
            after = Some(last.clone());
            let (outcomes, mut settled) = mpsc::channel(limits::HINTS_IN_FLIGHT);
            for (key, entry) in batch {
                self.send(target, key, entry, replicas, cluster, outcomes.clone());
            }
            drop(outcomes);
            let mut answered = false;
            while let Some((key, version)) = settled.recv().await {
                answered = true;
                self.settle(target, &key, version);
            }
            patience -= u32::from(!answered);
        }
    }

    /// Past the window a hint is not worth its memory.
    fn drop_old(&self, target: &NodeId) {
        let dropped = self.keep_only(target, |hint| hint.stored.elapsed() < limits::HINT_WINDOW);
        self.metrics.hints_expired.inc_by(dropped);
    }

    /// What is gone need not be kept for anyone.
    fn drop_flushed(&self, target: &NodeId, view: &ClusterView) {
        self.keep_only(target, |hint| !view.flushes(hint.entry.version().tag));
    }

    /// Drops the hints for `target` that are not worth keeping; returns how many.
    fn keep_only(&self, target: &NodeId, worth_keeping: impl Fn(&Hint) -> bool) -> u64 {
        let mut targets = self.targets.lock();
        let Some(kept) = targets.get_mut(target) else { return 0 };
        let before = kept.hints.len();
        let bytes = &mut kept.bytes;
        kept.hints.retain(|key, hint| {
            let keep = worth_keeping(hint);
            *bytes -= if keep { 0 } else { hint.bytes(key) };
            keep
        });
        let dropped = (before - kept.hints.len()) as u64;
        if kept.hints.is_empty() {
            targets.remove(target);
        }
        dropped
    }

    fn next_batch(&self, target: &NodeId, after: Option<&Key>, now: UnixMillis) -> Vec<(Key, Stamped)> {
        let targets = self.targets.lock();
        let Some(kept) = targets.get(target) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let due = kept.hints.range::<Key, _>((from, Bound::Unbounded)).take(limits::HINTS_IN_FLIGHT);
        due.map(|(key, hint)| (key.clone(), hint.entry.clone().as_of(now))).collect()
    }

    /// Replays one hint; `settled` hears of it if it need not be kept any longer.
    fn send(
        &self,
        target: &NodeId,
        key: Key,
        entry: Stamped,
        replicas: &Replicas,
        cluster: &Cluster,
        settled: mpsc::Sender<(Key, Version)>,
    ) {
        let view = cluster.view();
        let Ok(plan) = Plan::new(&view, &key, Consistency::One) else { return };
        let version = entry.version();
        if !plan.owners.iter().any(|owner| view.member(*owner).node_id == *target) {
            // No longer an owner: whoever is has the entry from the handover. The channel has room for the batch.
            return drop(settled.try_send((key, version)));
        }
        let entry = if mutant::active("hint_new_tag") { retagged(entry, replicas) } else { entry };
        let op = ReplicaOp::Write { key: key.clone(), entry, cause: Cause::Hint };
        let (local, node, metrics) = (replicas.local.clone(), target.clone(), self.metrics.clone());
        let (stamp, vnode) = (plan.stamp, plan.vnode);
        let done = Done::new(move |outcome| {
            match outcome {
                Ok(ReplicaAnswer::Write(_)) => drop(metrics.hints_replayed.inc()),
                Ok(ReplicaAnswer::Refused(Refusal::Invalid(why))) => {
                    tracing::warn!(target = %node, %why, "hint can never be replayed");
                }
                // Read repair brings the target up once it has room.
                Ok(ReplicaAnswer::Refused(Refusal::Full)) => {}
                Ok(ReplicaAnswer::Refused(refusal)) => return local.learn(&view, vnode, refusal),
                _ => return,
            }
            let _ = settled.try_send((key, version));
        });
        let deadline = Instant::now() + REPLAY_TIMEOUT;
        replicas.peers.submit(target, ReplicaRequest { stamp: Some(stamp), op, deadline, done });
    }

    fn settle(&self, target: &NodeId, key: &Key, version: Version) {
        let mut targets = self.targets.lock();
        let Some(kept) = targets.get_mut(target) else { return };
        // A newer one may have come meanwhile; an expired one was sent as its marker.
        if kept.hints.get(key).is_some_and(|hint| hint.entry.version() <= version)
            && let Some(hint) = kept.hints.remove(key)
        {
            kept.bytes -= hint.bytes(key);
        }
        if kept.hints.is_empty() {
            targets.remove(target);
        }
    }
}

impl PendingHints for Hints {
    fn pending(&self, key: &Key) -> Vec<NodeId> {
        let targets = self.targets.lock();
        targets.iter().filter(|(_, t)| t.hints.contains_key(key)).map(|(node, _)| node.clone()).collect()
    }
}

fn detached(key: &Key, entry: &Stamped) -> Option<(Key, Stamped)> {
    let key = Key::new(Bytes::copy_from_slice(key.as_bytes())).ok()?;
    let value = entry.value().map(|value| Value::new(Bytes::copy_from_slice(value.as_bytes())));
    Some((key, Stamped::from_parts(entry.version(), value.transpose().ok()?)?))
}

/// The deliberate bug of a hint that becomes a new write.
fn retagged(entry: Stamped, replicas: &Replicas) -> Stamped {
    let writer = WriterId::client(0);
    let tag = replicas.local.clock.tick(replicas.local.wall.now(), writer);
    match (tag, entry.value()) {
        (Some(tag), Some(value)) => Stamped::live(tag, 0, entry.version().expires_at, value.clone()),
        _ => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::node_id;
    use proptest::prelude::*;
    use shoal_proto::types::Tag;

    fn key(i: u8) -> Key {
        Key::new(vec![i]).unwrap()
    }

    fn entry(tick: u64, bytes: usize) -> Stamped {
        let tag = Tag::from_ticks(tick, WriterId::member(1).unwrap()).unwrap();
        Stamped::live(tag, 0, Some(UnixMillis(100)), Value::new(vec![0; bytes]).unwrap())
    }

    proptest! {
        #[test]
        fn the_newest_version_per_key_is_kept_within_the_bound_and_bytes_are_exact(
            stores in proptest::collection::vec((0u8..5, 1u64..9, 0usize..200, any::<bool>()), 0..60)
        ) {
            const BOUND: usize = 900;
            let hints = Hints::new(BOUND, usize::MAX, Arc::default());
            for (k, tick, bytes, settle) in stores {
                if settle {
                    hints.settle(&node_id(1), &key(k), entry(tick, bytes).version());
                } else {
                    let before = hints.next_batch(&node_id(1), None, UnixMillis(0));
                    hints.store(&node_id(1), &key(k), &entry(tick, bytes));
                    let kept = hints.next_batch(&node_id(1), None, UnixMillis(0));
                    for (k, old) in before {
                        let now = kept.iter().find(|(other, _)| *other == k).map(|(_, e)| e);
                        prop_assert!(now.is_some_and(|now| *now >= old));
                    }
                }
                let (count, bytes) = hints.size();
                let kept = hints.next_batch(&node_id(1), None, UnixMillis(0));
                let exact: usize = kept.iter().map(|(k, e)| OVERHEAD + k.as_bytes().len() + e.value().map_or(0, |v| v.as_bytes().len())).sum();
                prop_assert_eq!((count, bytes), (kept.len() as u64, exact as u64));
                prop_assert!(exact <= BOUND);
            }
        }
    }

    #[test]
    fn a_hint_does_not_keep_the_buffer_alive_that_it_was_cut_from() {
        let hints = Hints::new(1000, 1000, Arc::default());
        let buffer = Bytes::from(vec![7; 1 << 20]);
        let tag = entry(5, 0).version().tag;
        let cut = Stamped::live(tag, 0, None, Value::new(buffer.slice(100..110)).unwrap());
        hints.store(&node_id(1), &Key::new(buffer.slice(..8)).unwrap(), &cut);
        drop(cut);
        assert!(buffer.is_unique(), "the hint shares the buffer");
        assert_eq!(hints.size().0, 1);
    }

    #[tokio::test]
    async fn an_expired_hint_is_replayed_as_its_marker_and_then_forgotten() {
        let hints = Hints::new(1000, 1000, Arc::default());
        hints.store(&node_id(1), &key(1), &entry(5, 10));
        let batch = hints.next_batch(&node_id(1), None, UnixMillis(100));
        assert!(batch[0].1.version().dead);
        assert_eq!(hints.pending(&key(1)), [node_id(1)]);
        hints.settle(&node_id(1), &key(1), batch[0].1.version());
        assert_eq!(hints.size(), (0, 0));
    }
}
