//! Read-through: a value that is missing is loaded once, however many ask for it.

mod flights;
mod refresh;

pub(crate) use flights::Loads;

use crate::{CallOptions, Client, ClientError, Found, Outcome};
use flights::{Boarding, Flight};
use shoal_proto::types::{Key, Value};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A value that was read or loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The value.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The cluster had it.
    Cache(Outcome),
    /// This call loaded it. What became of storing it; the error of the read, if that was what failed.
    Loader(Result<Outcome, ClientError>),
    /// Another call of this client, at the same time, loaded it.
    Shared,
}

/// Why there is no value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The call can never succeed as it is, or too many keys are being loaded. Nothing was loaded.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The loader failed; everybody who waited for it is told the same.
    #[error("the value could not be loaded: {0}")]
    Loader(Arc<dyn Error + Send + Sync>),
}

impl Client {
    /// Reads a key; on a miss calls `loader`, stores what it returns for `ttl`, and returns it.
    ///
    /// Calls for one key that miss at the same time share one load. If it fails, all of them are told; if the call that
    /// does it is dropped, another one of them loads instead. A value that is about to expire is loaded anew in the
    /// background while callers get the present one: the sooner it expires, the longer loads have taken and the more
    /// callers there are, the likelier, so that the expiry of a key that many read costs about one load.
    ///
    /// A cluster that cannot be asked does not prevent the load: [`Loaded::source`] says what was wrong.
    /// [`CallOptions::tag`] is ignored, since each load is a new write.
    ///
    /// ```no_run
    /// # use shoal_client::{CallOptions, Client, Key, LoadError, Value};
    /// # use std::time::Duration;
    /// # async fn query() -> std::io::Result<String> { Ok(String::new()) }
    /// # async fn example(client: &Client, key: Key) -> Result<Value, LoadError> {
    /// let ttl = Some(Duration::from_secs(60));
    /// let load = || async { std::io::Result::Ok(Value::new(query().await?).map_err(std::io::Error::other)?) };
    /// Ok(client.get_or_load(key, ttl, &CallOptions::default(), load).await?.value)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn get_or_load<F, L, E>(
        &self,
        key: Key,
        ttl: Option<Duration>,
        options: &CallOptions,
        loader: F,
    ) -> Result<Loaded, LoadError>
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Value, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let loads = &self.shared.loads;
        let ended = loads.ended();
        let unread = match self.get(key.clone(), options).await {
            Ok(Found { value: Some(value), outcome }) => {
                if outcome.ttl.is_some_and(|left| loads.is_due(left)) {
                    self.load_early(key, ttl, *options, loader);
                }
                return Ok(Loaded { value, source: Source::Cache(outcome) });
            }
            Ok(Found { value: None, .. }) => None,
            Err(error @ ClientError::Invalid(_)) => return Err(error.into()),
            Err(error) => Some(error),
        };
        let flight = loop {
            match loads.board(&key) {
                Boarding::Lead(flight) => break flight,
                Boarding::Join(passage) => {
                    if let Some(landed) = passage.landed().await {
                        self.shared.counters.shared_loads.count();
                        let value = landed.map_err(LoadError::Loader)?;
                        return Ok(Loaded { value, source: Source::Shared });
                    }
                }
                Boarding::Full => {
                    let why = "too many keys are being loaded";
                    return Err(ClientError::Overloaded(why.into()).into());
                }
            }
        };
        // A load that ended since the miss may have been of this key.
        if unread.is_none()
            && loads.ended() != ended
            && let Ok(Found { value: Some(value), outcome }) = self.get(key.clone(), options).await
        {
            return Ok(Loaded { value, source: Source::Cache(outcome) });
        }
        self.load(flight, key, ttl, options, unread, loader).await
    }

    /// Loads a value anew in the background, unless somebody already does.
    fn load_early<F, L, E>(&self, key: Key, ttl: Option<Duration>, options: CallOptions, loader: F)
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Value, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let Boarding::Lead(flight) = self.shared.loads.board(&key) else { return };
        self.shared.counters.early_loads.count();
        let client = self.clone();
        tokio::spawn(async move {
            match client.load(flight, key, ttl, &options, None, loader).await {
                Ok(Loaded { source: Source::Loader(Err(error)), .. }) => {
                    tracing::debug!(%error, "a value loaded early was not stored");
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "early load failed"),
            }
        });
    }

    /// Loads a value, hands it to everybody who waits, and stores it, unless the read had failed with `unread`.
    async fn load<F, L, E>(
        &self,
        flight: Flight,
        key: Key,
        ttl: Option<Duration>,
        options: &CallOptions,
        unread: Option<ClientError>,
        loader: F,
    ) -> Result<Loaded, LoadError>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<Value, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.shared.counters.loads.count();
        let begun = Instant::now();
        let landed = loader().await.map_err(|error| Arc::from(error.into()));
        flight.land(landed.clone(), begun.elapsed());
        let value = landed.map_err(LoadError::Loader)?;
        let stored = match unread {
            Some(error) => Err(error),
            None => {
                let options = CallOptions { tag: None, ..*options };
                self.set(key, value.clone(), ttl, &options).await.map(|stored| stored.outcome)
            }
        };
        // Until here whoever misses joins this load.
        drop(flight);
        Ok(Loaded { value, source: Source::Loader(stored) })
    }
}
