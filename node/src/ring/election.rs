//! One attempt to have a record chosen: asks the voters, and counts what they say.

use super::RingLedger;
use crate::replica::{Done, Peers, ReplicaRequest};
use shoal_membership::{
    Cluster,
    ring::ballot::{Proposer, Step},
};
use shoal_proto::types::{Ballot, NodeId, ReplicaAnswer, ReplicaOp, RingRecord};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

/// What it takes to ask other nodes, and oneself, about ring records.
#[derive(Clone)]
pub(super) struct Electorate {
    pub(super) ledger: Arc<RingLedger>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) peers: Arc<Peers>,
}

/// What is put to the vote.
pub(super) struct Motion {
    pub(super) ballot: Ballot,
    pub(super) record: RingRecord,
    /// Who votes, sorted, as every voter must know them.
    pub(super) voters: Vec<String>,
}

/// How an election ended.
#[derive(Debug)]
pub(super) enum Elected {
    /// This record is the truth of its epoch, or of a later one; not necessarily the one that was proposed.
    Chosen(Box<RingRecord>),
    /// Another proposer has a higher ballot.
    Outbid(Ballot),
    /// Too few voters agreed in time.
    Undecided {
        /// Voters that agreed in the phase that was reached.
        votes: usize,
        /// Some may have accepted the record: a later election may find and choose it.
        maybe: bool,
    },
}

impl Electorate {
    /// Puts `motion` to those of the voters that can be asked, the nodes `asked`.
    pub(super) async fn elect(&self, motion: Motion, asked: &[NodeId], deadline: Instant) -> Elected {
        let Motion { ballot, record, voters } = motion;
        let epoch = record.epoch();
        let mut proposer = Proposer::new(ballot.clone(), voters.len(), record);
        let prepare = || ReplicaOp::RingPrepare { epoch, ballot: ballot.clone(), voters: voters.clone() };
        let mut answers = self.ask_all(asked, prepare, deadline);
        let (mut accepting, mut votes) = (false, 0);
        while let Some((from, answer)) = answers.recv().await {
            let ReplicaAnswer::RingVote(vote) = answer else { continue };
            votes += usize::from(matches!(vote, shoal_proto::types::RingVote::Granted { .. }));
            match proposer.vote(from.clone(), accepting, vote) {
                Step::Wait => {}
                Step::Accept(record) => {
                    // Promises that still come in are of no use; from here on only acceptances are counted.
                    (accepting, votes) = (true, 0);
                    let accept = || ReplicaOp::RingAccept {
                        ballot: ballot.clone(),
                        record: Box::new(record.clone()),
                        voters: voters.clone(),
                    };
                    answers = self.ask_all(asked, accept, deadline);
                }
                Step::Chosen(record) => return Elected::Chosen(Box::new(record)),
                Step::Outbid(higher) => return Elected::Outbid(higher),
                Step::Refused(why) => {
                    tracing::warn!(%from, %why, "vote refused");
                    self.bring_up(&from, deadline);
                }
            }
        }
        Elected::Undecided { votes, maybe: accepting }
    }

    /// Asks a node, possibly this one; a failure to answer is silent.
    pub(super) fn ask(
        &self,
        node: &NodeId,
        op: ReplicaOp,
        deadline: Instant,
        answers: mpsc::Sender<(NodeId, ReplicaAnswer)>,
    ) {
        let from = node.clone();
        if *node == self.cluster.me().node_id {
            let vote = match op {
                ReplicaOp::RingPrepare { epoch, ballot, voters } => {
                    self.ledger.prepare(epoch, ballot, &voters)
                }
                ReplicaOp::RingAccept { ballot, record, voters } => {
                    self.ledger.accept(ballot, *record, &voters)
                }
                _ => return,
            };
            // The channel has room for everyone who is asked.
            return drop(answers.try_send((from, ReplicaAnswer::RingVote(vote))));
        }
        let done = Done::new(move |outcome| {
            if let Ok(answer) = outcome {
                let _ = answers.try_send((from, answer));
            }
        });
        self.peers.submit(node, ReplicaRequest { stamp: None, op, deadline, done });
    }

    /// Asks everyone; the channel closes once all have answered or cannot any more.
    fn ask_all(
        &self,
        asked: &[NodeId],
        op: impl Fn() -> ReplicaOp,
        deadline: Instant,
    ) -> mpsc::Receiver<(NodeId, ReplicaAnswer)> {
        let (answers, heard) = mpsc::channel(asked.len().max(1));
        for node in asked {
            self.ask(node, op(), deadline, answers.clone());
        }
        heard
    }

    /// A voter that will not vote may lack the record that the proposed one follows.
    fn bring_up(&self, node: &NodeId, deadline: Instant) {
        if let Some(record) = self.ledger.record() {
            let op = ReplicaOp::RingLearn(Box::new((*record).clone()));
            let done = Done::new(|_| ());
            self.peers.submit(node, ReplicaRequest { stamp: None, op, deadline, done });
        }
    }
}
