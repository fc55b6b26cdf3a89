//! Whoever opens a peer stream and cannot prove to be a peer.

use crate::cluster::{TestCluster, eventually};
use shoal_node::limits;
use shoal_proto::wire::replica::v1::{
    Hello, LinkRequest, LinkResponse, link_request, link_response, replica_client::ReplicaClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// A stream of a peer, and what was sent on it; it ends when this is dropped.
struct Peer {
    _requests: mpsc::Sender<LinkRequest>,
    replies: Streaming<LinkResponse>,
}

async fn client(cluster: &TestCluster) -> ReplicaClient<Channel> {
    let address = cluster.nodes[0].config.listen.grpc;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    ReplicaClient::new(channel)
}

async fn open(client: &mut ReplicaClient<Channel>, first: Option<Hello>) -> Result<Peer, Status> {
    let (requests, stream) = mpsc::channel(4);
    if let Some(hello) = first {
        requests.send(LinkRequest { body: Some(link_request::Body::Hello(hello)) }).await.unwrap();
    }
    let replies = client.link(ReceiverStream::new(stream)).await?.into_inner();
    Ok(Peer { _requests: requests, replies })
}

/// A hello that is sound but for its nonce.
fn hello(cluster: &TestCluster, nonce: usize) -> Hello {
    let config = &cluster.nodes[0].config;
    Hello {
        cluster: config.cluster.clone(),
        target_node_id: config.node_id.to_string(),
        nonce: vec![0; nonce].into(),
        ..Hello::default()
    }
}

async fn rejection(cluster: &TestCluster, nonce: usize) -> String {
    let mut peer = open(&mut client(cluster).await, Some(hello(cluster, nonce))).await.unwrap();
    match peer.replies.message().await.unwrap().and_then(|reply| reply.body) {
        Some(link_response::Body::Rejected(rejected)) => rejected.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_message_that_is_no_greeting_is_not_read_to_its_end() {
    let cluster = TestCluster::start(1).await;
    let broken = "peer broke the handshake: ";
    let read = limits::UNPROVEN_PEER_BYTES - 1024;
    assert_eq!(rejection(&cluster, read).await, format!("{broken}nonce of the wrong length"));
    let unread = limits::UNPROVEN_PEER_BYTES + 1;
    assert_eq!(rejection(&cluster, unread).await, format!("{broken}expected a hello"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_prove_themselves_at_once_and_the_next_have_their_places() {
    let cluster = TestCluster::start(1).await;
    let mut silent = Vec::new();
    for _ in 0..limits::UNPROVEN_PEERS / 16 {
        let mut client = client(&cluster).await;
        for _ in 0..16 {
            silent.push(open(&mut client, None).await.unwrap());
        }
    }
    let mut client = client(&cluster).await;
    let refused = open(&mut client, None).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    drop(silent);
    eventually("a place is free again", async || open(&mut client, None).await.is_ok()).await;
}
