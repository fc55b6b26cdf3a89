//! What this node has promised, accepted and adopted, made durable before anyone is told.

use parking_lot::Mutex;
use shoal_membership::{Cluster, HybridClock, StateError, StateFile, ring::ballot::Acceptor};
use shoal_proto::types::{Ballot, NodeState, RingRecord, RingVote, Tag};
use std::sync::Arc;

/// The node's voice and memory in elections of ring records.
pub struct RingLedger {
    // Held across the write of a few KB to disk, a handful of times in a cluster's life; never across an await.
    state: Mutex<NodeState>,
    file: Arc<dyn StateFile>,
    cluster: Arc<Cluster>,
    /// Moves past every flush before anyone sees the record that tells of it.
    clock: Arc<HybridClock>,
    /// The first members' gossip addresses, sorted: who votes on epoch 1.
    founders: Vec<String>,
    /// How many vnodes this node's memory is laid out for.
    vnodes: u16,
}

/// A record cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// It belongs to another cluster.
    #[error("record of cluster {theirs:016x} offered to a member of cluster {ours:016x}")]
    OtherCluster {
        /// The record's cluster id.
        theirs: u64,
        /// This node's.
        ours: u64,
    },
    /// It divides the keys otherwise than this node was told.
    #[error("the cluster has {theirs} vnodes, this node was configured for {ours}: set vnodes = {theirs}")]
    OtherVnodes {
        /// The record's vnodes.
        theirs: u16,
        /// This node's.
        ours: u16,
    },
    /// It could not be made durable.
    #[error(transparent)]
    State(#[from] StateError),
}

impl RingLedger {
    /// Takes up the state a node starts with and publishes its record.
    ///
    /// # Errors
    /// When that record does not fit this node.
    pub fn new(
        state: NodeState,
        file: Arc<dyn StateFile>,
        cluster: Arc<Cluster>,
        clock: Arc<HybridClock>,
        mut founders: Vec<String>,
        vnodes: u16,
    ) -> Result<Self, LearnError> {
        founders.sort();
        founders.dedup();
        if let Some(record) = &state.record {
            check_vnodes(record, vnodes)?;
            move_past_flush(&clock, record);
            cluster.publish_record(Arc::new(record.clone()));
        }
        Ok(Self { state: Mutex::new(state), file, cluster, clock, founders, vnodes })
    }

    /// Who votes on epoch 1, sorted.
    #[must_use]
    pub fn founders(&self) -> &[String] {
        &self.founders
    }

    /// Who votes on the record after `record`: its members, sorted.
    #[must_use]
    pub fn voters(record: &RingRecord) -> Vec<String> {
        let mut voters: Vec<String> =
            record.members().iter().map(|member| member.node_id.to_string()).collect();
        voters.sort();
        voters
    }

    /// The adopted record.
    #[must_use]
    pub fn record(&self) -> Option<Arc<RingRecord>> {
        self.cluster.view().record().cloned()
    }

    /// The highest ballot round promised so far.
    #[must_use]
    pub fn highest_round(&self) -> u64 {
        self.state.lock().promised.as_ref().map_or(0, |ballot| ballot.round)
    }

    /// Votes in the first phase of an election.
    pub fn prepare(&self, epoch: u64, ballot: Ballot, voters: &[String]) -> RingVote {
        self.vote(epoch, voters, |acceptor| acceptor.prepare(ballot))
    }

    /// Votes in the second phase of an election.
    pub fn accept(&self, ballot: Ballot, record: RingRecord, voters: &[String]) -> RingVote {
        self.vote(record.epoch(), voters, |acceptor| acceptor.accept(ballot, record.clone()))
    }

    /// Adopts a chosen record if it is newer than the one at hand. Returns whether it was.
    ///
    /// # Errors
    /// When the record belongs to another cluster or cannot be made durable.
    pub fn learn(&self, record: RingRecord) -> Result<bool, LearnError> {
        check_vnodes(&record, self.vnodes)?;
        let mut state = self.state.lock();
        if let Some(known) = &state.record {
            if known.cluster_id() != record.cluster_id() {
                return Err(LearnError::OtherCluster {
                    theirs: record.cluster_id(),
                    ours: known.cluster_id(),
                });
            }
            if known.number() >= record.number() {
                return Ok(false);
            }
        }
        let next =
            NodeState { record: Some(record.clone()), promised: None, accepted: None, ..state.clone() };
        self.file.save(&next)?;
        *state = next;
        tracing::info!(
            epoch = record.epoch(),
            phase = record.phase().number(),
            members = record.members().len(),
            "ring record adopted"
        );
        move_past_flush(&self.clock, &record);
        self.cluster.publish_record(Arc::new(record));
        Ok(true)
    }

    fn vote(&self, epoch: u64, voters: &[String], cast: impl FnOnce(&mut Acceptor) -> RingVote) -> RingVote {
        let mut state = self.state.lock();
        let current = state.record.as_ref().map_or(0, RingRecord::epoch);
        if let Some(record) = state.record.as_ref().filter(|_| current >= epoch) {
            return RingVote::Chosen(Box::new(record.clone()));
        }
        if epoch != current + 1 {
            return RingVote::Refused(format!(
                "this node has epoch {current} and cannot vote on epoch {epoch}"
            ));
        }
        let (known, who) = match &state.record {
            Some(record) => (Self::voters(record), "members"),
            None => (self.founders.clone(), "first members"),
        };
        if voters != known {
            return RingVote::Refused(format!(
                "{who} differ: this node knows {known:?}, the proposer {voters:?}"
            ));
        }
        let mut acceptor = Acceptor { promised: state.promised.clone(), accepted: state.accepted.clone() };
        let vote = cast(&mut acceptor);
        let next = NodeState { promised: acceptor.promised, accepted: acceptor.accepted, ..state.clone() };
        if next != *state {
            // A vote that might be forgotten must not be given.
            if let Err(error) = self.file.save(&next) {
                tracing::error!(%error, "cannot vote");
                return RingVote::Refused(error.to_string());
            }
            *state = next;
        }
        vote
    }
}

/// Tags made from here on are larger than the flush, or they would be gone at once.
fn move_past_flush(clock: &HybridClock, record: &RingRecord) {
    if let Some(flush) = Tag::from_bits(record.settings().flush_tag) {
        clock.observe(flush);
    }
}

fn check_vnodes(record: &RingRecord, ours: u16) -> Result<(), LearnError> {
    let theirs = record.table().vnodes();
    if theirs == ours { Ok(()) } else { Err(LearnError::OtherVnodes { theirs, ours }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{cluster_of, node_id, view_of};
    use shoal_membership::env::MemoryState;
    use shoal_proto::types::Settings;

    fn ledger(file: &Arc<MemoryState>) -> RingLedger {
        let state = file.load().unwrap().unwrap_or(NodeState {
            node_id: node_id(0),
            generation: 1,
            record: None,
            promised: None,
            accepted: None,
        });
        // A cluster without a record of its own.
        let cluster = Arc::new(Cluster::new(cluster_of(1, 1, 1).me()));
        let founders = vec!["b".into(), "a".into()];
        RingLedger::new(state, file.clone(), cluster, Arc::default(), founders, 8).unwrap()
    }

    fn record() -> RingRecord {
        (**view_of(3, 3, 8).record().unwrap()).clone()
    }

    fn ballot(round: u64) -> Ballot {
        Ballot { round, proposer: node_id(1) }
    }

    #[test]
    fn promises_and_records_survive_a_restart() {
        let file = Arc::new(MemoryState::default());
        let voters = ["a".to_owned(), "b".to_owned()];
        assert_eq!(ledger(&file).prepare(1, ballot(5), &voters), RingVote::Granted { accepted: None });
        let again = ledger(&file);
        assert_eq!(again.prepare(1, ballot(4), &voters), RingVote::Outbid { promised: ballot(5) });
        assert!(again.learn(record()).unwrap());
        assert!(!again.learn(record()).unwrap());
        let later = ledger(&file);
        assert_eq!(later.record().map(|r| (*r).clone()), Some(record()));
        assert_eq!(later.prepare(1, ballot(9), &voters), RingVote::Chosen(Box::new(record())));
    }

    #[test]
    fn on_the_next_record_vote_the_members_of_the_last() {
        let ledger = ledger(&Arc::new(MemoryState::default()));
        ledger.learn(record()).unwrap();
        let founders = ["a".to_owned(), "b".to_owned()];
        assert!(matches!(ledger.prepare(2, ballot(1), &founders), RingVote::Refused(_)));
        let members = RingLedger::voters(&record());
        assert_eq!(members, ["n0", "n1", "n2"]);
        assert_eq!(ledger.prepare(2, ballot(1), &members), RingVote::Granted { accepted: None });
        let next = record().with_settings(Settings { flush_tag: 77, ..Settings::default() });
        let voted = ledger.accept(ballot(1), next.clone(), &members);
        assert_eq!(voted, RingVote::Granted { accepted: Some((ballot(1), Box::new(next.clone()))) });
        assert!(matches!(ledger.prepare(3, ballot(1), &members), RingVote::Refused(_)));
        assert!(ledger.learn(next).unwrap());
        // What was promised for epoch 2 binds nobody in the election of epoch 3.
        assert_eq!(ledger.prepare(3, ballot(1), &members), RingVote::Granted { accepted: None });
        assert!(ledger.clock.ticks() >= Tag::from_bits(77).unwrap().ticks());
    }

    #[test]
    fn other_first_members_and_other_clusters_are_refused_by_name() {
        let ledger = ledger(&Arc::new(MemoryState::default()));
        let RingVote::Refused(why) = ledger.prepare(1, ballot(1), &["a".into()]) else { panic!() };
        assert!(why.contains(r#"["a", "b"]"#) && why.contains(r#"["a"]"#), "{why}");
        ledger.learn(record()).unwrap();
        let r = record();
        let foreign =
            RingRecord::new(8, 2, r.phase(), r.members().to_vec(), r.table().clone(), r.settings().clone());
        assert!(matches!(ledger.learn(foreign.unwrap()), Err(LearnError::OtherCluster { .. })));
    }
}
