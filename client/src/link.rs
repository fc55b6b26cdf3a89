use crate::ClientError;
use crate::config::{KEEP_ALIVE, MAX_MESSAGE_BYTES};
use shoal_proto::wire::kv::v1::{PipelineRequest, PipelineResponse, kv_client::KvClient};
use std::{error::Error, iter, time::Duration};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// An open pipeline to one node.
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) requests: mpsc::Sender<PipelineRequest>,
    pub(crate) replies: Streaming<PipelineResponse>,
}

/// Opens links, to the addresses in turn.
pub(crate) struct Dialler {
    addresses: Vec<String>,
    patience: Duration,
    next: usize,
}

impl Dialler {
    pub(crate) fn new(addresses: Vec<String>, patience: Duration) -> Self {
        Self { addresses, patience, next: 0 }
    }

    /// Tries every address once, beginning after the one that was dialled last.
    pub(crate) async fn dial(&mut self) -> Result<Link, ClientError> {
        let mut attempts = Vec::new();
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[self.next % self.addresses.len()];
            self.next += 1;
            let opened = timeout(self.patience, open(address)).await;
            match opened.unwrap_or_else(|_| Err(format!("no answer within {} ms", self.patience.as_millis())))
            {
                Ok(link) => {
                    tracing::debug!(address, "connected");
                    return Ok(link);
                }
                Err(why) => attempts.push((address.clone(), why)),
            }
        }
        Err(ClientError::Connect { attempts })
    }
}

async fn open(address: &str) -> Result<Link, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| describe(&error))?;
    let endpoint = endpoint
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect().await.map_err(|error| describe(&error))?;
    let mut kv = KvClient::new(channel.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    // One message on its way is enough: calls that come meanwhile travel together in the next.
    let (requests, stream) = mpsc::channel(1);
    let replies =
        kv.pipeline(ReceiverStream::new(stream)).await.map_err(|status| status.message().to_owned())?;
    Ok(Link { channel, requests, replies: replies.into_inner() })
}

/// An error with its causes: tonic's own text says only that there was one.
fn describe(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> =
        iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}
