//! The one place where a command starts a node.

use super::{doors, settings::Setup};
use anyhow::Context as _;
use rand::{TryRng as _, rngs::SysRng};
use shoal_membership::{
    Env, Seed,
    env::{DiskState, SystemClock},
};
use shoal_node::{admin::ClusterInfo, config::NodeConfig};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// The sockets of a node: three that listen, and the address gossip is to bind.
#[expect(dead_code, reason = "read by the assembly")]
pub(crate) struct Sockets {
    pub(crate) resp: TcpListener,
    pub(crate) http: TcpListener,
    pub(crate) grpc: TcpListener,
    pub(crate) gossip: SocketAddr,
}

/// A node whose sockets are bound.
pub(crate) struct Bound {
    setup: Setup,
    sockets: Sockets,
}

impl Bound {
    /// Binds the sockets of a node.
    ///
    /// # Errors
    /// Names the door and the address that cannot be had.
    pub(crate) async fn new(setup: Setup) -> anyhow::Result<Self> {
        let sockets = doors::bind(&setup.node.listen).await?;
        Ok(Self { setup, sockets })
    }

    /// Starts the node.
    ///
    /// # Errors
    /// When its state cannot be read or it cannot start.
    pub(crate) async fn start(self) -> anyhow::Result<RunningNode> {
        let node_id = self.setup.node.node_id.clone();
        let env = Env {
            wall: Arc::new(SystemClock),
            seed: Seed(SysRng.try_next_u64().context("no randomness from the operating system")?),
            state: Arc::new(DiskState::open(&self.setup.state_dir)?),
        };
        start(self.setup.node, env, self.sockets).await.with_context(|| format!("node {node_id}"))
    }
}

// To be joined with the library's assembly: `Node::start`, `Sockets` and `RunningNode` of the same shapes.

/// A node that runs in this process.
pub(crate) enum RunningNode {}

impl RunningNode {
    /// What the node tells of itself.
    pub(crate) fn info(&self) -> Arc<dyn ClusterInfo> {
        match *self {}
    }

    /// Stops the node in good order.
    pub(crate) async fn shutdown(self) {
        match self {}
    }

    /// Waits for what the node cannot go on from.
    pub(crate) async fn wait_fatal(&self) -> anyhow::Error {
        match *self {}
    }
}

async fn start(_config: NodeConfig, _env: Env, _sockets: Sockets) -> anyhow::Result<RunningNode> {
    anyhow::bail!("this build has no server")
}
