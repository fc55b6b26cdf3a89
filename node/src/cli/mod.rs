//! The commands, one file each.

mod bench;
mod check_config;
mod dev;
mod explain;
mod flush;
mod hot_keys;
mod key_argument;
mod key_commands;
mod mget;
mod node_start;
pub(crate) mod output;
mod reload;
mod remote;
mod ring;
mod run;
mod scan;
mod serve;
mod settings;
mod status;
mod tls_options;
mod token;
mod ttl;

use clap::{Parser, Subcommand};
use std::{num::NonZeroUsize, process::ExitCode};
use tokio::runtime::{Builder, Runtime};

/// Exit code of a command that found nothing.
const NOTHING: u8 = 1;
/// Exit code of a command that failed.
pub(crate) const TROUBLE: u8 = 2;

/// A leaderless distributed in-memory cache.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Threads that do the work [default: one per core]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole local cluster in this process, to try things out
    Dev(dev::Dev),
    /// Run one node
    Serve(serve::Serve),
    /// Print the value of a key; exit code 1 when there is none
    Get(key_commands::Get),
    /// Print the values of many keys, a line each; exit code 1 when one has none
    Mget(mget::Mget),
    /// Store a value
    Set(key_commands::Set),
    /// Delete a key
    Del(key_commands::Del),
    /// Tell or change how long a value still lives; exit code 1 when there is none
    Ttl(ttl::Ttl),
    /// Show what every owner of a key holds, and what will mend it if they differ
    Explain(explain::Explain),
    /// Print the keys of a cluster, a line each; exit code 1 when there is none
    Scan(scan::Scan),
    /// Drop everything in a cluster
    Flush(flush::Flush),
    /// Show the nodes of a cluster
    Status(status::Status),
    /// Show which node owns how much of the keys
    Ring(ring::Ring),
    /// Show the keys with the most requests
    #[command(name = "hotkeys")]
    HotKeys(hot_keys::HotKeys),
    /// Replay a trace of requests and measure the answers
    Bench(Box<bench::Bench>),
    /// Check the settings of a node and show what it would run with
    CheckConfig(check_config::CheckConfig),
}

impl Cli {
    /// The runtime the command runs on.
    pub(crate) fn runtime(&self) -> anyhow::Result<Runtime> {
        let mut builder = Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            builder.worker_threads(threads.get());
        }
        Ok(builder.enable_all().build()?)
    }

    /// Runs the command.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Dev(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Get(command) => command.run().await,
            Command::Mget(command) => command.run().await,
            Command::Set(command) => command.run().await,
            Command::Del(command) => command.run().await,
            Command::Ttl(command) => command.run().await,
            Command::Explain(command) => command.run().await,
            Command::Scan(command) => command.run().await,
            Command::Flush(command) => command.run().await,
            Command::Status(command) => command.run().await,
            Command::Ring(command) => command.run().await,
            Command::HotKeys(command) => command.run().await,
            Command::Bench(command) => command.run().await,
            Command::CheckConfig(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn no_two_flags_clash() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_flags_of_serve() {
        let cli =
            Cli::try_parse_from(["shoal", "serve", "--bootstrap", "--max-memory", "2GiB", "--threads", "2"]);
        let Command::Serve(serve) = cli.unwrap().command else { panic!("serve expected") };
        assert_eq!(serve.flags.values["bootstrap"], "true");
        assert_eq!(serve.flags.values["max_memory"], "2GiB");
        assert_eq!(serve.flags.values.len(), 2);
    }
}
