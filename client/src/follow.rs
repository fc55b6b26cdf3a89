//! The task that follows the cluster's topology.

use crate::cluster::Cluster;
use crate::config::{FOLLOW_PAUSE, FOLLOW_TURN, OVERLAP};
use crate::link::Watch;
use crate::topology::{News, Topology};
use shoal_proto::wire::kv::v1::TopologyResponse;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tonic::Streaming;

/// Follows the topology, first on `watch`, then on that of any node that answers, until `gone` ends. What is known stays
/// known while nobody answers.
pub(crate) async fn run(cluster: Arc<Cluster>, watch: Option<Watch>, gone: oneshot::Receiver<()>) {
    let following = Following { cluster, overlap_ends: None, pause: FOLLOW_PAUSE.0, turn: 0 };
    tokio::select! {
        biased;
        // An error, since nothing is ever sent: the last client was dropped.
        _ = gone => {}
        () = following.forever(watch) => {}
    }
}

struct Following {
    cluster: Arc<Cluster>,
    /// When the topology from before the last change is forgotten.
    overlap_ends: Option<Instant>,
    /// How long to wait before the next node is asked.
    pause: Duration,
    turn: usize,
}

impl Following {
    async fn forever(mut self, mut watch: Option<Watch>) {
        loop {
            match watch.take() {
                Some(Watch { first, changes }) => self.follow(first, changes).await,
                None => self.rest().await,
            }
            watch = self.open().await;
        }
    }

    /// Takes over what one node tells, until its turn is over, it ends, or it turns out to be of no use.
    async fn follow(&mut self, first: TopologyResponse, mut changes: Streaming<TopologyResponse>) {
        if !self.take(first) {
            return;
        }
        self.pause = FOLLOW_PAUSE.0;
        let turn_ends = Instant::now() + self.cluster.about(FOLLOW_TURN);
        loop {
            let told = tokio::select! {
                biased;
                () = until(self.overlap_ends) => {
                    self.forget();
                    continue;
                }
                () = sleep_until(turn_ends) => return,
                told = changes.message() => told,
            };
            match told {
                Ok(Some(told)) => {
                    // How long it was on its way is unknown.
                    self.cluster.heard.clock(told.clock_ms, Duration::MAX);
                    if !self.take(told) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(status) => {
                    tracing::debug!(%status, "topology lost");
                    return;
                }
            }
        }
    }

    /// Whether to go on listening to who told this.
    fn take(&mut self, told: TopologyResponse) -> bool {
        let told = match Topology::try_from(told) {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%error, "topology refused");
                self.cluster.counters.topologies_refused.count();
                return false;
            }
        };
        let news = self.cluster.take(told);
        if news == News::Newer {
            self.overlap_ends = Some(Instant::now() + OVERLAP);
        }
        // Whoever is behind will catch up and tell.
        news != News::Foreign
    }

    async fn rest(&mut self) {
        let wake = Instant::now() + self.cluster.about(self.pause);
        self.pause = (self.pause * 2).min(FOLLOW_PAUSE.1);
        while self.overlap_ends.is_some_and(|ends| ends < wake) {
            until(self.overlap_ends).await;
            self.forget();
        }
        sleep_until(wake).await;
    }

    /// Asks the next node, of those that are known and those that were given, in turn.
    async fn open(&mut self) -> Option<Watch> {
        let candidates = candidates(&self.cluster);
        let address = candidates.get(self.turn % candidates.len().max(1))?;
        self.turn += 1;
        match Watch::open(address, &self.cluster.manner, &self.cluster.heard).await {
            Ok(watch) => watch,
            Err(why) => {
                tracing::debug!(address, %why, "no topology");
                None
            }
        }
    }

    fn forget(&mut self) {
        self.overlap_ends = None;
        self.cluster.forget_previous();
    }
}

/// Where topologies may be had: nodes that live, then the addresses that were given, then everybody else.
fn candidates(cluster: &Cluster) -> Vec<String> {
    let routes = cluster.routes();
    let nodes = routes.topologies.current.iter().flat_map(|topology| &topology.nodes);
    let of = |live| nodes.clone().filter(move |node| node.live == live).map(|node| &node.grpc_address);
    let mut candidates: Vec<String> = Vec::new();
    for address in of(true).chain(&cluster.seeds).chain(of(false)) {
        if !address.is_empty() && !candidates.contains(address) {
            candidates.push(address.clone());
        }
    }
    candidates
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
