//! This node's own copy, over the store.

use super::{
    stamp::{StampVerdict, check},
    vnodes::VnodeStates,
};
use crate::{
    limits, mutant,
    ring::RingLedger,
    store::{self, Found, PutOutcome, Store},
};
use shoal_membership::{Cluster, ClusterView, HybridClock, WallClock};
use shoal_proto::types::{
    Cause, Inspection, Key, NodeId, NodeReport, PullCursor, ReadAnswer, RebuildPage, RebuildStates, Refusal,
    ReplicaAnswer, ReplicaOp, Stamp, Stamped, Trust, UnixMillis, Version, Vnode, WriteAnswer,
};
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::watch;

/// Who knows more of this node than its memory.
pub trait Reporter: Send + Sync {
    /// What the node says of itself.
    fn report(&self) -> NodeReport;
}

/// The writes a node keeps for others. They lie with its coordinator, of which a replica knows no more than this.
pub trait PendingHints: Send + Sync {
    /// Nodes a write of `key` is kept for.
    fn pending(&self, key: &Key) -> Vec<NodeId>;
}

/// Serves replica operations from this node's memory. Synchronous: an operation takes one short shard lock.
pub struct LocalReplica {
    /// What this node knows of its cluster.
    pub cluster: Arc<Cluster>,
    /// The memory.
    pub store: Arc<Store>,
    /// How far it can be trusted.
    pub vnodes: Arc<VnodeStates>,
    /// Merges every tag that passes.
    pub clock: Arc<HybridClock>,
    /// Judges expiry together with `clock`.
    pub wall: Arc<dyn WallClock>,
    /// Votes on and learns ring records.
    pub ring: Arc<RingLedger>,
    /// What this node keeps for others.
    pub hints: Arc<dyn PendingHints>,
    /// The tag of the flush up to which everything has been dropped from memory.
    pub swept: watch::Sender<u64>,
    /// Asked by peers how the node is. It knows this replica, so it is not kept alive from here.
    pub reporter: OnceLock<Weak<dyn Reporter>>,
}

impl LocalReplica {
    /// The hybrid clock's reading.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.read(self.wall.now())
    }

    /// Does what a coordinator, another node or this one, asks for.
    #[must_use]
    pub fn handle(&self, stamp: Option<&Stamp>, op: ReplicaOp) -> ReplicaAnswer {
        let refused = ReplicaAnswer::Refused;
        match op {
            ReplicaOp::Read { key, known } => match self.admit(&key, stamp) {
                Ok((view, vnode)) => ReplicaAnswer::Read(self.read(&view, vnode, &key, known)),
                Err(refusal) => refused(refusal),
            },
            ReplicaOp::Write { key, entry, cause } => match self.admitted_write(&key, stamp, entry, cause) {
                Ok(answer) => ReplicaAnswer::Write(answer),
                Err(refusal) => refused(refusal),
            },
            ReplicaOp::RebuildBegin { node, generation, vnodes } => {
                self.rebuild_begin(&node, generation, &vnodes)
            }
            ReplicaOp::RebuildPull { node, generation, vnodes, after, max_bytes, source_generation } => {
                if let Err(refusal) = self.may_be_pulled(&vnodes, source_generation) {
                    return refused(refusal);
                }
                match self.rebuild_pull(&node, generation, &vnodes, after, max_bytes) {
                    Ok(page) => ReplicaAnswer::RebuildPage(page),
                    Err(refusal) => refused(refusal),
                }
            }
            ReplicaOp::RingPrepare { epoch, ballot, voters } => {
                ReplicaAnswer::RingVote(self.ring.prepare(epoch, ballot, &voters))
            }
            ReplicaOp::RingAccept { ballot, record, voters } => {
                ReplicaAnswer::RingVote(self.ring.accept(ballot, *record, &voters))
            }
            ReplicaOp::RingLearn(record) => match self.ring.learn(*record) {
                Ok(_) => ReplicaAnswer::RingState(self.ring.record().map(|r| Box::new((*r).clone()))),
                Err(error) => refused(Refusal::Invalid(error.to_string())),
            },
            ReplicaOp::RingFetch => {
                ReplicaAnswer::RingState(self.ring.record().map(|r| Box::new((*r).clone())))
            }
            ReplicaOp::Report => match self.reporter.get().and_then(Weak::upgrade) {
                Some(reporter) => ReplicaAnswer::Report(Box::new(reporter.report())),
                None => refused(Refusal::Starting),
            },
            ReplicaOp::Inspect { key } => match self.inspect(&key) {
                Some(inspection) => ReplicaAnswer::Inspection(inspection),
                None => refused(Refusal::Behind { epoch: 0, phase: 0 }),
            },
            ReplicaOp::ReadClock => ReplicaAnswer::Clock(self.clock_reading()),
            ReplicaOp::ListKeys(listing) => match self.list_keys(&listing) {
                Ok(page) => ReplicaAnswer::Keys(page),
                Err(refusal) => refused(refusal),
            },
        }
    }

    /// Reads without a stamp, for a coordinator on this node that needs no other replica. `None` unless this node owns
    /// the vnode and its silence is trusted.
    #[must_use]
    pub fn read_alone(&self, view: &ClusterView, vnode: Vnode, key: &Key) -> Option<Option<Stamped>> {
        let trusted = owns(view, vnode) && self.vnodes.trust(vnode) == Trust::Ready;
        trusted.then(|| match self.get(view, vnode, key, self.now()) {
            Found::Held(entry) => Some(entry),
            Found::Ghost(_) | Found::Nothing => None,
        })
    }

    /// What the store charges for an entry.
    #[must_use]
    pub fn charge(&self, key: &Key, entry: &Stamped) -> u64 {
        store::weight(key, entry)
    }

    /// Learns what a replica that refused knew better: a newer record, newer generations of a vnode's owners.
    pub fn learn(&self, view: &ClusterView, vnode: Vnode, refusal: Refusal) {
        let Refusal::StaleStamp { record, generations } = refusal else { return };
        match record {
            Some(record) => {
                if let Err(error) = self.ring.learn(*record) {
                    tracing::warn!(%error, "record from a refusal not adopted");
                }
            }
            None => {
                for (owner, generation) in view.owners(vnode).iter().zip(generations) {
                    self.cluster.observe_generation(&view.member(*owner).node_id, generation);
                }
            }
        }
    }

    /// Checks ownership and the stamp; adopts what the stamp knows better.
    fn admit(&self, key: &Key, stamp: Option<&Stamp>) -> Result<(Arc<ClusterView>, Vnode), Refusal> {
        let view = self.cluster.view();
        let Some(vnode) = view.vnode_of(key.as_bytes()) else {
            return Err(Refusal::Behind { epoch: 0, phase: 0 });
        };
        self.share_seed(&view);
        let stamp = stamp.ok_or_else(|| Refusal::Invalid("request without a stamp".into()))?;
        match check(&view, vnode, stamp) {
            StampVerdict::Serve => {}
            StampVerdict::AdoptThenServe(newer) => {
                for (node, generation) in newer {
                    self.cluster.observe_generation(&node, generation);
                }
            }
            StampVerdict::Refuse(refusal) => return Err(refusal),
        }
        if !owns(&view, vnode) {
            return Err(Refusal::NotOwner);
        }
        Ok((view, vnode))
    }

    /// Nodes name keys to each other by hashes of a seed that is in the record.
    pub(super) fn share_seed(&self, view: &ClusterView) {
        if let Some(record) = view.record() {
            self.store.share_seed(record.settings().hash_seed);
        }
    }

    fn read(&self, view: &ClusterView, vnode: Vnode, key: &Key, known: Option<Version>) -> ReadAnswer {
        let votes = self.vnodes.trust(vnode) == Trust::Ready || mutant::active("vote_when_empty");
        let entry = match self.get(view, vnode, key, self.now()) {
            Found::Held(entry) => entry,
            Found::Ghost(ghost) => {
                return ReadAnswer { votes, version: None, value: None, ghost: Some(ghost.tag) };
            }
            Found::Nothing => return ReadAnswer { votes, version: None, value: None, ghost: None },
        };
        let version = entry.version();
        let value = if known.is_none_or(|known| version > known) { entry.into_value() } else { None };
        ReadAnswer { votes, version: Some(version), value, ghost: None }
    }

    fn admitted_write(
        &self,
        key: &Key,
        stamp: Option<&Stamp>,
        entry: Stamped,
        cause: Cause,
    ) -> Result<WriteAnswer, Refusal> {
        let (view, vnode) = self.admit(key, stamp)?;
        let tag = entry.version().tag;
        let answer = self.write(&view, vnode, key, entry, cause)?;
        if !Arc::ptr_eq(&view, &self.cluster.view()) {
            self.reconsider(&view, vnode, key, tag);
            // A generation adopted since means a rebuild that may have passed this key by before it was stored: then
            // the acknowledgement must not count.
            self.admit(key, stamp)?;
        }
        Ok(answer)
    }

    fn write(
        &self,
        view: &ClusterView,
        vnode: Vnode,
        key: &Key,
        entry: Stamped,
        cause: Cause,
    ) -> Result<WriteAnswer, Refusal> {
        let tag = entry.version().tag;
        self.clock.observe(entry.version().stamp());
        if self.is_gone(view, tag) {
            let superseded_by = Self::superseded_by_flush(view);
            return Ok(WriteAnswer { superseded_by, was_live: false });
        }
        self.forget_gone(view, vnode, key);
        let answer = match self.store.put(vnode, key, entry, cause, self.now()) {
            PutOutcome::Stored { was_live } => WriteAnswer { superseded_by: None, was_live },
            PutOutcome::Unchanged { was_live } => WriteAnswer { superseded_by: None, was_live },
            PutOutcome::Superseded { by, was_live } => WriteAnswer { superseded_by: Some(by), was_live },
            PutOutcome::Sealed { through } => return Err(Refusal::Sealed { through }),
            PutOutcome::Full { bytes, limit } => {
                return Err(Refusal::Invalid(format!(
                    "memory is full and nothing is evicted: no room for {bytes} bytes in a shard of {limit}"
                )));
            }
            PutOutcome::TooLarge { bytes, limit } => {
                return Err(Refusal::Invalid(format!(
                    "entry of {bytes} bytes does not fit this node's shards of {limit} bytes"
                )));
            }
        };
        // Stored all the same: it is only the acknowledgement that must not be counted yet.
        if self.vnodes.trust(vnode) == Trust::Starting { Err(Refusal::Starting) } else { Ok(answer) }
    }

    /// Under no stamp: what is asked for is what this node believes, whatever others do. `None` before there is a ring.
    fn inspect(&self, key: &Key) -> Option<Inspection> {
        let view = self.cluster.view();
        let vnode = view.vnode_of(key.as_bytes())?;
        let (held, ghost) = match self.unless_gone(&view, self.store.look(vnode, key, self.now())) {
            Found::Held(entry) => (Some(entry), None),
            Found::Ghost(version) => (None, Some(version.tag)),
            Found::Nothing => (None, None),
        };
        Some(Inspection {
            generation: self.cluster.me().generation,
            owner: owns(&view, vnode),
            trust: self.vnodes.trust(vnode),
            version: held.as_ref().map(Stamped::version),
            value_bytes: held
                .as_ref()
                .and_then(Stamped::value)
                .map_or(0, |value| value.as_bytes().len() as u64),
            ghost,
            hinted: self.hints.pending(key),
        })
    }

    fn rebuild_begin(&self, node: &NodeId, generation: u64, vnodes: &[Vnode]) -> ReplicaAnswer {
        // Adopted before the answer, so that from here on no write planned under the older generation is taken.
        self.cluster.observe_generation(node, generation);
        let view = self.cluster.view();
        let Some(record) = view.record() else {
            return ReplicaAnswer::Refused(Refusal::Behind { epoch: 0, phase: 0 });
        };
        ReplicaAnswer::RebuildStates(RebuildStates {
            generation: self.cluster.me().generation,
            number: record.number(),
            states: vnodes.iter().map(|vnode| self.vnodes.state(*vnode)).collect(),
        })
    }

    /// Only memory that is trusted may be taken over, and only by who knows whose it is.
    pub(super) fn may_be_pulled(&self, vnodes: &[Vnode], generation: u64) -> Result<(), Refusal> {
        if generation != self.cluster.me().generation {
            return Err(Refusal::Invalid("another incarnation of this node was meant".into()));
        }
        let trusted = vnodes.iter().all(|vnode| self.vnodes.trust(*vnode) == Trust::Ready);
        if trusted { Ok(()) } else { Err(Refusal::Starting) }
    }

    fn rebuild_pull(
        &self,
        node: &NodeId,
        generation: u64,
        vnodes: &[Vnode],
        after: Option<PullCursor>,
        max_bytes: u32,
    ) -> Result<RebuildPage, Refusal> {
        self.cluster.observe_generation(node, generation);
        let budget = max_bytes.min(limits::REBUILD_PAGE_BYTES) as usize;
        let (view, now) = (self.cluster.view(), self.now());
        let (mut entries, mut used, mut reached) = (Vec::new(), 0, after);
        for vnode in vnodes.iter().copied().filter(|v| after.is_none_or(|cursor| *v >= cursor.vnode)) {
            let mut from = after.filter(|cursor| cursor.vnode == vnode).map(|cursor| cursor.hash);
            loop {
                if used >= budget {
                    return Ok(RebuildPage { entries, next: reached });
                }
                let (page, next) = self.store.scan(vnode, from, budget - used, now);
                used += page.iter().map(|(key, entry)| size_of_entry(key, entry)).sum::<usize>();
                entries
                    .extend(page.into_iter().filter(|(_, entry)| !self.is_gone(&view, entry.version().tag)));
                // Nothing follows the largest hash, so it stands for the end of the vnode.
                reached = Some(PullCursor { vnode, hash: next.unwrap_or(u64::MAX) });
                match next {
                    Some(hash) => from = Some(hash),
                    None => break,
                }
            }
        }
        Ok(RebuildPage { entries, next: None })
    }
}

/// Whether the node whose view this is owns `vnode`.
fn owns(view: &ClusterView, vnode: Vnode) -> bool {
    view.my_index().is_some_and(|me| view.owners(vnode).contains(&me))
}

/// About how many bytes an entry takes on the wire.
fn size_of_entry(key: &Key, entry: &Stamped) -> usize {
    32 + key.as_bytes().len() + entry.value().map_or(0, |value| value.as_bytes().len())
}
