use super::{
    node_start::Bound,
    run,
    settings::{self, Flags},
};
use clap::Args;
use std::process::ExitCode;
use tracing::{info, warn};

/// `shoal serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) flags: Flags,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let environment = settings::environment();
        let setup = settings::load(&self.flags, &environment)?;
        let set_log_level = run::start_logs(setup.log.filter());
        run::allow_open_files(setup.node.clients.max_clients as u64);
        for variable in settings::unknown_variables(&environment) {
            warn!(variable, "this variable is no setting and was not used");
        }
        let listen = setup.node.listen;
        info!(
            node_id = %setup.node.node_id,
            resp = %listen.resp,
            http = %listen.http,
            grpc = %listen.grpc,
            gossip = %listen.gossip,
            state_dir = %setup.state_dir.display(),
            "starting"
        );
        if setup.is_open_to_strangers() {
            warn!("clients are asked for nothing, and other machines can reach this node");
        }
        if !setup.is_member() {
            info!(seeds = ?setup.node.seeds, "not among the seeds: this node is a gateway and asks to join");
        }
        let node = Bound::new(setup).await?;
        let announce = || {
            info!("ready");
            Ok(())
        };
        run::run(vec![node], set_log_level, announce).await?;
        Ok(ExitCode::SUCCESS)
    }
}
