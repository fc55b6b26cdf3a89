//! Fills the memory of a restarted node from its co-owners. [`decide`] decides, this drives.

mod decide;

pub use decide::{CoOwner, Decision, decide};

use crate::{
    config::OnLoss,
    limits,
    metrics::Metrics,
    replica::{Done, ReplicaRequest, Replicas, Trust},
};
use shoal_membership::{Cluster, ClusterView};
use shoal_proto::types::{
    Key, NodeId, PullCursor, RebuildPage, RebuildState, RebuildStates, ReplicaAnswer, ReplicaOp, Stamped,
    Vnode,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// How often a rebuild that cannot go on looks again.
const ROUND: Duration = Duration::from_millis(100);
/// How often one page is asked for again.
const PAGE_RETRIES: u32 = 2;
/// How long co-owners have to answer one question.
const ANSWER: Duration = Duration::from_secs(2);

/// What a rebuild needs to know.
#[derive(Debug, Clone, Copy)]
pub struct RebuildConfig {
    /// How long to wait for enough co-owners that hold memory.
    pub patience: Duration,
    /// What to do then.
    pub on_loss: OnLoss,
}

/// The driver of the rebuild of one node.
pub struct Rebuild {
    cluster: Arc<Cluster>,
    replicas: Replicas,
    metrics: Arc<Metrics>,
    config: RebuildConfig,
    /// Co-owners whose memory of a vnode has been taken over in full.
    pulled: BTreeMap<Vnode, BTreeSet<NodeId>>,
    /// When there last were enough co-owners that hold memory of a vnode; its beginning if there never were.
    hopeful: BTreeMap<Vnode, Instant>,
}

impl Rebuild {
    /// A rebuild; [`Rebuild::run`] drives it.
    #[must_use]
    pub fn new(
        cluster: Arc<Cluster>,
        replicas: Replicas,
        metrics: Arc<Metrics>,
        config: RebuildConfig,
    ) -> Self {
        Self { cluster, replicas, metrics, config, pulled: BTreeMap::new(), hopeful: BTreeMap::new() }
    }

    /// Works until every vnode this node owns is ready, and again whenever it comes to own more; until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut views = self.cluster.subscribe();
        loop {
            let view = views.borrow_and_update().clone();
            let open = self.open_vnodes(&view);
            self.cluster.set_ready(view.record().is_some() && open.is_empty());
            if open.is_empty() {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    changed = views.changed() => if changed.is_err() { return },
                }
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                advanced = self.round(&view, &open) => if !advanced {
                    tokio::time::sleep(ROUND).await;
                },
            }
        }
    }

    fn open_vnodes(&self, view: &ClusterView) -> Vec<Vnode> {
        let vnodes = &self.replicas.local.vnodes;
        view.my_vnodes().into_iter().filter(|vnode| vnodes.trust(*vnode) != Trust::Ready).collect()
    }

    /// Asks every co-owner once, acts on what they say. Returns whether any vnode came further.
    async fn round(&mut self, view: &ClusterView, open: &[Vnode]) -> bool {
        let my_generation = self.cluster.me().generation;
        let newcomer = is_first_incarnation(view, my_generation);
        let answers = if newcomer { BTreeMap::new() } else { self.ask_all(view, open).await };
        let mut pulls: BTreeMap<(NodeId, u64), Vec<Vnode>> = BTreeMap::new();
        let mut advanced = false;
        for vnode in open.iter().copied() {
            if newcomer {
                // It never held anything that could have been lost.
                self.replicas.local.vnodes.raise(vnode, Trust::Ready);
                advanced = true;
                continue;
            }
            let co_owners = co_owners(view, vnode, &answers, self.pulled.get(&vnode));
            let my_place = view.owners(vnode).iter().position(|owner| Some(*owner) == view.my_index());
            let hopeful = *self.hopeful.entry(vnode).or_insert_with(Instant::now);
            let lost_patience = hopeful.elapsed() > self.config.patience;
            let decision = decide(my_place.unwrap_or(0), my_generation, &co_owners, lost_patience);
            let states = &self.replicas.local.vnodes;
            if decision.trusts_writes(co_owners.len()) && states.trust(vnode) == Trust::Starting {
                states.raise(vnode, Trust::Rebuilding);
            }
            match decision {
                Decision::Wait { .. } => {}
                Decision::Found(generations) => {
                    states.found(vnode, generations);
                    advanced = true;
                }
                Decision::Pull(sources) => {
                    if !lost_patience {
                        self.hopeful.insert(vnode, Instant::now());
                    }
                    for source in sources {
                        pulls.entry(source).or_default().push(vnode);
                    }
                }
                Decision::Finished => {
                    advanced |= self.finish(vnode);
                }
                Decision::Lost if self.config.on_loss == OnLoss::Reset => {
                    self.metrics.rebuild_lost_vnodes.inc();
                    tracing::error!(
                        vnode = vnode.0,
                        "too few owners hold memory of a vnode: going on with what survives"
                    );
                    advanced |= self.finish(vnode);
                }
                Decision::Lost => {}
            }
        }
        for ((source, generation), vnodes) in pulls {
            advanced |= self.pull(&source, generation, vnodes).await;
        }
        advanced
    }

    fn finish(&mut self, vnode: Vnode) -> bool {
        self.replicas.local.vnodes.raise(vnode, Trust::Ready);
        self.pulled.remove(&vnode);
        self.hopeful.remove(&vnode);
        self.metrics.rebuild_vnodes.inc();
        true
    }

    /// One question to each co-owner about all vnodes it shares with this node.
    async fn ask_all(
        &self,
        view: &ClusterView,
        open: &[Vnode],
    ) -> BTreeMap<NodeId, (Vec<Vnode>, RebuildStates)> {
        let mut shared: BTreeMap<NodeId, Vec<Vnode>> = BTreeMap::new();
        for vnode in open {
            for owner in view.owners(*vnode).iter().filter(|owner| Some(**owner) != view.my_index()) {
                shared.entry(view.member(*owner).node_id.clone()).or_default().push(*vnode);
            }
        }
        let me = self.cluster.me();
        let (outcomes, mut heard) = mpsc::channel(shared.len().max(1));
        for (node, vnodes) in &shared {
            let op = ReplicaOp::RebuildBegin {
                node: me.node_id.clone(),
                generation: me.generation,
                vnodes: vnodes.clone(),
            };
            let (from, outcomes) = (node.clone(), outcomes.clone());
            let done = Done::new(move |outcome| drop(outcomes.try_send((from, outcome))));
            let request = ReplicaRequest { stamp: None, op, deadline: Instant::now() + ANSWER, done };
            self.replicas.peers.submit(node, request);
        }
        drop(outcomes);
        let mut answers = BTreeMap::new();
        while let Some((from, outcome)) = heard.recv().await {
            let Ok(ReplicaAnswer::RebuildStates(states)) = outcome else { continue };
            let Some(vnodes) = shared.remove(&from).filter(|vnodes| vnodes.len() == states.states.len())
            else {
                continue;
            };
            self.cluster.observe_generation(&from, states.generation);
            if view.record().is_some_and(|record| states.number > record.number()) {
                // Its answer is about a ring this node does not know yet; gossip brings the record.
                continue;
            }
            answers.insert(from, (vnodes, states));
        }
        answers
    }

    /// Takes over what `source` holds of `vnodes`. Returns whether at least one of them came to its end.
    async fn pull(&mut self, source: &NodeId, generation: u64, vnodes: Vec<Vnode>) -> bool {
        let mut after = None;
        let mut failures = 0;
        let mut ended = 0;
        while ended < vnodes.len() {
            let Some(page) = self.pull_page(source, generation, &vnodes, after).await else {
                failures += 1;
                if failures > PAGE_RETRIES {
                    break;
                }
                continue;
            };
            self.take_over(page.entries);
            after = page.next;
            // What lies before the cursor has been sent in full: it need not be sent again if the rest fails.
            let reached = after.map_or(vnodes.len(), |cursor| vnodes.partition_point(|v| *v < cursor.vnode));
            for vnode in &vnodes[ended..reached.max(ended)] {
                self.pulled.entry(*vnode).or_default().insert(source.clone());
            }
            ended = reached.max(ended);
        }
        ended > 0
    }

    fn take_over(&self, entries: Vec<(Key, Stamped)>) {
        self.metrics.rebuild_entries.inc_by(entries.len() as u64);
        for (key, entry) in entries {
            self.replicas.local.take_over(&key, entry);
        }
    }

    async fn pull_page(
        &self,
        source: &NodeId,
        source_generation: u64,
        vnodes: &[Vnode],
        after: Option<PullCursor>,
    ) -> Option<RebuildPage> {
        let me = self.cluster.me();
        let (outcomes, mut heard) = mpsc::channel(1);
        let op = ReplicaOp::RebuildPull {
            node: me.node_id,
            generation: me.generation,
            vnodes: vnodes.to_vec(),
            after,
            max_bytes: limits::REBUILD_PAGE_BYTES,
            source_generation,
        };
        let done = Done::new(move |outcome| drop(outcomes.try_send(outcome)));
        let request = ReplicaRequest { stamp: None, op, deadline: Instant::now() + ANSWER, done };
        self.replicas.peers.submit(source, request);
        match heard.recv().await? {
            Ok(ReplicaAnswer::RebuildPage(page)) => Some(page),
            _ => None,
        }
    }
}

/// Whether this is the very start of the node that the founders of the cluster agreed on: it has never held, and so never
/// acknowledged, anything. A first member that was absent then has the floor 0, which is nobody's generation.
fn is_first_incarnation(view: &ClusterView, my_generation: u64) -> bool {
    view.record().zip(view.my_index()).is_some_and(|(record, index)| {
        record.epoch() == 1 && record.members()[usize::from(index)].generation_floor == my_generation
    })
}

/// What is known this round of the other owners of a vnode, in preference-list order.
fn co_owners(
    view: &ClusterView,
    vnode: Vnode,
    answers: &BTreeMap<NodeId, (Vec<Vnode>, RebuildStates)>,
    pulled: Option<&BTreeSet<NodeId>>,
) -> Vec<CoOwner> {
    let others = view.owners(vnode).iter().filter(|owner| Some(**owner) != view.my_index());
    let known = others.map(|owner| {
        let node = &view.member(*owner).node_id;
        let answer = answers.get(node).and_then(|(vnodes, states)| {
            let place = vnodes.binary_search(&vnode).ok()?;
            Some((states.generation, states.states.get(place).cloned()?))
        });
        CoOwner { node: node.clone(), answer, pulled: pulled.is_some_and(|pulled| pulled.contains(node)) }
    });
    known.collect()
}

/// What a co-owner said of one vnode: its generation, and how it stands.
pub type Answer = (u64, RebuildState);
