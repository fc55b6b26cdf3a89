//! Founds the cluster together with the other first members, and fetches records that gossip says are newer.

use super::{
    RingLedger,
    election::{Elected, Electorate, Motion},
};
use crate::replica::{Done, Peers, ReplicaRequest};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use shoal_membership::{Cluster, ClusterView, NodeInfo, ring::table};
use shoal_proto::types::{
    Ballot, InvalidNodeId, InvalidRecord, Member, NodeId, Phase, ReplicaAnswer, ReplicaOp, RingRecord,
    Settings, WriterId,
};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// How often the agent looks around when nothing changes.
const TICK: Duration = Duration::from_millis(100);
/// How long an election or a fetch may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// With a majority of the first members in sight, how long to wait for the rest before founding without their word.
const STRAGGLERS: Duration = Duration::from_secs(5);
/// How much later each further candidate stands for election, so that they rarely compete.
const CANDIDATE_SPACING: Duration = Duration::from_millis(300);

/// How a cluster is founded.
#[derive(Debug, Clone, Copy)]
pub struct RingSettings {
    /// Owners per key.
    pub replicas: usize,
    /// Vnodes.
    pub vnodes: u16,
}

/// The list of first members does not make a cluster.
#[derive(Debug, thiserror::Error)]
enum FoundError {
    #[error("too many first members")]
    TooMany,
    #[error("first member '{0}' is absent and its address cannot be told")]
    Unresolved(String),
    #[error(transparent)]
    Name(#[from] InvalidNodeId),
    #[error(transparent)]
    Table(#[from] table::TableError),
    #[error(transparent)]
    Record(#[from] InvalidRecord),
}

/// The driver of the ring record.
pub struct RingAgent {
    electorate: Electorate,
    settings: RingSettings,
    rng: StdRng,
    /// Round of the highest ballot seen.
    round: u64,
    /// Since when each number of first members has been in sight.
    sighted: Option<(usize, Instant)>,
}

impl RingAgent {
    /// An agent; [`RingAgent::run`] drives it.
    #[must_use]
    pub fn new(
        ledger: Arc<RingLedger>,
        cluster: Arc<Cluster>,
        peers: Arc<Peers>,
        settings: RingSettings,
        rng: StdRng,
    ) -> Self {
        let round = ledger.highest_round();
        let electorate = Electorate { ledger, cluster, peers };
        Self { electorate, settings, rng, round, sighted: None }
    }

    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut views = self.electorate.cluster.subscribe();
        loop {
            let view = views.borrow_and_update().clone();
            self.look_around(&view).await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = tokio::time::timeout(TICK, views.changed()) => {}
            }
        }
    }

    async fn look_around(&mut self, view: &ClusterView) {
        if let Some(ahead) = nodes_ahead(view).choose(&mut self.rng).cloned() {
            self.fetch(ahead).await;
        } else if view.record().is_none() {
            let founders = resolve(self.ledger().founders()).await;
            let sighted = sight(view, &founders);
            if self.my_turn(view, &sighted, founders.len()) {
                self.found(view, &founders, &sighted).await;
            }
        }
    }

    async fn fetch(&self, from: NodeId) {
        let (votes, mut answers) = mpsc::channel(1);
        self.electorate.ask(&from, ReplicaOp::RingFetch, Instant::now() + ATTEMPT, votes);
        if let Some((_, ReplicaAnswer::RingState(Some(record)))) = answers.recv().await {
            self.learn(*record);
        } else {
            // The peer is not reachable yet; do not spin on the same news.
            tokio::time::sleep(TICK).await;
        }
    }

    /// Whether this node should stand for election now: it is a first member, enough others are in sight, and those
    /// before it in the list have had their chance.
    fn my_turn(&mut self, view: &ClusterView, sighted: &BTreeMap<String, NodeInfo>, founders: usize) -> bool {
        let now = Instant::now();
        if self.sighted.is_none_or(|(count, _)| count != sighted.len()) {
            self.sighted = Some((sighted.len(), now));
        }
        let Some(rank) = sighted.values().position(|node| node.node_id == *view.me()) else { return false };
        let since = self.sighted.map_or(Duration::ZERO, |(_, since)| now.duration_since(since));
        let patience = match sighted.len() {
            all if all == founders => Duration::ZERO,
            most if most > founders / 2 => STRAGGLERS,
            _ => return false,
        };
        since >= patience + CANDIDATE_SPACING * rank as u32
    }

    async fn found(
        &mut self,
        view: &ClusterView,
        founders: &BTreeMap<String, Vec<SocketAddr>>,
        sighted: &BTreeMap<String, NodeInfo>,
    ) {
        let record = match self.first_record(founders, sighted) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, "cannot found a cluster");
                return tokio::time::sleep(ATTEMPT).await;
            }
        };
        match self.elect(view, sighted, record).await {
            Some(record) => self.announce(sighted, record),
            None => {
                // Competing candidates must not keep outbidding each other in step.
                let pause = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
                tokio::time::sleep(CANDIDATE_SPACING.mul_f64(pause)).await;
            }
        }
    }

    async fn elect(
        &mut self,
        view: &ClusterView,
        sighted: &BTreeMap<String, NodeInfo>,
        record: RingRecord,
    ) -> Option<RingRecord> {
        self.round = self.round.max(self.ledger().highest_round()) + 1;
        let ballot = Ballot { round: self.round, proposer: view.me().clone() };
        let motion = Motion { ballot, record, voters: self.ledger().founders().to_vec() };
        let asked: Vec<NodeId> = sighted.values().map(|node| node.node_id.clone()).collect();
        match self.electorate.elect(motion, &asked, Instant::now() + ATTEMPT).await {
            Elected::Chosen(record) => Some(*record),
            Elected::Outbid(higher) => {
                self.round = self.round.max(higher.round);
                None
            }
            Elected::Undecided { .. } => None,
        }
    }

    fn announce(&self, sighted: &BTreeMap<String, NodeInfo>, record: RingRecord) {
        let me = self.electorate.cluster.me().node_id;
        for node in sighted.values().filter(|node| node.node_id != me) {
            let op = ReplicaOp::RingLearn(Box::new(record.clone()));
            let (deadline, done) = (Instant::now() + ATTEMPT, Done::new(|_| ()));
            self.electorate.peers.submit(&node.node_id, ReplicaRequest { stamp: None, op, deadline, done });
        }
        self.learn(record);
    }

    fn learn(&self, record: RingRecord) {
        if let Err(error) = self.ledger().learn(record) {
            tracing::error!(%error, "cannot adopt a ring record");
        }
    }

    fn ledger(&self) -> &RingLedger {
        &self.electorate.ledger
    }

    /// Epoch 1: every first member, those not in sight under the name their address gives them.
    fn first_record(
        &mut self,
        founders: &BTreeMap<String, Vec<SocketAddr>>,
        sighted: &BTreeMap<String, NodeInfo>,
    ) -> Result<RingRecord, FoundError> {
        let members = self.ledger().founders().iter().enumerate().map(|(i, address)| {
            let node = sighted.get(address);
            Ok(Member {
                node_id: node.map_or_else(|| name_of_absent(address, founders), |n| Ok(n.node_id.clone()))?,
                generation_floor: node.map_or(0, |n| n.generation),
                writer_id: WriterId::member(i as u16 + 1).ok_or(FoundError::TooMany)?,
                zone: node.map_or_else(|| "default".into(), |n| n.zone.clone()),
                capacity: node.map_or(100, |n| n.capacity),
                peer_address: node.map_or_else(String::new, |n| n.addresses.grpc.clone()),
            })
        });
        let members = members.collect::<Result<Vec<_>, FoundError>>()?;
        let table = table::found(&members, self.settings.replicas, self.settings.vnodes)?;
        let cluster_id = self.rng.next_u64().max(1);
        let settings = Settings { hash_seed: self.rng.next_u64(), ..Settings::default() };
        Ok(RingRecord::new(cluster_id, 1, Phase::New, members, table, settings)?)
    }
}

/// A node is named after its gossip address unless told otherwise.
fn name_of_absent(founder: &str, founders: &BTreeMap<String, Vec<SocketAddr>>) -> Result<NodeId, FoundError> {
    match founders.get(founder).map(Vec::as_slice) {
        Some([address]) => Ok(NodeId::new(&address.to_string())?),
        _ => Err(FoundError::Unresolved(founder.to_owned())),
    }
}

/// The nodes whose gossip tells of a newer record than ours; any of them may turn out unreachable.
fn nodes_ahead(view: &ClusterView) -> Vec<NodeId> {
    let mine = view.record().map(|record| record.number());
    let others = view.nodes().values().filter(|node| node.node_id != *view.me());
    let ahead = others.filter(|node| node.ring.map(|ring| (ring.epoch, ring.phase)) > mine);
    ahead.map(|node| node.node_id.clone()).collect()
}

/// The addresses behind the names of the first members.
async fn resolve(founders: &[String]) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut resolved = BTreeMap::new();
    for founder in founders {
        let addresses = match founder.parse() {
            Ok(address) => vec![address],
            Err(_) => look_up(founder).await,
        };
        resolved.insert(founder.clone(), addresses);
    }
    resolved
}

async fn look_up(name: &str) -> Vec<SocketAddr> {
    match tokio::time::timeout(ATTEMPT, tokio::net::lookup_host(name)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// First members gossip tells of, by the name they have in the list.
fn sight(view: &ClusterView, founders: &BTreeMap<String, Vec<SocketAddr>>) -> BTreeMap<String, NodeInfo> {
    let mut sighted = BTreeMap::new();
    for (name, addresses) in founders {
        let found = view.nodes().values().find(|node| {
            node.addresses.gossip == *name
                || node.addresses.gossip.parse().is_ok_and(|address| addresses.contains(&address))
        });
        if let Some(node) = found {
            sighted.insert(name.clone(), node.clone());
        }
    }
    sighted
}
