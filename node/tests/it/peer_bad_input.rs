//! What a node makes of peers that do not belong, or do not speak as peers do.

use crate::cluster::{TestCluster, eventually};
use shoal_proto::wire::replica::v1::{
    Batch, Challenge, Hello, LinkRequest, LinkResponse, Proof, Request, link_request::Body,
    link_response::Body as Answer, replica_client::ReplicaClient,
};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Streaming, transport::Endpoint};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a stranger says, in turn, and how that ends: the reason it is told, or none if the stream just ends.
struct Case(&'static str, Vec<Body>, Option<&'static str>);

fn hello(cluster: &TestCluster, change: impl FnOnce(&mut Hello)) -> Body {
    let config = &cluster.nodes[0].config;
    let mut hello = Hello {
        cluster: config.cluster.clone(),
        cluster_id: 0,
        node_id: "stranger".into(),
        generation: 1,
        target_node_id: config.node_id.to_string(),
        nonce: vec![7; 16].into(),
        protocol_lowest: 1,
        protocol_highest: 1,
    };
    change(&mut hello);
    Body::Hello(hello)
}

fn cases(cluster: &TestCluster) -> Vec<Case> {
    let batch = || Body::Batch(Batch { requests: vec![Request::default()] });
    let proof = |len| Body::Proof(Proof { proof: vec![7; len].into() });
    let sound = |_: &mut Hello| ();
    vec![
        Case("work before a word", vec![batch()], Some("expected a hello")),
        Case("a proof of nothing", vec![proof(32)], Some("expected a hello")),
        Case(
            "another cluster",
            vec![hello(cluster, |hello| hello.cluster = "elsewhere".into())],
            Some("peer belongs to cluster 'elsewhere', this node to 'test'"),
        ),
        Case(
            "the same name, founded apart",
            vec![hello(cluster, |hello| hello.cluster_id = 7)],
            Some("they were founded separately"),
        ),
        Case(
            "somebody else's door",
            vec![hello(cluster, |hello| hello.target_node_id = "nobody".into())],
            Some("expected node nobody at this address"),
        ),
        Case(
            "half a nonce",
            vec![hello(cluster, |hello| hello.nonce = vec![7; 8].into())],
            Some("nonce of the wrong length"),
        ),
        Case(
            "a protocol to come",
            vec![hello(cluster, |hello| (hello.protocol_lowest, hello.protocol_highest) = (1000, 1001))],
            Some("peer speaks protocols 1000 to 1001"),
        ),
        Case("no proof", vec![hello(cluster, sound), batch()], Some("expected a proof")),
        Case(
            "an empty proof",
            vec![hello(cluster, sound), proof(0)],
            Some("does not know this cluster's secret"),
        ),
        Case(
            "a wrong proof",
            vec![hello(cluster, sound), proof(32)],
            Some("does not know this cluster's secret"),
        ),
        Case("an endless proof", vec![hello(cluster, sound), proof(1 << 20)], Some("expected a proof")),
        Case(
            "a name that cannot be",
            vec![hello(cluster, |hello| hello.node_id = "a b".into()), proof(32)],
            Some("does not know this cluster's secret"),
        ),
        Case(
            "countless requests",
            vec![Body::Batch(Batch { requests: vec![Request::default(); 2_000_000] })],
            Some("expected a hello"),
        ),
    ]
}

/// Says all of it, waiting for the challenge before a proof, and returns the last answer.
async fn say(cluster: &TestCluster, bodies: Vec<Body>) -> Option<Answer> {
    let address = cluster.nodes[0].config.listen.grpc;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let (says, said) = tokio::sync::mpsc::channel(4);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut client = ReplicaClient::new(channel).max_encoding_message_size(64 << 20);
    let mut heard: Streaming<LinkResponse> = client.link(said).await.unwrap().into_inner();
    let mut last = None;
    for body in bodies {
        // Sending to a node that has ended the stream already is no fault of the test's.
        let _ = says.send(LinkRequest { body: Some(body) }).await;
        match timeout(PATIENCE, heard.message()).await.expect("no answer") {
            Ok(Some(LinkResponse { body: Some(Answer::Challenge(Challenge { .. })) })) => {}
            Ok(answer) => last = answer.and_then(|answer| answer.body),
            Err(_) => return last,
        }
    }
    drop(says);
    while let Ok(Some(answer)) = timeout(PATIENCE, heard.message()).await.expect("the stream stays open") {
        last = answer.body;
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_told_why_and_get_no_further() {
    let cluster = TestCluster::start(2).await;
    for Case(what, bodies, expected) in cases(&cluster) {
        let answer = say(&cluster, bodies).await;
        let reason = match &answer {
            Some(Answer::Rejected(rejected)) => Some(rejected.reason.as_str()),
            None => None,
            other => panic!("{what}: {other:?}"),
        };
        match (reason, expected) {
            (Some(reason), Some(expected)) => assert!(reason.contains(expected), "{what}: {reason:?}"),
            (reason, expected) => assert_eq!(reason, expected, "{what}"),
        }
    }
    // Those that do belong were not disturbed.
    let mut client = cluster.connect(1).await;
    eventually("both owners answer", async || {
        let mut set = crate::cluster::at(shoal_proto::types::Consistency::All, "SET");
        set.arg("k").arg("v").query_async::<()>(&mut client).await.is_ok()
    })
    .await;
    assert!(cluster.held(0).len() == 1 && cluster.held(1).len() == 1);
}
