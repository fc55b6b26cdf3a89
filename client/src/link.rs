use crate::TlsConfig;
use crate::config::{ClientConfig, KEEP_ALIVE, MAX_MESSAGE_BYTES};
use crate::error::{ClientError, Unreached};
use crate::heard::Heard;
use crate::token::{self, Token};
use shoal_proto::wire::kv::v1::{
    PipelineRequest, PipelineResponse, TopologyRequest, TopologyResponse, kv_client::KvClient,
};
use std::{error::Error, iter, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

/// An open pipeline to one node.
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) requests: mpsc::Sender<PipelineRequest>,
    pub(crate) replies: Streaming<PipelineResponse>,
}

/// A node's word on the topology: the first message, and the stream of those that follow whenever it changes.
pub(crate) struct Watch {
    pub(crate) first: TopologyResponse,
    pub(crate) changes: Streaming<TopologyResponse>,
}

/// How nodes are dialled.
#[derive(Clone)]
pub(crate) struct Manner {
    patience: Duration,
    token: Option<Token>,
    tls: Option<TlsConfig>,
}

impl From<&ClientConfig> for Manner {
    fn from(config: &ClientConfig) -> Self {
        Self { patience: config.connect_timeout, token: config.token.clone(), tls: config.tls.clone() }
    }
}

/// Opens links, to the addresses in turn.
pub(crate) struct Dialler {
    addresses: Vec<String>,
    manner: Manner,
    next: usize,
    /// Where what a node says before the first call goes; `None` asks for nothing.
    heard: Option<Arc<Heard>>,
}

impl Dialler {
    /// Takes whoever answers.
    pub(crate) fn new(addresses: Vec<String>, manner: Manner) -> Self {
        Self { addresses, manner, next: 0, heard: None }
    }

    /// Takes only nodes of the cluster of `heard`: an address may have been given to a node of another one.
    pub(crate) fn within(heard: Arc<Heard>, address: String, manner: Manner) -> Self {
        Self { heard: Some(heard), ..Self::new(vec![address], manner) }
    }

    /// Tries every address once, beginning after the one that was dialled last.
    pub(crate) async fn dial(&mut self) -> Result<Link, ClientError> {
        let mut attempts = Vec::new();
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[self.next % self.addresses.len()];
            self.next += 1;
            match self.manner.link(address, self.heard.as_deref()).await {
                Ok(link) => {
                    tracing::debug!(address, "connected");
                    return Ok(link);
                }
                Err(why) => attempts.push((address.clone(), why)),
            }
        }
        Err(ClientError::unreached(attempts))
    }
}

impl Watch {
    /// Asks the node at `address` for the topology; `None` when it does not know the question.
    pub(crate) async fn open(
        address: &str,
        manner: &Manner,
        heard: &Heard,
    ) -> Result<Option<Self>, Unreached> {
        manner.in_time(async { greet(&manner.channel(address).await?, manner, heard).await }).await
    }
}

impl Manner {
    async fn link(&self, address: &str, heard: Option<&Heard>) -> Result<Link, Unreached> {
        self.in_time(async {
            let channel = self.channel(address).await?;
            if let Some(heard) = heard {
                greet(&channel, self, heard).await?;
            }
            // One message on its way is enough: calls that come meanwhile travel together in the next.
            let (requests, stream) = mpsc::channel(1);
            let request = token::request(self.token.as_ref(), ReceiverStream::new(stream));
            let replies = client(&channel).pipeline(request).await?.into_inner();
            Ok(Link { channel, requests, replies })
        })
        .await
    }

    /// Puts what is behind an error of the transport into words, where that is known.
    fn explain(&self, why: String) -> String {
        let known = match &self.tls {
            // An alert of TLS, read as the head of a frame.
            None if why.contains("frame with invalid size") => {
                "the node speaks TLS, and this client does not"
            }
            // Whether that arrives before the connection is gone is a matter of luck.
            None if why.contains("operation was canceled") => {
                "the node hung up, perhaps because it speaks TLS, and this client does not"
            }
            Some(_) if why.contains("InvalidContentType") => {
                "the node does not speak TLS, and this client does"
            }
            Some(_) if why.contains("UnknownIssuer") => {
                "the node's certificate is not signed by a CA that is trusted"
            }
            Some(_) if why.contains("CertificateRequired") => "the node asks for a certificate of the client",
            Some(tls) if tls.identity.is_none() && why.contains("connection closed") => {
                "the node hung up, perhaps because it asks for a certificate of the client"
            }
            _ => return why,
        };
        format!("{known} ({why})")
    }

    async fn in_time<T>(&self, opening: impl Future<Output = Result<T, Unreached>>) -> Result<T, Unreached> {
        // Rare, and too large to lie in the future of every caller.
        let opened = timeout(self.patience, Box::pin(opening)).await;
        let opened = opened
            .unwrap_or_else(|_| Err(format!("no answer within {} ms", self.patience.as_millis()).into()));
        opened.map_err(|unreached| match unreached {
            Unreached::Other(why) => Unreached::Other(self.explain(why)),
            known => known,
        })
    }

    async fn channel(&self, address: &str) -> Result<Channel, String> {
        let connected = async {
            let endpoint = match &self.tls {
                None => Endpoint::from_shared(format!("http://{address}"))?,
                Some(tls) => {
                    Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls.dialling(address))?
                }
            };
            let endpoint = endpoint
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true);
            endpoint.connect().await
        };
        connected.await.map_err(|error| describe(&error))
    }
}

/// Learns the node's cluster, its clock and its topology.
async fn greet(channel: &Channel, manner: &Manner, heard: &Heard) -> Result<Option<Watch>, Unreached> {
    let asked = Instant::now();
    let mut changes =
        match client(channel).topology(token::request(manner.token.as_ref(), TopologyRequest {})).await {
            Ok(changes) => changes.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => return Err(status.into()),
        };
    let first = changes.message().await?;
    let first = first.ok_or_else(|| "the node ended the stream".to_owned())?;
    if !heard.admits(first.cluster_id) {
        return Err(format!("{} belongs to another cluster", first.node_id).into());
    }
    heard.clock(first.clock_ms, asked.elapsed());
    Ok(Some(Watch { first, changes }))
}

fn client(channel: &Channel) -> KvClient<Channel> {
    KvClient::new(channel.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// An error with its causes, each said once: tonic's own text says only that there was one.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in iter::successors(Some(error), |&error| error.source()) {
        let text = cause.to_string();
        if !causes.iter().any(|told| told.contains(&text)) {
            causes.push(text);
        }
    }
    causes.join(": ")
}
