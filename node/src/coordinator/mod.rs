//! Runs a request over the owners of its key.

mod api;

pub use api::{CoordinatorError, ExistedReply, Expiry, GetReply, Outcome, RequestOptions, SetReply};

use shoal_proto::types::{Key, UnixMillis, Value};

/// SKELETON for the front ends to compile against; bodies follow.
pub struct Coordinator {}

impl Coordinator {
    /// The coordinator's hybrid clock reading: what TTLs count from and expiry is judged by.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }

    /// Answers a read at once if this node can alone; `None` when others must be asked (use [`Coordinator::get`]).
    pub fn try_get(&self, _key: &Key, _options: &RequestOptions) -> Option<Result<GetReply, CoordinatorError>> {
        None
    }

    /// Reads a key.
    pub async fn get(&self, _key: Key, _options: &RequestOptions) -> Result<GetReply, CoordinatorError> {
        Err(CoordinatorError::NotReady)
    }

    /// Stores a value at once if this node can alone; hands value back when others must be waited for.
    pub fn try_set(
        &self,
        _key: &Key,
        _value: &Value,
        _expiry: Expiry,
        _options: &RequestOptions,
    ) -> Option<Result<SetReply, CoordinatorError>> {
        None
    }

    /// Stores a value.
    pub async fn set(
        &self,
        _key: Key,
        _value: Value,
        _expiry: Expiry,
        _options: &RequestOptions,
    ) -> Result<SetReply, CoordinatorError> {
        Err(CoordinatorError::NotReady)
    }

    /// Deletes a key. Defaults to QUORUM, and falls back to ONE with a flag when a quorum is out of reach.
    pub async fn delete(&self, _key: Key, _options: &RequestOptions) -> Result<ExistedReply, CoordinatorError> {
        Err(CoordinatorError::NotReady)
    }

    /// Changes when a key expires: names the version it read and raises only the touch count.
    pub async fn expire(
        &self,
        _key: Key,
        _expiry: Expiry,
        _options: &RequestOptions,
    ) -> Result<ExistedReply, CoordinatorError> {
        Err(CoordinatorError::NotReady)
    }
}
