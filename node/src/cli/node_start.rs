//! The one place where a command starts a node.

use super::{
    reload::Reload,
    settings::{self, Setup},
};
use anyhow::Context as _;
use rand::{TryRng as _, rngs::SysRng};
use shoal_membership::{
    Env, Seed,
    env::{DiskState, SystemClock},
};
use shoal_node::{Node, RunningNode, Sockets};
use std::sync::Arc;

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
        let sockets = Sockets::bind(&setup.node.listen).await?;
        Ok(Self { setup, sockets })
    }

    /// Starts the node. Comes with what takes over changes in its files.
    ///
    /// # Errors
    /// When its state cannot be read or it cannot start.
    pub(crate) async fn start(self) -> anyhow::Result<(RunningNode, Reload)> {
        let node_id = self.setup.node.node_id.clone();
        let env = Env {
            wall: Arc::new(SystemClock),
            seed: Seed(SysRng.try_next_u64().context("no randomness from the operating system")?),
            state: Arc::new(DiskState::open(&self.setup.state_dir)?),
        };
        let Setup { node, files, .. } = self.setup;
        let (secrets, tls) = (node.secrets.clone(), node.tls.clone());
        let node = Node::start(node, env, self.sockets).await.with_context(|| format!("node {node_id}"))?;
        let reload = Reload::new(files, settings::environment(), secrets, tls, node.auth());
        Ok((node, reload))
    }
}
