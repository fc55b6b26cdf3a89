use super::{
    node_start::Bound,
    output, run,
    settings::{self, Flags, LogFilter, Setup},
};
use clap::Args;
use rand::{TryRng as _, rngs::SysRng};
use shoal_membership::config::GossipConfig;
use std::{collections::BTreeMap, path::Path, process::ExitCode};
use tokio::time::Instant;

/// The doors, as settings, with the ports of the first node.
const DOORS: [(&str, u16); 4] = [("resp", 7379), ("http", 7380), ("grpc", 7381), ("gossip", 7382)];
/// From one node's ports to the next one's.
const PORT_STEP: u16 = 100;
/// Copies of a key, if there are that many nodes.
const REPLICAS: u16 = 3;

/// `shoal dev`.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// How many nodes to run; node i listens on the default ports + 100 i
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// What to log
    #[arg(long, default_value = "warn", value_name = "LEVEL", value_parser = settings::read::<LogFilter>)]
    log: LogFilter,
}

impl Dev {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let set_log_level = run::start_logs(self.log.filter());
        // Removed when it goes out of scope, after the nodes have stopped.
        let directory = tempfile::tempdir()?;
        let secret = secret()?;
        let mut nodes = Vec::new();
        for index in 0..self.nodes {
            nodes.push(Bound::new(setup(index, self.nodes, directory.path(), &secret)?).await?);
        }
        print_nodes(self.nodes)?;
        let announce = || {
            output::line(format!("ready in {} ms", started.elapsed().as_millis()))?;
            output::line(
                "try: redis-cli -p 7379 set greeting hello    (Ctrl-C stops and forgets everything)",
            )?;
            Ok(())
        };
        run::run(nodes, set_log_level, announce).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What node `index` of `nodes` runs with: the defaults, on ports of its own.
fn setup(index: u16, nodes: u16, directory: &Path, secret: &str) -> Result<Setup, settings::SettingsError> {
    let seeds: Vec<String> = (0..nodes).map(|index| address(DOORS[3].1, index)).collect();
    let mut values = BTreeMap::from([
        ("seed", seeds.join(",")),
        ("replicas", nodes.min(REPLICAS).to_string()),
        ("state_dir", directory.join(index.to_string()).display().to_string()),
    ]);
    values.extend(DOORS.map(|(door, port)| (door, address(port, index))));
    let environment = BTreeMap::from([(settings::CLUSTER_SECRET.variable.to_owned(), secret.to_owned())]);
    let mut setup = settings::load(&Flags { config: None, values }, &environment)?;
    setup.node.gossip = GossipConfig::local();
    Ok(setup)
}

/// Keeps other processes of this machine out of the cluster.
fn secret() -> anyhow::Result<String> {
    let halves = [SysRng.try_next_u64()?, SysRng.try_next_u64()?];
    Ok(halves.map(|half| format!("{half:016x}")).concat())
}

fn address(first_port: u16, index: u16) -> String {
    format!("127.0.0.1:{}", first_port + PORT_STEP * index)
}

fn print_nodes(nodes: u16) -> anyhow::Result<()> {
    let row = |index: u16| {
        let doors = DOORS.map(|(_, port)| address(port, index));
        std::iter::once(index.to_string()).chain(doors).collect()
    };
    let rows: Vec<Vec<String>> = (0..nodes).map(row).collect();
    output::table(&["node", "RESP", "HTTP", "gRPC", "gossip (UDP)"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "of sixteen bytes";

    #[test]
    fn nodes_of_a_local_cluster_know_each_other_and_share_no_port() {
        for nodes in [1, 3, 32] {
            let directory = Path::new("/tmp/none");
            let setups: Vec<Setup> =
                (0..nodes).map(|index| setup(index, nodes, directory, SECRET).unwrap()).collect();
            let mut ports: Vec<u16> = setups
                .iter()
                .flat_map(|setup| {
                    let listen = setup.node.listen;
                    [listen.resp, listen.http, listen.grpc, listen.gossip].map(|address| address.port())
                })
                .collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), 4 * usize::from(nodes));
            assert!(setups.iter().all(|setup| *setup.node.secrets.current() == [SECRET.to_owned()]));
            assert!(setups.iter().all(Setup::is_member));
            assert!(setups.iter().all(|setup| setup.node.replicas <= usize::from(nodes)));
            assert!(setups.iter().all(|setup| setup.node.seeds.len() == usize::from(nodes)));
            assert!(setups.iter().all(|setup| setup.node.gossip == GossipConfig::local()));
        }
        let second = setup(1, 3, Path::new("/tmp/none"), SECRET).unwrap();
        assert_eq!(second.node.listen.resp.to_string(), "127.0.0.1:7479");
        assert_eq!(second.state_dir, Path::new("/tmp/none/1"));
    }
}
