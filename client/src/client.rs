use crate::call::{Answer, Call, Job};
use crate::config::{CallOptions, ClientConfig, MAX_MESSAGE_BYTES, MAX_TIMEOUT, QUEUED_CALLS};
use crate::link::Dialler;
use crate::{ClientError, Outcome, Status, driver};
use shoal_proto::types::{Key, Tag, Value};
use shoal_proto::wire::admin::v1::{StatusRequest, admin_client::AdminClient};
use shoal_proto::wire::kv::v1::{self as kv, operation::Op};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None` on a miss.
    pub value: Option<Value>,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// A live value was present on an owner that answered.
    pub existed: bool,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a change of expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// There was a live value whose expiry could be changed.
    pub existed: bool,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// A connection to a cluster. Clones share it.
///
/// Calls are sent to one node. When the connection to it breaks, calls that were sent fail with
/// [`ClientError::Disconnected`], and the next call connects to the next address. A write that was sent is never sent
/// again: [`ClientError::maybe`] says whether it may have taken effect. Repeating it with the same
/// [`CallOptions::tag`] is safe; repeating it without one is a new write.
#[derive(Debug, Clone)]
pub struct Client {
    jobs: mpsc::Sender<Job>,
    config: ClientConfig,
}

impl Client {
    /// Connects to the first of `addresses` (gRPC `host:port` of nodes) that answers.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when none does.
    pub async fn connect(addresses: &[String], config: ClientConfig) -> Result<Self, ClientError> {
        let mut dialler = Dialler::new(addresses.to_vec(), config.connect_timeout);
        let link = dialler.dial().await?;
        let (jobs, queue) = mpsc::channel(QUEUED_CALLS);
        tokio::spawn(driver::run(dialler, link, queue));
        Ok(Self { jobs, config })
    }

    /// Reads a key. A miss is an answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, key: Key, options: &CallOptions) -> Result<Found, ClientError> {
        let request = kv::GetRequest { key: key.into_bytes(), consistency: level(options), deadline_ms: 0 };
        match self.call(Op::Get(request), options).await? {
            Answer::Get(got) => {
                let value = got.value.map(Value::new).transpose();
                let value = value.map_err(|error| ClientError::Protocol(error.to_string()))?;
                Ok(Found { value, outcome: got.outcome.try_into()? })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Stores a value, for `ttl` if there is one, else until it is evicted. A TTL counts in whole milliseconds.
    ///
    /// # Errors
    /// See [`ClientError`]; a TTL of zero is [`ClientError::Invalid`].
    pub async fn set(
        &self,
        key: Key,
        value: Value,
        ttl: Option<Duration>,
        options: &CallOptions,
    ) -> Result<Stored, ClientError> {
        let request = kv::SetRequest {
            key: key.into_bytes(),
            value: value.into_bytes(),
            ttl_ms: ttl.map_or(Ok(0), ttl_ms)?,
            consistency: level(options),
            deadline_ms: 0,
            tag: tag(options),
        };
        match self.call(Op::Set(request), options).await? {
            Answer::Set(stored) => Ok(Stored { outcome: stored.outcome.try_into()? }),
            other => Err(unexpected(other)),
        }
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete(&self, key: Key, options: &CallOptions) -> Result<Deleted, ClientError> {
        let request = kv::DeleteRequest {
            key: key.into_bytes(),
            consistency: level(options),
            deadline_ms: 0,
            tag: tag(options),
        };
        match self.call(Op::Delete(request), options).await? {
            Answer::Delete(deleted) => {
                Ok(Deleted { existed: deleted.existed, outcome: deleted.outcome.try_into()? })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Changes when a key expires, to `ttl` from now or to never, without touching its value. A change of expiry keeps
    /// the value's tag, so it never beats a write it did not see.
    ///
    /// # Errors
    /// See [`ClientError`]; a TTL of zero is [`ClientError::Invalid`].
    pub async fn expire(
        &self,
        key: Key,
        ttl: Option<Duration>,
        options: &CallOptions,
    ) -> Result<Touched, ClientError> {
        let request = kv::ExpireRequest {
            key: key.into_bytes(),
            ttl_ms: ttl.map_or(Ok(0), ttl_ms)?,
            consistency: level(options),
            deadline_ms: 0,
        };
        match self.call(Op::Expire(request), options).await? {
            Answer::Expire(touched) => {
                Ok(Touched { existed: touched.existed, outcome: touched.outcome.try_into()? })
            }
            other => Err(unexpected(other)),
        }
    }

    /// The cluster as the connected node sees it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        let answer = self.over_channel(async |channel| {
            let mut admin = AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            admin.status(StatusRequest {}).await
        });
        answer.await?.into_inner().try_into()
    }

    /// Makes a unary call on the channel of the live connection, within the client's timeout.
    pub(crate) async fn over_channel<T>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<T, tonic::Status>,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let (reply, channel) = oneshot::channel();
            let gone = ClientError::Disconnected { maybe: false };
            self.jobs.send(Job::Channel(reply)).await.map_err(|_| gone.clone())?;
            let channel = channel.await.map_err(|_| gone)??;
            call(channel).await.map_err(|status| ClientError::from_status(&status))
        };
        match timeout(self.config.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(self.config.timeout, false)),
        }
    }

    async fn call(&self, op: Op, options: &CallOptions) -> Result<Answer, ClientError> {
        let patience = options.timeout.unwrap_or(self.config.timeout).min(MAX_TIMEOUT);
        let is_write = !matches!(op, Op::Get(_));
        let (call, mut ticket) = Call::new(op, Instant::now() + patience);
        let exchange = async {
            // Should the driver be gone, the call is dropped and its ticket says so.
            let _ = self.jobs.send(Job::Call(call)).await;
            (&mut ticket.answer).await
        };
        match timeout(patience, exchange).await {
            Ok(Ok(Ok(Answer::Failure(failure)))) => Err(failure.into()),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ClientError::Disconnected { maybe: ticket.give_up() && is_write }),
            Err(_) => Err(timed_out(patience, ticket.give_up() && is_write)),
        }
    }
}

fn timed_out(patience: Duration, maybe: bool) -> ClientError {
    ClientError::Timeout { message: format!("no answer within {} ms", patience.as_millis()), maybe }
}

fn unexpected(answer: Answer) -> ClientError {
    let kind = match answer {
        Answer::Get(_) => "get",
        Answer::Set(_) => "set",
        Answer::Delete(_) => "delete",
        Answer::Expire(_) => "expire",
        Answer::Failure(_) => "failure",
    };
    ClientError::Protocol(format!("the answer to a {kind} came for another operation"))
}

fn level(options: &CallOptions) -> i32 {
    options.consistency.map_or(kv::Consistency::Unspecified, Into::into).into()
}

fn tag(options: &CallOptions) -> u64 {
    options.tag.map_or(0, Tag::to_bits)
}

/// On the wire zero means forever, so a short TTL is rounded up and one of zero refused.
fn ttl_ms(ttl: Duration) -> Result<u64, ClientError> {
    let millis = ttl.as_nanos().div_ceil(1_000_000);
    match u64::try_from(millis) {
        Ok(0) => Err(ClientError::Invalid("a ttl of zero stores nothing".into())),
        Ok(millis) => Ok(millis),
        Err(_) => Err(ClientError::Invalid(format!("ttl of {millis} ms is out of range"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_ttl_does_not_become_forever() {
        assert_eq!(ttl_ms(Duration::from_nanos(1)), Ok(1));
        assert_eq!(ttl_ms(Duration::from_micros(1_500)), Ok(2));
        assert_eq!(ttl_ms(Duration::from_secs(2)), Ok(2_000));
        assert!(matches!(ttl_ms(Duration::ZERO), Err(ClientError::Invalid(_))));
        assert!(matches!(ttl_ms(Duration::MAX), Err(ClientError::Invalid(_))));
    }
}
