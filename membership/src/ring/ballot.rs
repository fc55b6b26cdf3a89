//! Single-decree Paxos for the record of one epoch (Lamport, "Paxos Made Simple", 2001), as two pure state machines.
//! At most one record is ever chosen per epoch, because any two majorities of the voters share one.

use shoal_proto::types::{Ballot, NodeId, RingRecord, RingVote};
use std::collections::BTreeSet;

/// What a voter has promised and accepted in one epoch. The caller makes a change durable before it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acceptor {
    /// The highest ballot promised.
    pub promised: Option<Ballot>,
    /// The highest ballot accepted, with its record.
    pub accepted: Option<(Ballot, RingRecord)>,
}

impl Acceptor {
    /// Answers the first phase: promises not to accept lower ballots.
    pub fn prepare(&mut self, ballot: Ballot) -> RingVote {
        match &self.promised {
            Some(promised) if *promised > ballot => RingVote::Outbid { promised: promised.clone() },
            _ => {
                self.promised = Some(ballot);
                self.granted()
            }
        }
    }

    /// Answers the second phase: accepts unless a higher ballot was promised.
    pub fn accept(&mut self, ballot: Ballot, record: RingRecord) -> RingVote {
        match &self.promised {
            Some(promised) if *promised > ballot => RingVote::Outbid { promised: promised.clone() },
            _ => {
                self.promised = Some(ballot.clone());
                self.accepted = Some((ballot, record));
                self.granted()
            }
        }
    }

    fn granted(&self) -> RingVote {
        RingVote::Granted {
            accepted: self.accepted.clone().map(|(ballot, record)| (ballot, Box::new(record))),
        }
    }
}

/// What the proposer does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait for more votes.
    Wait,
    /// A majority promised: ask every voter to accept this record.
    Accept(RingRecord),
    /// The record is chosen: tell everyone.
    Chosen(RingRecord),
    /// Try again later with a ballot above this one.
    Outbid(Ballot),
    /// The attempt cannot succeed.
    Refused(String),
}

/// One attempt to get a record chosen.
#[derive(Debug, Clone)]
pub struct Proposer {
    ballot: Ballot,
    voters: usize,
    record: RingRecord,
    /// The highest ballot under which a promising voter had accepted something.
    highest_accepted: Option<Ballot>,
    promised: BTreeSet<NodeId>,
    accepted: BTreeSet<NodeId>,
    accepting: bool,
}

impl Proposer {
    /// An attempt to have `record` chosen by a majority of `voters`.
    #[must_use]
    pub fn new(ballot: Ballot, voters: usize, record: RingRecord) -> Self {
        Self {
            ballot,
            voters,
            record,
            highest_accepted: None,
            promised: BTreeSet::new(),
            accepted: BTreeSet::new(),
            accepting: false,
        }
    }

    /// The attempt's ballot.
    #[must_use]
    pub fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    /// Takes in a vote. `in_accept` says to which of the two phases it answers.
    pub fn vote(&mut self, from: NodeId, in_accept: bool, vote: RingVote) -> Step {
        match vote {
            RingVote::Chosen(record) => return Step::Chosen(*record),
            RingVote::Outbid { promised } => return Step::Outbid(promised),
            RingVote::Refused(why) => return Step::Refused(why),
            RingVote::Granted { .. } if in_accept => {
                self.accepted.insert(from);
                if self.accepted.len() > self.voters / 2 {
                    return Step::Chosen(self.record.clone());
                }
            }
            RingVote::Granted { accepted } => {
                if self.accepting {
                    return Step::Wait;
                }
                self.promised.insert(from);
                if let Some((ballot, record)) = accepted
                    && self.highest_accepted.as_ref().is_none_or(|highest| ballot > *highest)
                {
                    // It may have been chosen already, so it is the only record this attempt may propose.
                    self.highest_accepted = Some(ballot);
                    self.record = *record;
                }
                if self.promised.len() > self.voters / 2 {
                    self.accepting = true;
                    return Step::Accept(self.record.clone());
                }
            }
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shoal_proto::types::{Member, OwnerTable, Phase, Settings, WriterId};

    fn node(i: usize) -> NodeId {
        NodeId::new(&format!("n{i}")).unwrap()
    }

    fn record(cluster_id: u64) -> RingRecord {
        let member = Member {
            node_id: node(0),
            generation_floor: 0,
            writer_id: WriterId::member(1).unwrap(),
            zone: String::new(),
            capacity: 100,
            peer_address: String::new(),
        };
        let table = OwnerTable::new(1, vec![0]).unwrap();
        RingRecord::new(cluster_id, 1, Phase::New, vec![member], table, Settings::default()).unwrap()
    }

    #[derive(Debug, Clone)]
    enum Message {
        Prepare(usize, Ballot),
        Accept(usize, Ballot, RingRecord),
        Vote(usize, usize, Ballot, bool, RingVote),
    }

    proptest! {
        /// Three competing proposers, five voters, messages delivered in any order, repeated and lost.
        #[test]
        fn at_most_one_record_is_ever_chosen(picks in proptest::collection::vec((any::<u16>(), 0u8..10), 400)) {
            const VOTERS: usize = 5;
            let mut acceptors = vec![Acceptor::default(); VOTERS];
            let mut rounds = [0u64; 3];
            let mut proposers: Vec<Option<Proposer>> = vec![None; 3];
            let mut wire: Vec<Message> = Vec::new();
            let mut chosen: Option<RingRecord> = None;
            for (pick, fate) in picks {
                if wire.is_empty() || fate == 0 {
                    let p = usize::from(pick) % 3;
                    rounds[p] += 1 + u64::from(pick % 3);
                    let ballot = Ballot { round: rounds[p], proposer: node(p) };
                    proposers[p] = Some(Proposer::new(ballot.clone(), VOTERS, record(p as u64 + 1)));
                    wire.extend((0..VOTERS).map(|v| Message::Prepare(v, ballot.clone())));
                    continue;
                }
                let at = usize::from(pick) % wire.len();
                let message = if fate == 1 { wire[at].clone() } else { wire.swap_remove(at) };
                if fate == 2 {
                    continue;
                }
                match message {
                    Message::Prepare(v, ballot) => {
                        let p = ballot.proposer.as_str()[1..].parse().unwrap();
                        let vote = acceptors[v].prepare(ballot.clone());
                        wire.push(Message::Vote(p, v, ballot, false, vote));
                    }
                    Message::Accept(v, ballot, record) => {
                        let p = ballot.proposer.as_str()[1..].parse().unwrap();
                        let vote = acceptors[v].accept(ballot.clone(), record);
                        wire.push(Message::Vote(p, v, ballot, true, vote));
                    }
                    Message::Vote(p, v, ballot, in_accept, vote) => {
                        let Some(proposer) = proposers[p].as_mut().filter(|q| *q.ballot() == ballot) else { continue };
                        match proposer.vote(node(v), in_accept, vote) {
                            Step::Accept(record) => {
                                wire.extend((0..VOTERS).map(|v| Message::Accept(v, ballot.clone(), record.clone())));
                            }
                            Step::Chosen(record) => {
                                prop_assert!(chosen.as_ref().is_none_or(|c| *c == record));
                                chosen = Some(record);
                            }
                            Step::Wait | Step::Outbid(_) | Step::Refused(_) => {}
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_undisturbed_proposer_wins_with_a_bare_majority() {
        let mut acceptors = vec![Acceptor::default(); 3];
        let ballot = Ballot { round: 1, proposer: node(0) };
        let mut proposer = Proposer::new(ballot.clone(), 3, record(7));
        let vote = acceptors[0].prepare(ballot.clone());
        assert_eq!(proposer.vote(node(0), false, vote), Step::Wait);
        let vote = acceptors[1].prepare(ballot.clone());
        assert_eq!(proposer.vote(node(1), false, vote), Step::Accept(record(7)));
        for (v, acceptor) in acceptors.iter_mut().enumerate().take(2) {
            let vote = acceptor.accept(ballot.clone(), record(7));
            let step = proposer.vote(node(v), true, vote);
            assert_eq!(step, if v == 1 { Step::Chosen(record(7)) } else { Step::Wait });
        }
    }
}
