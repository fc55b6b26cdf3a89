//! The doors that load can be sent through: one connection of a worker, whatever it speaks.

mod grpc;
mod reply;
mod resp;
mod rest;

use super::options::Plan;
use bytes::Bytes;
use clap::ValueEnum;
use shoal_node::tls::Connector;
use std::{borrow::Cow, convert::Infallible, fmt, future::pending, sync::Arc, time::Duration};

/// How long connecting to one node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A protocol of Shoal's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// RESP2, which Redis understands too: a connection per worker
    Resp,
    /// gRPC by Shoal's own client, one that all workers share
    Grpc,
    /// HTTP/1.1 with keep-alive: a connection per request under way
    Rest,
}

/// How to reach the nodes.
#[derive(Clone)]
pub(crate) enum Doors {
    Resp(Arc<Plan>, Option<Connector>),
    Grpc(grpc::Connection),
    Rest(Box<rest::Doors>),
}

/// One worker's connection.
pub(crate) enum Connection {
    Resp(resp::Connection),
    Grpc(grpc::Connection),
    Rest(rest::Connection),
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct Failure {
    /// What failures are counted by.
    pub(crate) kind: Cow<'static, str>,
    /// Whether it is better to go on with another node.
    pub(crate) is_lost: bool,
}

impl Protocol {
    /// Where a node listens unless it is told otherwise.
    pub(crate) fn default_node(self) -> &'static str {
        match self {
            Self::Resp => "127.0.0.1:7379",
            Self::Rest => "127.0.0.1:7380",
            Self::Grpc => "127.0.0.1:7381",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resp => "resp",
            Self::Grpc => "grpc",
            Self::Rest => "rest",
        })
    }
}

impl Doors {
    /// # Errors
    /// When no node can be reached by the one gRPC client, or a file of TLS cannot be used.
    pub(crate) async fn open(plan: &Arc<Plan>) -> anyhow::Result<Self> {
        Ok(match plan.protocol {
            Protocol::Resp => Self::Resp(plan.clone(), plan.tls.connector()?),
            Protocol::Grpc => Self::Grpc(grpc::Connection::open(plan).await?),
            Protocol::Rest => Self::Rest(Box::new(rest::Doors::new(plan)?)),
        })
    }

    /// Connects to a node.
    ///
    /// # Errors
    /// When it cannot be reached, or does not know the consistency level.
    pub(crate) async fn connect(&self, node: usize) -> anyhow::Result<Connection> {
        Ok(match self {
            Self::Resp(plan, tls) => {
                Connection::Resp(resp::Connection::open(plan, node, tls.as_ref()).await?)
            }
            // It finds its node by itself.
            Self::Grpc(client) => Connection::Grpc(client.reach().await?),
            Self::Rest(doors) => Connection::Rest(doors.connect(node).await?),
        })
    }
}

impl Connection {
    /// Reads a key; `None` on a miss.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Resp(connection) => connection.get(key).await,
            Self::Grpc(connection) => connection.get(key).await,
            Self::Rest(connection) => connection.get(key).await,
        }
    }

    /// Writes a key.
    pub(crate) async fn set(&self, key: &str, value: Vec<u8>, ttl: Option<Duration>) -> Result<(), Failure> {
        match self {
            Self::Resp(connection) => connection.set(key, &value, ttl).await,
            Self::Grpc(connection) => connection.set(key, value, ttl).await,
            Self::Rest(connection) => connection.set(key, value, ttl).await,
        }
    }

    /// Fails whatever is under way on a connection that nobody will drive any more.
    pub(crate) fn abandon(&self) {
        match self {
            Self::Resp(connection) => connection.abandon(),
            Self::Grpc(_) | Self::Rest(_) => {}
        }
    }

    /// Moves bytes, where that is not the work of other tasks. Never ends; its owner polls it beside the requests.
    pub(crate) async fn drive(&self) -> Infallible {
        match self {
            Self::Resp(connection) => connection.drive().await,
            Self::Grpc(_) | Self::Rest(_) => pending().await,
        }
    }
}

impl Failure {
    fn lost(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), is_lost: true }
    }

    fn refused(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), is_lost: false }
    }

    /// Nothing came within the time a request may take.
    pub(crate) fn timeout() -> Self {
        Self::lost("no answer in time")
    }
}
