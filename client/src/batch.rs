//! Many keys at once. Each is a call of its own: it goes to its own owners and has an answer of its own.

use crate::config::BATCH_IN_FLIGHT;
use crate::{CallOptions, Client, ClientError, Deleted, Found, Stored};
use futures::{StreamExt as _, stream};
use shoal_proto::types::{Key, Value};
use std::time::Duration;

impl Client {
    /// Reads many keys. The answers come in the order of the keys.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = Key>,
        options: &CallOptions,
    ) -> Vec<Result<Found, ClientError>> {
        all(keys.into_iter().map(|key| self.get(key, options))).await
    }

    /// Stores many values, for `ttl` if there is one. The answers come in the order of the entries. Of values for the
    /// same key any may win.
    pub async fn set_many(
        &self,
        entries: impl IntoIterator<Item = (Key, Value)>,
        ttl: Option<Duration>,
        options: &CallOptions,
    ) -> Vec<Result<Stored, ClientError>> {
        all(entries.into_iter().map(|(key, value)| self.set(key, value, ttl, options))).await
    }

    /// Deletes many keys. The answers come in the order of the keys.
    pub async fn delete_many(
        &self,
        keys: impl IntoIterator<Item = Key>,
        options: &CallOptions,
    ) -> Vec<Result<Deleted, ClientError>> {
        all(keys.into_iter().map(|key| self.delete(key, options))).await
    }
}

async fn all<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    stream::iter(calls).buffered(BATCH_IN_FLIGHT).collect().await
}
