//! The joint with the client crate: one client, answers in the history's words.

use crate::{
    content::{self, WriteId},
    history::{Action, Answer},
};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Routing};
use shoal_proto::types::{Consistency, Tag};
use std::time::Duration;
use tokio::time::timeout;

/// How long after its timeout a call may still return before the harness gives it up.
const GIVE_UP: Duration = Duration::from_secs(10);

/// One call to make.
pub(crate) struct Call {
    /// What to do.
    pub(crate) action: Action,
    /// To which key, and the name of the value if there is one to write.
    pub(crate) write: WriteId,
    /// About how many bytes to write.
    pub(crate) size: usize,
    /// The level to ask for.
    pub(crate) level: Consistency,
}

/// A client that is connected.
pub(crate) struct Session {
    client: Client,
    /// The number of the node all its calls go to; `None` when it chooses by itself.
    pub(crate) node: Option<usize>,
    call_timeout: Duration,
}

impl Session {
    /// Connects to a node.
    pub(crate) async fn open(
        node: usize,
        address: String,
        call_timeout: Duration,
    ) -> Result<Self, ClientError> {
        let config = ClientConfig { routing: Routing::Contact, ..config(call_timeout, 0) };
        let client = Client::connect(&[address], config).await?;
        Ok(Self { client, node: Some(node), call_timeout })
    }

    /// Connects a client that routes by itself. All its randomness is drawn from `seed`.
    pub(crate) async fn route(
        addresses: &[String],
        call_timeout: Duration,
        hedge_after: Option<Duration>,
        seed: u64,
    ) -> Result<Self, ClientError> {
        let config = ClientConfig { hedge_after, ..config(call_timeout, seed) };
        let client = Client::connect(addresses, config).await?;
        Ok(Self { client, node: None, call_timeout })
    }

    /// Makes a call.
    pub(crate) async fn call(&self, call: &Call) -> Answer {
        match timeout(self.call_timeout + GIVE_UP, self.answer(call)).await {
            Ok(answer) => answer.unwrap_or_else(|error| failed(call, &error)),
            Err(_) => Answer::Failed { maybe: true, error: "the client never returned".to_owned() },
        }
    }

    async fn answer(&self, call: &Call) -> Result<Answer, ClientError> {
        let options = CallOptions {
            consistency: Some(call.level),
            timeout: Some(self.call_timeout),
            ..CallOptions::default()
        };
        let key = call.write.key.to_key();
        Ok(match call.action {
            Action::Read => {
                let found = self.client.get(key, &options).await?;
                let reached = found.outcome.reached;
                match found.value {
                    Some(value) => Answer::Hit {
                        content: content::decode(&value),
                        tag: tag_of(found.outcome.tag)?,
                        expires_at: found.outcome.expires_at,
                        reached,
                    },
                    None => Answer::Miss { tag: found.outcome.tag, reached },
                }
            }
            Action::Write { ttl } => {
                let value = content::encode(call.write, call.size);
                acknowledged(self.client.set(key, value, ttl, &options).await?.outcome)?
            }
            Action::Delete => acknowledged(self.client.delete(key, &options).await?.outcome)?,
            Action::Flush => Answer::Acknowledged {
                tag: self.client.flush().await?.tag,
                expires_at: None,
                superseded_by: None,
                reached: Consistency::All,
            },
        })
    }
}

fn config(call_timeout: Duration, seed: u64) -> ClientConfig {
    ClientConfig {
        timeout: call_timeout,
        connect_timeout: call_timeout,
        seed: Some(seed),
        ..ClientConfig::default()
    }
}

fn acknowledged(outcome: shoal_client::Outcome) -> Result<Answer, ClientError> {
    Ok(Answer::Acknowledged {
        tag: tag_of(outcome.tag)?,
        expires_at: outcome.expires_at,
        superseded_by: outcome.superseded_by,
        reached: outcome.reached,
    })
}

fn tag_of(tag: Option<Tag>) -> Result<Tag, ClientError> {
    tag.ok_or_else(|| ClientError::Protocol("a value or an acknowledgement without its tag".to_owned()))
}

fn failed(call: &Call, error: &ClientError) -> Answer {
    Answer::Failed { maybe: call.action != Action::Read && error.maybe(), error: error.to_string() }
}
