//! The one place where a command talks to a cluster.

use super::{key_commands::Target, token};
use serde::Serialize;
use shoal_client::{
    CallOptions, Client, ClientConfig, ClientError, Consistency, Deleted, Explanation, Flushed, Found, Key,
    Routing, Scanned, Tag, Topology, Touched, Value,
};
use std::time::Duration;

/// Longer than nodes take by default, so that a node's own reason arrives before we give up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Said before the reasons why no node was reached.
const UNREACHED: &str = "is a node running there, and is this its gRPC address (by default port 7381)?";

/// Said before them when a node wants to hear TLS.
const SECURED: &str = "does the node speak TLS? then give --tls-ca (or SHOAL_TLS_CA) with the CA to trust";

/// A cluster, through one of its nodes.
pub(crate) struct Remote {
    client: Client,
    options: CallOptions,
}

/// What an answer was worth, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    tag: Option<u64>,
    expires_at_unix_ms: Option<u64>,
    reached: &'static str,
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
    /// When none does; tells why of each. When the one that does asks for another token.
    pub(crate) async fn connect(target: &Target, consistency: Option<Consistency>) -> anyhow::Result<Self> {
        // Whoever names a node wants that one to answer, and may not reach the others.
        let config = ClientConfig {
            timeout: PATIENCE,
            tls: target.tls.config()?,
            token: target.token.token()?,
            routing: Routing::Contact,
            ..ClientConfig::default()
        };
        let is_plain = config.tls.is_none();
        let client =
            Client::connect(&target.node, config).await.map_err(|error| unreached(error, is_plain))?;
        Ok(Self { client, options: CallOptions { consistency, ..CallOptions::default() } })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// What the cluster could not do.
    pub(crate) async fn get(&self, key: Key) -> anyhow::Result<Found> {
        Ok(self.client.get(key, &self.options).await?)
    }

    /// Reads many keys, each for itself; the answers stand in their order.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<anyhow::Result<Found>> {
        let found = self.client.get_many(keys.iter().cloned(), &self.options).await;
        found.into_iter().map(|found| Ok(found?)).collect()
    }

    /// Stores a value.
    ///
    /// # Errors
    /// What the cluster could not do, and whether the write may still take effect.
    pub(crate) async fn set(&self, key: Key, value: Value, ttl: Option<Duration>) -> anyhow::Result<Outcome> {
        let stored = self.client.set(key, value, ttl, &self.options).await.map_err(write_failed)?;
        Ok(stored.outcome.into())
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// What the cluster could not do, and whether the delete may still take effect.
    pub(crate) async fn delete(&self, key: Key) -> anyhow::Result<Deleted> {
        self.client.delete(key, &self.options).await.map_err(write_failed)
    }

    /// Changes when a key expires: after `ttl`, or never.
    ///
    /// # Errors
    /// What the cluster could not do, and whether the change may still take effect.
    pub(crate) async fn expire(&self, key: Key, ttl: Option<Duration>) -> anyhow::Result<Touched> {
        self.client.expire(key, ttl, &self.options).await.map_err(write_failed)
    }

    /// What every owner of a key holds.
    ///
    /// # Errors
    /// When the node does not tell.
    pub(crate) async fn explain(&self, key: Key) -> anyhow::Result<Explanation> {
        Ok(self.client.explain(key).await?)
    }

    /// Drops everything.
    ///
    /// # Errors
    /// How far that got.
    pub(crate) async fn flush(&self) -> anyhow::Result<Flushed> {
        Ok(self.client.flush().await?)
    }

    /// Takes a step of a walk over all keys.
    ///
    /// # Errors
    /// What the cluster could not do.
    pub(crate) async fn scan(
        &self,
        cursor: u64,
        pattern: Option<&[u8]>,
        count: u32,
    ) -> anyhow::Result<Scanned> {
        Ok(self.client.scan(cursor, pattern, count).await?)
    }

    /// The ring as the node has it.
    ///
    /// # Errors
    /// When the node does not tell.
    pub(crate) async fn ring(&self) -> anyhow::Result<Topology> {
        Ok(self.client.fetch_topology().await?)
    }

    /// The cluster as the node sees it.
    ///
    /// # Errors
    /// When the node does not tell.
    pub(crate) async fn status(&self) -> anyhow::Result<shoal_client::Status> {
        Ok(self.client.status().await?)
    }
}

impl From<shoal_client::Outcome> for Outcome {
    fn from(outcome: shoal_client::Outcome) -> Self {
        Self {
            tag: outcome.tag.map(Tag::to_bits),
            expires_at_unix_ms: outcome.expires_at.map(|at| at.0),
            reached: outcome.reached.name(),
            asked: outcome.asked,
            answered: outcome.answered,
            superseded_by: outcome.superseded_by.map(Tag::to_bits),
            repaired: outcome.repaired,
            hinted: outcome.hinted,
            degraded: outcome.degraded,
        }
    }
}

fn unreached(error: ClientError, is_plain: bool) -> anyhow::Error {
    let what = match &error {
        ClientError::Unauthenticated(_) => token::HINT,
        error if is_plain && error.to_string().contains("speaks TLS") => SECURED,
        _ => UNREACHED,
    };
    anyhow::Error::from(error).context(what)
}

fn write_failed(error: ClientError) -> anyhow::Error {
    let maybe = error.maybe();
    let error = anyhow::Error::from(error);
    if maybe { error.context("the write may or may not take effect") } else { error }
}
