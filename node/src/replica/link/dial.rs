//! Opens streams.

use super::{CONNECT, LinkError, MESSAGES_AHEAD, rejection};
use crate::{
    limits,
    replica::handshake::{Identity, NONCE_BYTES, Proven},
    tls::{self, Tls},
};
use rand::{Rng as _, rngs::StdRng};
use shoal_membership::Cluster;
use shoal_proto::{
    types::NodeId,
    wire::replica::v1::{
        self as wire, LinkRequest, LinkResponse, link_request, link_response, replica_client::ReplicaClient,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};

/// Opens streams to one peer.
pub(super) struct Dialler {
    pub(super) target: NodeId,
    pub(super) identity: Identity,
    /// Tells when they change after a stream was begun to be opened.
    secrets: watch::Receiver<Arc<[String]>>,
    tls: Option<Arc<Tls>>,
    cluster: Arc<Cluster>,
    rng: StdRng,
}

/// A stream on which both sides have proven themselves.
pub(super) struct Stream {
    pub(super) outbound: mpsc::Sender<LinkRequest>,
    pub(super) inbound: Streaming<LinkResponse>,
    /// What the peer has proven.
    pub(super) proven: Proven,
}

impl Dialler {
    pub(super) fn new(
        target: NodeId,
        identity: Identity,
        tls: Option<Arc<Tls>>,
        cluster: Arc<Cluster>,
        rng: StdRng,
    ) -> Self {
        let secrets = identity.secrets.subscribe();
        Self { target, identity, secrets, tls, cluster, rng }
    }

    /// Opens a stream.
    pub(super) async fn dial(&mut self) -> Result<Stream, LinkError> {
        self.secrets.mark_unchanged();
        tokio::time::timeout(CONNECT, self.connect()).await.unwrap_or(Err(LinkError::ConnectTimeout))
    }

    /// Waits until the secrets are others than those that the last stream was opened under.
    pub(super) async fn secrets_changed(&mut self) {
        // An error says that nobody is left who could replace them.
        if self.secrets.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits for about `backoff`.
    pub(super) async fn pause(&mut self, backoff: Duration) {
        let pause = backoff.mul_f64(0.5 + f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        tokio::time::sleep(pause).await;
    }

    async fn connect(&mut self) -> Result<Stream, LinkError> {
        let view = self.cluster.view();
        let member = view.members().iter().find(|m| m.node_id == self.target).map(|m| m.peer_address.clone());
        let address = member
            .or_else(|| view.nodes().get(&self.target).map(|node| node.addresses.grpc.clone()))
            .filter(|address| !address.is_empty())
            .ok_or(LinkError::NoAddress)?;
        let endpoint = self.endpoint(&address)?;
        let mut client = ReplicaClient::new(endpoint.connect().await?)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        let (outbound, messages) = mpsc::channel(MESSAGES_AHEAD);
        let mut nonce = [0; NONCE_BYTES];
        self.rng.fill_bytes(&mut nonce);
        let cluster_id = view.record().map_or(0, |record| record.cluster_id());
        let hello = self.identity.hello(&self.target, cluster_id, nonce);
        send(&outbound, link_request::Body::Hello(hello.clone())).await?;
        let mut inbound = client.link(ReceiverStream::new(messages)).await?.into_inner();
        let challenge = match inbound.message().await?.and_then(|m| m.body) {
            Some(link_response::Body::Challenge(challenge)) => challenge,
            other => return Err(rejection(other)),
        };
        let (proof, proven) = self.identity.answer(&hello, &challenge)?;
        self.identity.check_incarnation(&self.cluster, &self.target, challenge.generation)?;
        send(&outbound, link_request::Body::Proof(wire::Proof { proof: proof.into() })).await?;
        match inbound.message().await?.and_then(|m| m.body) {
            Some(link_response::Body::Welcome(wire::Welcome {})) => Ok(Stream { outbound, inbound, proven }),
            other => Err(rejection(other)),
        }
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, LinkError> {
        let endpoint = match &self.tls {
            None => Endpoint::from_shared(format!("http://{address}"))?,
            Some(tls) => {
                Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls.dialling(address))?
            }
        };
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024);
        Ok(endpoint)
    }
}

impl From<tonic::transport::Error> for LinkError {
    fn from(error: tonic::transport::Error) -> Self {
        match tls::fault(&error) {
            Some(fault) => Self::Tls(fault),
            None => Self::Connect(tls::with_causes(&error)),
        }
    }
}

async fn send(outbound: &mpsc::Sender<LinkRequest>, body: link_request::Body) -> Result<(), LinkError> {
    outbound.send(LinkRequest { body: Some(body) }).await.map_err(|_| LinkError::Closed)
}
