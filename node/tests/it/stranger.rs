//! Whoever talks to nodes as a peer would, under any secret.

use rand::{SeedableRng as _, rngs::StdRng};
use shoal_membership::{Secrets, gossip::seal::Sealer};
use shoal_node::{
    config::NodeConfig,
    replica::handshake::{Identity, NONCE_BYTES},
};
use shoal_proto::{
    types::NodeId,
    wire::replica::v1::{
        Batch, LinkRequest, LinkResponse, Proof, Request, link_request, link_response,
        replica_client::ReplicaClient, request,
    },
};
use std::{net::UdpSocket, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};
use tonic_real::transport::ClientTlsConfig;

const PATIENCE: Duration = Duration::from_secs(20);

/// A stream on which a node was told what a peer would say.
#[derive(Debug)]
pub(crate) struct Peer {
    requests: mpsc::Sender<LinkRequest>,
    replies: Streaming<LinkResponse>,
}

/// Dials a node; the text is the transport's complaint.
pub(crate) async fn dial(
    config: &NodeConfig,
    tls: Option<ClientTlsConfig>,
) -> Result<ReplicaClient<tonic::transport::Channel>, String> {
    let address = config.listen.grpc;
    let endpoint = match tls {
        None => Endpoint::from_shared(format!("http://{address}")).unwrap(),
        Some(tls) => Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap(),
    };
    Ok(ReplicaClient::new(endpoint.connect().await.map_err(|error| shoal_node::tls::with_causes(&error))?))
}

/// Proves to a node the first of `secrets` and accepts any.
pub(crate) async fn shake_hands(
    config: &NodeConfig,
    secrets: &[&str],
    tls: Option<ClientTlsConfig>,
) -> Result<Peer, String> {
    let me = Identity {
        cluster: config.cluster.clone(),
        secrets: Secrets::new(secrets.iter().copied()),
        node_id: NodeId::new("stranger").unwrap(),
        generation: 1,
    };
    let mut client = dial(config, tls).await?;
    let hello = me.hello(&config.node_id, 0, [7; NONCE_BYTES]);
    let (requests, stream) = mpsc::channel(4);
    let say = async |body| requests.send(LinkRequest { body: Some(body) }).await.unwrap();
    say(link_request::Body::Hello(hello.clone())).await;
    let replies = client.link(ReceiverStream::new(stream)).await.map_err(|status| status.to_string())?;
    let mut replies = replies.into_inner();
    let challenge = match next(&mut replies).await? {
        link_response::Body::Challenge(challenge) => challenge,
        other => return Err(format!("{other:?}")),
    };
    // One who does not know the secret goes on as if the node had proven it.
    let proof = me.answer(&hello, &challenge).map(|(proof, _)| proof).unwrap_or_else(|_| vec![0; 32]);
    say(link_request::Body::Proof(Proof { proof: proof.into() })).await;
    match next(&mut replies).await? {
        link_response::Body::Welcome(_) => Ok(Peer { requests, replies }),
        other => Err(format!("{other:?}")),
    }
}

async fn next(replies: &mut Streaming<LinkResponse>) -> Result<link_response::Body, String> {
    let reply = timeout(PATIENCE, replies.message()).await.expect("no answer");
    let reply = reply.map_err(|status| status.to_string())?;
    reply.and_then(|reply| reply.body).ok_or_else(|| "the stream has ended".to_owned())
}

impl Peer {
    /// Whether the node answers an operation.
    pub(crate) async fn is_served(&mut self) -> bool {
        let report = Request {
            id: 1,
            deadline_ms: 10_000,
            stamp: None,
            op: Some(request::Op::Report(Default::default())),
        };
        let batch = link_request::Body::Batch(Batch { requests: vec![report] });
        self.requests.send(LinkRequest { body: Some(batch) }).await.is_ok()
            && matches!(next(&mut self.replies).await, Ok(link_response::Body::Replies(_)))
    }
}

/// Sends a datagram as a node of the cluster would, sealed with `secret`.
pub(crate) async fn gossip(config: &NodeConfig, secret: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sealer = Sealer::new(&config.cluster, &[secret]);
    let datagram =
        sealer.seal(&mut StdRng::seed_from_u64(1), socket.local_addr().unwrap(), &[0; 100]).unwrap();
    socket.send_to(&datagram, config.listen.gossip).unwrap();
}
