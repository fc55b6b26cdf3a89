//! Changes the agreed record: proposes the next epoch until that, or one that makes the change needless, is chosen.

use super::{
    RingLedger,
    election::{Elected, Electorate, Motion},
};
use crate::replica::Peers;
use parking_lot::Mutex;
use rand::{Rng as _, rngs::StdRng};
use shoal_membership::Cluster;
use shoal_proto::types::{Ballot, NodeId, RingRecord};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

/// How long one election may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// The pause after an election that was lost or came to nothing, on average; doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_millis(200);

/// A record was not changed, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no record to change.
    #[error("there is no ring record yet")]
    NoRecord,
    /// No majority agreed by the deadline.
    #[error("{votes} of {members} members agreed to a change of the ring record, {needed} are needed")]
    NoMajority {
        /// Members that agreed in the last election.
        votes: usize,
        /// How many must.
        needed: usize,
        /// How many there are.
        members: usize,
        /// Some may have accepted the change: the next election will find it then.
        maybe: bool,
    },
    /// What was chosen cannot be adopted here.
    #[error("the new ring record cannot be adopted: {0}")]
    NotAdopted(String),
}

/// Proposes changes of the record on behalf of this node, one at a time.
pub struct RingEditor {
    electorate: Electorate,
    // Drawn from once per lost election.
    rng: Mutex<StdRng>,
    /// Whose turn it is: edits of one node would only outbid each other.
    turn: Semaphore,
}

impl RingEditor {
    /// An editor of the record that `ledger` keeps.
    #[must_use]
    pub fn new(ledger: Arc<RingLedger>, cluster: Arc<Cluster>, peers: Arc<Peers>, rng: StdRng) -> Self {
        let electorate = Electorate { ledger, cluster, peers };
        Self { electorate, rng: Mutex::new(rng), turn: Semaphore::new(1) }
    }

    /// Has `change` made of the record: `change` is given the newest one and returns its successor, or `None` where
    /// nothing is left to do. It is called again after every election that chose something else. Returns the record in
    /// which nothing is left to do, once this node has adopted it.
    ///
    /// # Errors
    /// When no majority of the members agrees by the deadline.
    pub async fn edit(
        &self,
        change: impl Fn(&RingRecord) -> Option<RingRecord>,
        deadline: Instant,
    ) -> Result<Arc<RingRecord>, EditError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let turn = timeout(left, self.turn.acquire()).await;
        let (mut round, mut pause, mut maybe) = (0, PAUSE, false);
        loop {
            let record = self.electorate.ledger.record().ok_or(EditError::NoRecord)?;
            let Some(next) = change(&record) else { return Ok(record) };
            if turn.is_err() {
                return Err(no_majority(&record, 0, maybe));
            }
            round = self.electorate.ledger.highest_round().max(round) + 1;
            let ballot = Ballot { round, proposer: self.electorate.cluster.me().node_id };
            let members: Vec<NodeId> = record.members().iter().map(|m| m.node_id.clone()).collect();
            let motion = Motion { ballot, voters: RingLedger::voters(&record), record: next };
            let until = deadline.min(Instant::now() + ATTEMPT);
            let votes = match self.electorate.elect(motion, &members, until).await {
                Elected::Chosen(chosen) => {
                    let learnt = self.electorate.ledger.learn(*chosen);
                    learnt.map_err(|error| EditError::NotAdopted(error.to_string()))?;
                    continue;
                }
                Elected::Outbid(higher) => {
                    round = higher.round;
                    0
                }
                Elected::Undecided { votes, maybe: accepted } => {
                    maybe |= accepted;
                    votes
                }
            };
            if Instant::now() + pause >= deadline {
                return Err(no_majority(&record, votes, maybe));
            }
            // Competing proposers must not keep outbidding each other in step.
            sleep(self.about(pause)).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    fn about(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + f64::from(self.rng.lock().next_u32()) / f64::from(u32::MAX))
    }
}

fn no_majority(record: &RingRecord, votes: usize, maybe: bool) -> EditError {
    let members = record.members().len();
    EditError::NoMajority { votes, needed: members / 2 + 1, members, maybe }
}
