//! Gossip: chitchat over a sealed transport, published as [`Cluster`] views.
//!
//! ```text
//! UDP -> seal -> chitchat -> schema -> driver -> Cluster
//!                         <-        <-        <- own record, own readiness
//! ```
//!
//! Gossip spreads facts and suspicion and decides nothing: a node that counts as dead is asked last, and stays an
//! owner. Nothing is answered, and chitchat sees nothing, before its seal has been opened.

mod chitchat;
mod counters;
mod driver;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod log_gate;
mod runtime;
mod schema;
pub mod seal;
mod sealed_socket;
#[cfg(test)]
mod tests;

pub use counters::{GossipCounters, GossipCounts};
pub use schema::SchemaError;

use self::chitchat::{Agent, Introduction};
use crate::{Secrets, config::GossipConfig, env::Env, view::Cluster};
use driver::Driver;
use sealed_socket::{SealedSocket, Sealing};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tracing::warn;

/// The shortest time between rounds.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// What gossip is started with.
#[derive(Clone)]
pub struct GossipSettings {
    /// The cluster's name; nodes of different names do not talk.
    pub cluster: String,
    /// What nodes of the cluster prove to each other. The first seals, all open; without any, both addresses must be
    /// loopback. Replaced, they are used from the next datagram on.
    pub secrets: Secrets,
    /// Where the UDP socket is bound.
    pub listen: SocketAddr,
    /// Where others reach it; port 0 stands for the port that was bound.
    pub advertise: SocketAddr,
    /// Gossip addresses (`host:port`) to begin with. Names are resolved again every minute.
    pub seeds: Vec<String>,
    /// The rhythm.
    pub timing: GossipConfig,
}

/// Gossip could not be started.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// Anyone who reaches the address could rewrite the cluster.
    #[error("gossip on {0} needs a cluster secret: without one only loopback addresses are allowed")]
    SecretRequired(SocketAddr),
    /// A secret is the empty text.
    #[error("a cluster secret must not be empty")]
    EmptySecret,
    /// Nobody can send to the advertised address.
    #[error("{0} cannot be advertised to other nodes")]
    Advertise(SocketAddr),
    /// The rhythm is out of range.
    #[error("gossip {0}")]
    Timing(&'static str),
    /// What this node would publish does not fit.
    #[error("this node cannot be described in gossip: {0}")]
    Schema(#[from] SchemaError),
    /// The socket cannot be bound.
    #[error("cannot bind gossip to {listen}/udp: {source}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Chitchat refused to start.
    #[error("gossip did not start: {0}")]
    Start(String),
}

/// Something after which this node must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GossipEvent {
    /// Another process runs under this node's id and the cluster believes it: its generation is higher, or equal and
    /// its address the smaller one. This node's state file is stale, or its id was given twice.
    DuplicateNodeId {
        /// The other's generation.
        generation: u64,
        /// The other's gossip address.
        gossip: SocketAddr,
    },
    /// Gossip has ended by itself, so the view no longer changes.
    Terminated(
        /// Why.
        String,
    ),
}

/// Running gossip. When dropped it stops soon after.
#[derive(Debug)]
pub struct Gossip {
    advertised: SocketAddr,
    counters: Arc<GossipCounters>,
    events: watch::Receiver<Option<GossipEvent>>,
    stop: oneshot::Sender<()>,
    driver: JoinHandle<()>,
}

impl Gossip {
    /// Starts to gossip for `cluster`'s own node and to feed `cluster` with what is heard.
    ///
    /// # Errors
    /// When the settings do not allow it, or the socket cannot be bound.
    pub async fn start(
        settings: GossipSettings,
        cluster: Arc<Cluster>,
        env: &Env,
    ) -> Result<Self, GossipError> {
        settings.check()?;
        let GossipSettings { cluster: name, secrets, listen, advertise, seeds, timing } = settings;
        let node = cluster.me();
        let pairs = schema::describe(&node)?;
        if secrets.current().is_empty() {
            warn!(%listen, "no cluster secret: any process on this machine can join and mislead the cluster");
        }
        let (host, socket, bound) = runtime::bind(listen, timing.interval)
            .await
            .map_err(|source| GossipError::Bind { listen, source })?;
        let advertise = match advertise.port() {
            0 => SocketAddr::new(advertise.ip(), bound.port()),
            _ => advertise,
        };
        let counters = Arc::new(GossipCounters::default());
        // Named after the incarnation, so that equal seeds on two nodes, or before and after a restart, do not
        // repeat a nonce.
        let nonces = env.rng(&format!("gossip nonces of {} {} {advertise}", node.node_id, node.generation));
        let socket =
            SealedSocket::new(socket, Sealing::new(&name, secrets), advertise, nonces, counters.clone());
        let (interval, seeds) = (timing.interval, runtime::resolve(seeds).await);
        let introduction = Introduction { cluster: name, node, advertise, seeds, timing };
        let agent = Agent::start(introduction, pairs, socket, host)
            .await
            .map_err(|error| GossipError::Start(format!("{error:#}")))?;
        let (events_tx, events) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let driver = tokio::spawn(Driver::new(agent, cluster, events_tx).run(interval, stopped));
        Ok(Self { advertised: advertise, counters, events, stop, driver })
    }

    /// The address others were told.
    #[must_use]
    pub fn advertised(&self) -> SocketAddr {
        self.advertised
    }

    /// What happened to datagrams.
    #[must_use]
    pub fn counters(&self) -> Arc<GossipCounters> {
        self.counters.clone()
    }

    /// Tells of the first event after which the node must not go on; `None` as long as all is well.
    #[must_use]
    pub fn events(&self) -> watch::Receiver<Option<GossipEvent>> {
        self.events.clone()
    }

    /// Stops and closes the socket. There is no farewell: others notice the silence.
    pub async fn shutdown(self) {
        let Self { stop, driver, .. } = self;
        drop(stop);
        if let Err(error) = driver.await {
            warn!(%error, "gossip driver failed");
        }
    }
}

impl GossipSettings {
    fn check(&self) -> Result<(), GossipError> {
        let secrets = self.secrets.current();
        if secrets.iter().any(String::is_empty) {
            return Err(GossipError::EmptySecret);
        }
        let exposed = [self.listen, self.advertise].into_iter().find(|address| !address.ip().is_loopback());
        if let (true, Some(address)) = (secrets.is_empty(), exposed) {
            return Err(GossipError::SecretRequired(address));
        }
        if self.advertise.ip().is_unspecified() || self.advertise.ip().is_multicast() {
            return Err(GossipError::Advertise(self.advertise));
        }
        if self.timing.interval < MIN_INTERVAL {
            return Err(GossipError::Timing("interval must be at least 10 ms"));
        }
        if !(self.timing.phi.is_finite() && self.timing.phi >= 1.0) {
            return Err(GossipError::Timing("phi must be at least 1"));
        }
        Ok(())
    }
}
