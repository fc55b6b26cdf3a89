use super::{node_start::Bound, reload};
use futures::{
    StreamExt as _,
    future::{self, join_all, try_join_all},
    stream::select_all,
};
use shoal_node::RunningNode;
use shoal_node::admin::ClusterInfo;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    io::{self, IsTerminal as _},
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time,
};
use tokio_stream::wrappers::WatchStream;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// How long nodes may take to stop before they are dropped.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether the nodes are ready.
const READY_POLL: Duration = Duration::from_millis(10);

/// Files a node needs beside the connections of its clients.
const OTHER_FILES: u64 = 256;

/// Raises the limit on open files to what the nodes' clients may need, as far as the system allows.
pub(crate) fn allow_open_files(clients: u64) {
    let wanted = clients.saturating_add(OTHER_FILES);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => warn!(
            allowed,
            wanted,
            "the system allows fewer open files than max_clients needs: raise it (ulimit -n), or lower max_clients"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "cannot raise the limit on open files"),
    }
}

/// Changes the level of the log.
pub(crate) type SetLogLevel = Box<dyn Fn(&str)>;

/// Writes logs to standard error.
pub(crate) fn start_logs(filter: EnvFilter) -> SetLogLevel {
    let colours = io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        .with_filter_reloading();
    let handle = logs.reload_handle();
    logs.init();
    Box::new(move |level| {
        if let Err(error) = handle.reload(EnvFilter::new(level)) {
            warn!(%error, "cannot change the level of the log");
        }
    })
}

/// Runs nodes until a signal asks to stop or one of them cannot go on; calls `on_ready` once all are ready. Another signal
/// makes them read their files again.
///
/// # Errors
/// When a node cannot start or cannot go on, and what `on_ready` returns.
pub(crate) async fn run(
    nodes: Vec<Bound>,
    set_log_level: SetLogLevel,
    on_ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let nodes = tokio::select! {
        biased;
        () = signals.received() => return Ok(()),
        nodes = try_join_all(nodes.into_iter().map(Bound::start)) => nodes?,
    };
    let (nodes, reloads): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
    let outcome = tokio::select! {
        biased;
        () = signals.received() => Ok(()),
        error = first_fatal(&nodes) => Err(error),
        never = reload::follow(reloads, &mut hangup) => match never {},
        Err(error) = serve(&nodes, on_ready) => Err(error),
        never = follow_log_levels(&nodes, set_log_level) => match never {},
    };
    info!("stopping");
    tokio::select! {
        biased;
        () = signals.received() => warn!("stopping at once"),
        stopped = time::timeout(SHUTDOWN_PATIENCE, join_all(nodes.into_iter().map(RunningNode::shutdown))) => {
            if stopped.is_err() {
                warn!(patience = ?SHUTDOWN_PATIENCE, "nodes did not stop in time");
            }
        }
    }
    outcome
}

/// Returns only when `on_ready` fails.
async fn serve(
    nodes: &[RunningNode],
    on_ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Infallible> {
    let infos: Vec<_> = nodes.iter().map(RunningNode::info).collect();
    until_ready(&infos).await;
    on_ready()?;
    pending().await
}

/// Lets the log of the process follow what its nodes are told, whichever was told last.
async fn follow_log_levels(nodes: &[RunningNode], set: SetLogLevel) -> Infallible {
    let lives: Vec<_> = nodes.iter().map(RunningNode::live).collect();
    let mut changes =
        select_all(lives.iter().map(|live| WatchStream::from_changes(live.changes()).map(move |()| live)));
    let mut levels = BTreeMap::new();
    while let Some(live) = changes.next().await {
        if let Some(level) = live.log()
            && levels.insert(Arc::as_ptr(live), level) != Some(level)
        {
            set(level);
        }
    }
    pending().await
}

async fn until_ready(nodes: &[Arc<dyn ClusterInfo>]) {
    let mut polls = time::interval(READY_POLL);
    while !nodes.iter().all(|node| node.is_ready()) {
        polls.tick().await;
    }
}

async fn first_fatal(nodes: &[RunningNode]) -> anyhow::Error {
    future::select_all(nodes.iter().map(|node| Box::pin(node.wait_fatal()))).await.0.into()
}

/// The signals that ask a process to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
