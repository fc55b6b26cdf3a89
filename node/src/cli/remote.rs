//! The one place where a command talks to a cluster.

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;
use shoal_proto::{
    types::{Consistency, Key, MAX_KEY_BYTES, MAX_VALUE_BYTES, Value},
    wire::{
        admin::v1::{StatusRequest, StatusResponse, admin_client::AdminClient},
        kv::v1::{self as wire, kv_client::KvClient},
    },
};
use std::time::Duration;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Beyond the deadline the server keeps, so that its own error arrives first.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REPLY_BYTES: usize = MAX_KEY_BYTES + MAX_VALUE_BYTES + 64 * 1024;

/// A cluster, through one of its nodes.
pub(crate) struct Remote {
    channel: Channel,
}

/// What an answer was worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    tag: u64,
    expires_at_unix_ms: Option<u64>,
    reached: Option<String>,
    asked: u32,
    answered: u32,
    superseded_by: Option<u64>,
    repaired: bool,
    hinted: bool,
    degraded: bool,
}

impl Remote {
    /// Reaches the first of the nodes (gRPC, `host:port`) that answers.
    ///
    /// # Errors
    /// When none does; tells why of the last one.
    pub(crate) async fn connect(nodes: &[String]) -> anyhow::Result<Self> {
        let mut outcome = Err(anyhow::anyhow!("no node was named"));
        for node in nodes {
            let endpoint = Endpoint::from_shared(format!("http://{node}"))
                .with_context(|| format!("'{node}' is not a node's address: expected host:port"))?;
            let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(REPLY_TIMEOUT);
            outcome = endpoint.connect().await.with_context(|| format!("cannot reach {node}"));
            if outcome.is_ok() {
                break;
            }
        }
        Ok(Self { channel: outcome? })
    }

    /// Reads a key; `None` is a miss.
    ///
    /// # Errors
    /// What the cluster could not do.
    pub(crate) async fn get(
        &self,
        key: Key,
        level: Option<Consistency>,
    ) -> anyhow::Result<(Option<Bytes>, Outcome)> {
        let request = wire::GetRequest { key: key.into_bytes(), consistency: number(level), deadline_ms: 0 };
        let reply = self.kv().get(request).await.map_err(refused)?.into_inner();
        Ok((reply.value, outcome(reply.outcome)))
    }

    /// Stores a value.
    ///
    /// # Errors
    /// What the cluster could not do.
    pub(crate) async fn set(
        &self,
        key: Key,
        value: Value,
        ttl: Option<Duration>,
        level: Option<Consistency>,
    ) -> anyhow::Result<Outcome> {
        let request = wire::SetRequest {
            key: key.into_bytes(),
            value: value.into_bytes(),
            // Rounded up: no value lives shorter than asked for, and 0 would be forever.
            ttl_ms: ttl
                .map_or(0, |ttl| u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1)),
            consistency: number(level),
            deadline_ms: 0,
            tag: 0,
        };
        let reply = self.kv().set(request).await.map_err(refused)?.into_inner();
        Ok(outcome(reply.outcome))
    }

    /// Deletes a key. Returns whether there was one.
    ///
    /// # Errors
    /// What the cluster could not do.
    pub(crate) async fn delete(
        &self,
        key: Key,
        level: Option<Consistency>,
    ) -> anyhow::Result<(bool, Outcome)> {
        let key = key.into_bytes();
        let request = wire::DeleteRequest { key, consistency: number(level), deadline_ms: 0, tag: 0 };
        let reply = self.kv().delete(request).await.map_err(refused)?.into_inner();
        Ok((reply.existed, outcome(reply.outcome)))
    }

    /// The cluster as the node sees it.
    ///
    /// # Errors
    /// When the node does not tell.
    pub(crate) async fn status(&self) -> anyhow::Result<StatusResponse> {
        let mut admin = AdminClient::new(self.channel.clone());
        Ok(admin.status(StatusRequest {}).await.map_err(refused)?.into_inner())
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_REPLY_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES)
    }
}

fn number(level: Option<Consistency>) -> i32 {
    level.map_or(wire::Consistency::Unspecified, wire::Consistency::from).into()
}

fn outcome(wire: Option<wire::Outcome>) -> Outcome {
    let wire = wire.unwrap_or_default();
    let reached = wire::Consistency::level(wire.reached).ok().flatten();
    Outcome {
        tag: wire.tag,
        expires_at_unix_ms: (wire.expires_at != 0).then_some(wire.expires_at),
        reached: reached.map(|level| level.name().to_owned()),
        asked: wire.asked,
        answered: wire.answered,
        superseded_by: (wire.superseded_by != 0).then_some(wire.superseded_by),
        repaired: wire.repaired,
        hinted: wire.hinted,
        degraded: wire.degraded,
    }
}

fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!(
        "{}",
        if status.message().is_empty() { status.code().description() } else { status.message() }
    )
}
