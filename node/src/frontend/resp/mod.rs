//! The door for Redis clients: RESP2 and RESP3.
//!
//! ```text
//! bytes -> parser -> request -> command table -> plan -> pipeline -> answer -> writer -> bytes
//!                                    |                                          ^
//!                                    `-> answered by the connection itself -----'
//! ```
//!
//! - [`Parser`] and [`Writer`] are pure: bytes and requests, replies and bytes.
//! - `command` knows every command: it turns a request into a plan for the coordinator, or answers it.
//! - `pipeline` runs plans side by side and gives their answers back in order.
//! - `output` keeps replies until the socket takes them, large values as they are.
//! - `connection` moves bytes between the socket and the above.

mod answer;
mod budget;
mod clients;
mod command;
mod connection;
mod explanation;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inline;
mod outcome;
mod output;
mod parser;
mod patience;
mod pipeline;
mod plan;
mod request;
mod session;
mod since_reset;
mod writer;

pub use connection::{Ends, serve};
pub use output::Output;
pub use parser::{Parsed, Parser, ProtocolError, TooLarge};
pub use request::Request;
pub use writer::{Protocol, Writer};

use super::{Command, Door, Gate, Reply};
use crate::{
    admin::ClusterInfo,
    coordinator::{CoordinatorError, RequestOptions},
    limits,
    live::Live,
    metrics::{Connections, Place, Tally},
};
use clients::Clients;
use futures::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use shoal_proto::types::UnixMillis;
use since_reset::SinceReset;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What runs the commands of the door: a [`Door`], or something that stands for one in a test.
pub trait Backend: Send + Sync + 'static {
    /// What TTLs count from.
    fn now(&self) -> UnixMillis;

    /// Counts what one connection is answered at once.
    fn tally(&self) -> Tally;

    /// Runs a command at once if that is possible; hands it back otherwise.
    ///
    /// # Errors
    /// The command itself, to be given to [`Backend::execute`].
    fn try_execute(
        &self,
        command: Command,
        options: &RequestOptions,
        tally: &mut Tally,
    ) -> Result<Result<Reply, CoordinatorError>, Command>;

    /// Adds up what was answered at once since the last time.
    fn conclude(&self, tally: &mut Tally);

    /// Runs a command.
    fn execute(
        &self,
        command: Command,
        options: RequestOptions,
    ) -> BoxFuture<'_, Result<Reply, CoordinatorError>>;
}

impl Backend for Door {
    fn now(&self) -> UnixMillis {
        self.now()
    }

    fn tally(&self) -> Tally {
        self.tally()
    }

    fn try_execute(
        &self,
        command: Command,
        options: &RequestOptions,
        tally: &mut Tally,
    ) -> Result<Result<Reply, CoordinatorError>, Command> {
        self.try_execute(command, options, tally)
    }

    fn conclude(&self, tally: &mut Tally) {
        self.conclude(tally);
    }

    fn execute(
        &self,
        command: Command,
        options: RequestOptions,
    ) -> BoxFuture<'_, Result<Reply, CoordinatorError>> {
        async move { Door::execute(self, command, &options).await }.boxed()
    }
}

/// What all connections of the RESP door share.
pub struct RespDoor {
    backend: Arc<dyn Backend>,
    gate: Gate,
    info: Arc<dyn ClusterInfo>,
    counters: Arc<RespCounters>,
    live: Arc<Live>,
    clients: Clients,
    /// What the counters of `INFO` were when they were reset.
    reset: Mutex<SinceReset>,
    /// [`limits::RESP_STALL`], or less in a test.
    stall: Duration,
    /// [`limits::UNPROVEN_PATIENCE`], or less in a test.
    unproven_patience: Duration,
    /// [`limits::WRONG_PASSWORD_PAUSE`], or less in a test.
    wrong_password_pause: Duration,
}

/// What the RESP door counts.
#[derive(Debug, Default)]
pub struct RespCounters {
    /// Its connections.
    pub connections: Arc<Connections>,
    commands: AtomicU64,
}

impl RespCounters {
    /// Commands received.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Relaxed)
    }
}

impl RespDoor {
    /// A door before `backend` for whom `gate` lets in. `counters` are shared with whoever reports them, `live` with
    /// whoever changes it.
    #[must_use]
    pub fn new(
        backend: Arc<dyn Backend>,
        gate: Gate,
        info: Arc<dyn ClusterInfo>,
        counters: Arc<RespCounters>,
        live: Arc<Live>,
    ) -> Self {
        Self {
            backend,
            gate,
            info,
            counters,
            live,
            clients: Clients::default(),
            reset: Mutex::default(),
            stall: limits::RESP_STALL,
            unproven_patience: limits::UNPROVEN_PATIENCE,
            wrong_password_pause: limits::WRONG_PASSWORD_PAUSE,
        }
    }

    /// The settings it follows.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What the door has counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<RespCounters> {
        &self.counters
    }

    /// Lets idle clients go as the settings say, until `shutdown` completes.
    pub async fn sweep(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(limits::RESP_SWEEP) => {}
            }
            if let Some(idle) = self.live.idle_timeout() {
                self.clients.end_idle(self.backend.now(), idle);
            }
        }
    }

    /// A place for one more connection; `None` when all are taken.
    fn admit(&self) -> Option<Place> {
        self.counters.connections.admit(self.live.max_clients())
    }
}

#[cfg(any(test, fuzzing))]
mod testing;
