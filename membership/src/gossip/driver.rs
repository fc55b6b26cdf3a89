use super::{
    GossipEvent,
    chitchat::Agent,
    schema::{self, Pair},
};
use crate::{
    node_info::RingDigest,
    ring,
    view::{Cluster, ClusterView},
};
use shoal_proto::types::RingRecord;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    time::MissedTickBehavior,
};
use tracing::error;

/// Carries facts both ways between one node's chitchat and its cluster view.
pub(super) struct Driver {
    agent: Agent,
    cluster: Arc<Cluster>,
    events: watch::Sender<Option<GossipEvent>>,
    published: Published,
}

/// What this node last told of itself, so that nothing is computed or sent twice.
#[derive(Default)]
struct Published {
    record: Option<Arc<RingRecord>>,
    ready: Option<bool>,
}

impl Driver {
    pub(super) fn new(
        agent: Agent,
        cluster: Arc<Cluster>,
        events: watch::Sender<Option<GossipEvent>>,
    ) -> Self {
        Self { agent, cluster, events, published: Published::default() }
    }

    /// Runs until `stopped` resolves or chitchat ends.
    pub(super) async fn run(mut self, interval: Duration, mut stopped: oneshot::Receiver<()>) {
        let mut views = self.cluster.subscribe();
        // A view may have been published before we subscribed.
        views.mark_changed();
        let mut terminated = std::pin::pin!(self.agent.terminated());
        let mut rounds = tokio::time::interval(interval);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                why = &mut terminated => {
                    error!(why, "gossip has ended");
                    self.report(GossipEvent::Terminated(why));
                    break;
                }
                Ok(()) = views.changed() => {
                    let view = views.borrow_and_update().clone();
                    self.publish(&view).await;
                }
                () = self.agent.changed() => self.observe().await,
                // Nodes that are known and not alive do not announce themselves.
                _ = rounds.tick() => self.observe().await,
            }
        }
        self.agent.stop().await;
    }

    async fn publish(&mut self, view: &ClusterView) {
        let news = self.published.news(view);
        if !news.is_empty() {
            self.agent.publish(news).await;
        }
    }

    async fn observe(&mut self) {
        let observation = self.agent.observe().await;
        self.cluster.observe_nodes(observation.nodes);
        if let Some(rival) = observation.rival {
            let event = GossipEvent::DuplicateNodeId { generation: rival.generation, gossip: rival.gossip };
            if self.report(event) {
                error!(generation = rival.generation, address = %rival.gossip, "duplicate node id");
            }
        }
    }

    /// Returns whether it is the first event: the others do not matter any more.
    fn report(&self, event: GossipEvent) -> bool {
        self.events.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(event);
            is_first
        })
    }
}

impl Published {
    /// The pairs that `view` changes.
    fn news(&mut self, view: &ClusterView) -> Vec<Pair> {
        let mut news = Vec::new();
        if let Some(record) = view.record().filter(|record| !self.has(record)) {
            let (epoch, phase) = record.number();
            news.push(schema::ring(RingDigest { epoch, phase, digest: ring::digest(record) }));
            self.record = Some(record.clone());
        }
        let ready = view.nodes().get(view.me()).is_some_and(|me| me.ready);
        if self.ready != Some(ready) {
            news.push(schema::ready(ready));
            self.ready = Some(ready);
        }
        news
    }

    fn has(&self, record: &Arc<RingRecord>) -> bool {
        self.record.as_ref().is_some_and(|known| Arc::ptr_eq(known, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Addresses, NodeInfo, Secrets, Seed,
        config::GossipConfig,
        gossip::{
            GossipCounters,
            chitchat::Introduction,
            runtime,
            sealed_socket::{SealedSocket, Sealing},
        },
    };
    use shoal_proto::types::NodeId;

    #[tokio::test]
    async fn the_end_of_chitchat_is_reported_and_ends_the_driver() {
        let node = NodeInfo {
            node_id: NodeId::new("n").unwrap(),
            generation: 1,
            addresses: Addresses::default(),
            zone: String::new(),
            capacity: 100,
            ring: None,
            ready: false,
            live: true,
        };
        let cluster = Arc::new(Cluster::new(node.clone()));
        let timing = GossipConfig::local();
        let (host, socket, advertise) =
            runtime::bind("127.0.0.1:0".parse().unwrap(), timing.interval).await.unwrap();
        let counters = Arc::new(GossipCounters::default());
        let socket = SealedSocket::new(
            socket,
            Sealing::new("c", Secrets::new(["s"])),
            advertise,
            Seed(1).stream("nonces"),
            counters,
        );
        let introduction = Introduction { cluster: "c".into(), node, advertise, seeds: vec![], timing };
        let agent = Agent::start(introduction, vec![], socket, host).await.unwrap();
        agent.crash();
        let (events_tx, events) = watch::channel(None);
        let (_stop, stopped) = oneshot::channel();
        Driver::new(agent, cluster, events_tx).run(Duration::from_millis(100), stopped).await;
        assert!(matches!(&*events.borrow(), Some(GossipEvent::Terminated(_))));
    }
}
