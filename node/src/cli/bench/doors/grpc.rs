//! Shoal's own client, as an application uses it: one for all.

use super::{CONNECT_TIMEOUT, Failure};
use crate::cli::{
    bench::options::Plan,
    token::{HINT, Secret},
};
use bytes::Bytes;
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Key, Value};
use std::time::Duration;

/// The client. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    options: CallOptions,
}

impl Connection {
    /// Reaches one of the nodes.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn open(plan: &Plan) -> anyhow::Result<Self> {
        let nodes: Vec<String> = plan.nodes.iter().map(ToString::to_string).collect();
        let config = ClientConfig {
            timeout: plan.timeout,
            token: plan.secret.as_ref().map(Secret::token).transpose()?,
            connect_timeout: CONNECT_TIMEOUT.min(plan.timeout),
            tls: plan.tls.config()?,
            ..ClientConfig::default()
        };
        let client = Client::connect(&nodes, config).await.map_err(|error| match error {
            ClientError::Unauthenticated(_) => anyhow::Error::from(error).context(HINT),
            error => error.into(),
        })?;
        Ok(Self { client, options: CallOptions { consistency: plan.consistency, ..CallOptions::default() } })
    }

    /// The same, once a node answers.
    ///
    /// # Errors
    /// When none does.
    pub(crate) async fn reach(&self) -> anyhow::Result<Self> {
        self.client.status().await?;
        Ok(self.clone())
    }

    /// Reads a key; `None` on a miss.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        let found = self.client.get(name(key)?, &self.options).await.map_err(failure)?;
        Ok(found.value.map(Value::into_bytes))
    }

    /// Writes a key.
    pub(crate) async fn set(&self, key: &str, value: Vec<u8>, ttl: Option<Duration>) -> Result<(), Failure> {
        let value = Value::new(value).map_err(|_| Failure::refused("invalid"))?;
        self.client.set(name(key)?, value, ttl, &self.options).await.map_err(failure)?;
        Ok(())
    }
}

fn name(key: &str) -> Result<Key, Failure> {
    Key::new(key.to_owned()).map_err(|_| Failure::refused("invalid"))
}

fn failure(error: ClientError) -> Failure {
    match error {
        ClientError::Connect { .. } => Failure::lost("cannot connect"),
        ClientError::Disconnected { .. } => Failure::lost("connection lost"),
        // The client goes on with other nodes by itself.
        ClientError::Timeout { .. } => Failure::refused("no answer in time"),
        ClientError::Unavailable { .. } => Failure::refused("unavailable"),
        ClientError::Unauthenticated(_) => Failure::refused("unauthenticated"),
        ClientError::PermissionDenied(_) => Failure::refused("permission denied"),
        ClientError::Overloaded(_) => Failure::refused("overloaded"),
        ClientError::NotReady(_) => Failure::refused("not ready"),
        ClientError::TagAhead(_) => Failure::refused("tag ahead"),
        ClientError::TagFlushed(_) => Failure::refused("tag flushed"),
        ClientError::OutOfMemory { .. } => Failure::refused("out of memory"),
        ClientError::Invalid(_) => Failure::refused("invalid"),
        ClientError::Protocol(_) => Failure::refused("malformed answer"),
    }
}
