//! What all calls of a routing client share.

use crate::budget::Budget;
use crate::config::ClientConfig;
use crate::heard::Heard;
use crate::link::Manner;
use crate::node::Node;
use crate::router::{Experience, Router};
use crate::stats::Counters;
use crate::topology::{News, Topologies, Topology, TopologyNode};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rand::{RngExt as _, rngs::StdRng};
use shoal_membership::Seed;
use shoal_proto::types::WriterId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything a call needs to find its way.
pub(crate) struct Cluster {
    pub(crate) config: ClientConfig,
    pub(crate) manner: Manner,
    pub(crate) heard: Arc<Heard>,
    pub(crate) counters: Arc<Counters>,
    /// The writer of this client's tags.
    pub(crate) writer: WriterId,
    /// The addresses it was given.
    pub(crate) seeds: Vec<String>,
    routes: ArcSwap<Routes>,
    // Each is held for a few instructions; never across an await.
    budget: Mutex<Budget>,
    jitter: Mutex<StdRng>,
}

/// The nodes and how to choose among them. It never changes; a new one replaces it.
pub(crate) struct Routes {
    pub(crate) topologies: Topologies,
    router: Router,
    /// As the router counts them; `None` while nobody knows where the node is.
    nodes: Vec<Option<Arc<Node>>>,
}

impl Routes {
    /// The best node for `slot` that is not among `tried`.
    pub(crate) fn next(&self, slot: u16, tried: &[u16]) -> Option<(u16, &Arc<Node>)> {
        let node = |index: u16| self.nodes.get(usize::from(index)).and_then(Option::as_ref);
        let experience = |index| node(index).map_or(Experience::None, |node| node.experience());
        let index = self.router.next(slot, tried, experience)?;
        Some((index, node(index)?))
    }
}

impl Cluster {
    /// Knows nothing but `seeds` yet.
    pub(crate) fn new(
        seeds: Vec<String>,
        config: ClientConfig,
        heard: Arc<Heard>,
        counters: Arc<Counters>,
        seed: Seed,
    ) -> Self {
        let node = |address: &String| {
            Some(Arc::new(Node::new(address.clone(), &config, heard.clone(), counters.clone())))
        };
        let routes = Routes {
            topologies: Topologies::default(),
            router: Router::blind(seeds.len()),
            nodes: seeds.iter().map(node).collect(),
        };
        Self {
            writer: WriterId::client(seed.derive("writer").0),
            routes: ArcSwap::from_pointee(routes),
            budget: Mutex::new(Budget::new(config.in_flight())),
            jitter: Mutex::new(seed.stream("jitter")),
            manner: (&config).into(),
            config,
            heard,
            counters,
            seeds,
        }
    }

    /// How calls go at present.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// A call was begun.
    pub(crate) fn earn(&self) {
        self.budget.lock().earn();
    }

    /// Whether one more attempt may be made.
    pub(crate) fn spend(&self) -> bool {
        let granted = self.budget.lock().spend();
        if !granted {
            self.counters.budget_exhausted.count();
        }
        granted
    }

    /// About `pause`: between half of it and all of it.
    pub(crate) fn about(&self, pause: Duration) -> Duration {
        self.jitter.lock().random_range(pause / 2..=pause)
    }

    /// Takes over what a node told, unless it is behind. Returns what it was to what was known.
    pub(crate) fn take(&self, told: Topology) -> News {
        let held = self.routes();
        let Topologies { current, previous } = &held.topologies;
        let news = current.as_ref().map_or(News::Newer, |current| current.compare(&told));
        let previous = match news {
            News::Older | News::Foreign => {
                self.counters.topologies_refused.count();
                return news;
            }
            News::Same => previous.clone(),
            // All phases of one change keep the topology from before it.
            News::Newer => match current {
                Some(current) if current.epoch == told.epoch && previous.is_some() => previous.clone(),
                Some(current) if current.epoch > 0 => Some(current.clone()),
                _ => None,
            },
        };
        if news == News::Newer {
            tracing::debug!(epoch = told.epoch, phase = told.phase.number(), told_by = %told.told_by, "topology");
            self.counters.topology_changes.count();
        }
        self.route(&held, Topologies { current: Some(Arc::new(told)), previous });
        news
    }

    /// Forgets the topology from before the last change.
    pub(crate) fn forget_previous(&self) {
        let held = self.routes();
        self.route(&held, Topologies { previous: None, ..held.topologies.clone() });
    }

    /// Only ever called by the task that follows the topology, and before it starts.
    fn route(&self, held: &Routes, topologies: Topologies) {
        let Some(current) = &topologies.current else { return };
        let leaving =
            topologies.previous.as_ref().map_or_else(Vec::new, |previous| leaving(previous, current));
        let mut known: BTreeMap<&str, &Arc<Node>> =
            held.nodes.iter().flatten().map(|node| (node.address.as_str(), node)).collect();
        let mut node = |told: &TopologyNode| {
            let address = told.grpc_address.as_str();
            let new = || {
                let (heard, counters) = (self.heard.clone(), self.counters.clone());
                Arc::new(Node::new(address.to_owned(), &self.config, heard, counters))
            };
            (!address.is_empty()).then(|| known.remove(address).cloned().unwrap_or_else(new))
        };
        let nodes = current.nodes.iter().chain(&leaving).map(&mut node).collect();
        let router = Router::new(current.clone(), &leaving, self.config.zone.as_deref());
        self.routes.store(Arc::new(Routes { router, nodes, topologies }));
    }
}

/// The nodes of `previous` that can be reached and have no place in `current`.
fn leaving(previous: &Topology, current: &Topology) -> Vec<TopologyNode> {
    let stays = |node: &TopologyNode| {
        current
            .nodes
            .iter()
            .any(|other| other.grpc_address == node.grpc_address || other.node_id == node.node_id)
    };
    previous.nodes.iter().filter(|node| !node.grpc_address.is_empty() && !stays(node)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::testing::told;
    use shoal_proto::wire::kv::v1 as kv;

    fn cluster() -> Cluster {
        let seeds = vec!["host-0:1".to_owned()];
        Cluster::new(seeds, ClientConfig::default(), Arc::new(Heard::new()), Arc::default(), Seed(1))
    }

    fn topology(epoch: u64, phase: u32, nodes: u16) -> Topology {
        kv::TopologyResponse { phase, ..told(7, epoch, nodes, 1, vec![0]) }.try_into().unwrap()
    }

    fn addresses(cluster: &Cluster) -> Vec<String> {
        cluster.routes().nodes.iter().flatten().map(|node| node.address.clone()).collect()
    }

    #[tokio::test]
    async fn through_all_phases_of_a_change_the_nodes_from_before_it_stay_candidates() {
        let cluster = cluster();
        assert_eq!(cluster.take(topology(1, 3, 3)), News::Newer);
        let leaver = cluster.routes().nodes[2].clone().unwrap();
        for phase in 0..=3 {
            assert_eq!(cluster.take(topology(2, phase, 2)), News::Newer);
            assert_eq!(addresses(&cluster), ["host-0:1", "host-1:1", "host-2:1"], "phase {phase}");
        }
        assert!(Arc::ptr_eq(&leaver, cluster.routes().nodes[2].as_ref().unwrap()), "its streams are kept");
        let held = cluster.routes().topologies.clone();
        assert_eq!((held.previous.unwrap().epoch, held.current.unwrap().epoch), (1, 2));
        cluster.forget_previous();
        assert_eq!(addresses(&cluster), ["host-0:1", "host-1:1"]);
    }

    #[tokio::test]
    async fn nothing_older_and_nothing_foreign_is_taken_over() {
        let cluster = cluster();
        cluster.take(topology(2, 1, 3));
        assert_eq!(cluster.take(topology(2, 0, 2)), News::Older);
        assert_eq!(cluster.take(topology(1, 3, 2)), News::Older);
        assert_eq!(cluster.take(told(8, 9, 2, 1, vec![0]).try_into().unwrap()), News::Foreign);
        let current = cluster.routes().topologies.current.clone().unwrap();
        assert_eq!((current.epoch, current.nodes.len()), (2, 3));
        assert_eq!(cluster.counters.read(0, 0).topologies_refused, 3);
    }

    #[tokio::test]
    async fn the_same_ring_told_again_renews_who_lives_and_keeps_the_streams() {
        let cluster = cluster();
        cluster.take(topology(1, 3, 2));
        let before = cluster.routes().nodes[0].clone().unwrap();
        let mut again = topology(1, 3, 2);
        again.nodes[0].live = false;
        assert_eq!(cluster.take(again), News::Same);
        assert!(Arc::ptr_eq(&before, cluster.routes().nodes[0].as_ref().unwrap()));
        assert_eq!(cluster.routes().next(0, &[]).map(|(index, _)| index), Some(1));
    }
}
