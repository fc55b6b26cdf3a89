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
//! - `connection` moves bytes between the socket and the above.

mod answer;
mod budget;
mod command;
mod connection;
mod explanation;
mod inline;
mod outcome;
mod parser;
mod pipeline;
mod plan;
mod request;
mod session;
mod writer;

pub use connection::serve;
pub use parser::{Parsed, Parser, ProtocolError, TooLarge};
pub use request::Request;
pub use writer::{Protocol, Writer};

use super::{Command, Reply, execute, try_execute};
use crate::{
    admin::ClusterInfo,
    coordinator::{Coordinator, CoordinatorError, RequestOptions},
    limits,
};
use futures::{FutureExt as _, future::BoxFuture};
use shoal_proto::types::UnixMillis;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What runs the commands of a door: a [`Coordinator`], or something that stands for one in a test.
pub trait Backend: Send + Sync + 'static {
    /// What TTLs count from.
    fn now(&self) -> UnixMillis;

    /// Runs a command at once if that is possible; hands it back otherwise.
    ///
    /// # Errors
    /// The command itself, to be given to [`Backend::execute`].
    fn try_execute(
        &self,
        command: Command,
        options: &RequestOptions,
    ) -> Result<Result<Reply, CoordinatorError>, Command>;

    /// Runs a command.
    fn execute(
        &self,
        command: Command,
        options: RequestOptions,
    ) -> BoxFuture<'_, Result<Reply, CoordinatorError>>;
}

impl Backend for Coordinator {
    fn now(&self) -> UnixMillis {
        self.now()
    }

    fn try_execute(
        &self,
        command: Command,
        options: &RequestOptions,
    ) -> Result<Result<Reply, CoordinatorError>, Command> {
        try_execute(self, command, options)
    }

    fn execute(
        &self,
        command: Command,
        options: RequestOptions,
    ) -> BoxFuture<'_, Result<Reply, CoordinatorError>> {
        async move { execute(self, command, &options).await }.boxed()
    }
}

/// What all connections of the RESP door share.
pub struct RespDoor {
    backend: Arc<dyn Backend>,
    info: Arc<dyn ClusterInfo>,
    counters: Arc<RespCounters>,
    request_timeout: Option<Duration>,
    /// [`limits::RESP_STALL`], or less in a test.
    stall: Duration,
}

/// What the RESP door counts.
#[derive(Debug, Default)]
pub struct RespCounters {
    accepted: AtomicU64,
    open: AtomicU64,
    refused: AtomicU64,
    commands: AtomicU64,
}

impl RespCounters {
    /// Connections ever served.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Connections turned away because [`limits::RESP_CLIENTS`] were open.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Commands received.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Relaxed)
    }
}

impl RespDoor {
    /// A door before `backend`. `counters` are shared with whoever reports them; `request_timeout` is how long one
    /// command may take, `None` leaves it to the backend.
    #[must_use]
    pub fn new(
        backend: Arc<dyn Backend>,
        info: Arc<dyn ClusterInfo>,
        counters: Arc<RespCounters>,
        request_timeout: Option<Duration>,
    ) -> Self {
        Self { backend, info, counters, request_timeout, stall: limits::RESP_STALL }
    }

    /// What the door has counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<RespCounters> {
        &self.counters
    }

    /// A place for one more connection, until it is dropped; `None` when all are taken.
    fn admit(&self) -> Option<Admission<'_>> {
        if self.counters.open.fetch_add(1, Relaxed) >= limits::RESP_CLIENTS as u64 {
            self.counters.open.fetch_sub(1, Relaxed);
            self.counters.refused.fetch_add(1, Relaxed);
            return None;
        }
        let id = self.counters.accepted.fetch_add(1, Relaxed) + 1;
        Some(Admission { id, counters: &self.counters })
    }
}

/// One connection's place.
struct Admission<'a> {
    /// The connection's number, from 1.
    id: u64,
    counters: &'a RespCounters,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod testing;
