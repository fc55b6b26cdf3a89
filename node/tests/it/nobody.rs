//! With TLS and authentication on, nobody who proves nothing is listened to: every door with every command, route and
//! method, every message of a peer stream, every class of datagram.

use crate::{
    auth::{APP, guarded},
    certificates::Authority,
    cluster::{TestCluster, eventually, start},
    ports::free_addresses,
    stranger,
    tls::{dial, trusting},
};
use http::uri::PathAndQuery;
use prost::Message as _;
use shoal_membership::{Secrets, env::MemoryState};
use shoal_node::{config::NodeConfig, tls::Stream};
use shoal_proto::{
    types::NodeId,
    wire::{
        DESCRIPTORS,
        replica::v1::{Batch, Hello, LinkRequest, Proof, Request, link_request, link_response, request::Op},
    },
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, transport::Endpoint};
use tonic_real::transport::{Certificate, Channel, ClientTlsConfig};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "a secret of the tests";

/// All that a stranger could have changed.
#[derive(Debug, PartialEq)]
struct State {
    held: Vec<(usize, Vec<(String, String)>)>,
    nodes: Vec<(String, u64)>,
    epoch: u64,
    requests: u64,
}

async fn secured(authority: &Authority) -> TestCluster {
    let cluster = TestCluster::start_with(2, |config| {
        guarded(config);
        config.tls = authority.tls();
    })
    .await;
    let mut client = dial(cluster.resp(0), trusting(authority)).await.unwrap();
    assert_eq!(ask(&mut client, &["AUTH", "app", APP]).await, "+OK\r\n");
    for n in 0..50 {
        assert_eq!(ask(&mut client, &["CL", "ALL", "SET", &format!("key {n}"), "v"]).await, "+OK\r\n");
    }
    cluster
}

fn state(cluster: &TestCluster) -> State {
    let held = |i: usize| {
        let mut held: Vec<_> = cluster.node(i).dump();
        held.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
        (i, held.into_iter().map(|(key, entry)| (format!("{key:?}"), format!("{entry:?}"))).collect())
    };
    let status = cluster.info(0).status();
    let nodes = status.nodes.iter().map(|node| (node.info.node_id.to_string(), node.info.generation));
    State {
        held: (0..2).map(held).collect(),
        nodes: nodes.collect(),
        epoch: status.epoch,
        requests: (0..2).map(|i| cluster.info(i).stats().requests).sum(),
    }
}

fn counted(cluster: &TestCluster, name: &str, labels: &str) -> u64 {
    cluster.metric(0, &format!("{name}{{{labels}}}"))
}

async fn ask(stream: &mut Stream<TcpStream>, words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    stream.write_all(&crate::raw::command(&words)).await.unwrap();
    let mut reply = vec![0; 64 * 1024];
    let count = timeout(PATIENCE, stream.read(&mut reply)).await.expect("no answer").unwrap();
    String::from_utf8_lossy(&reply[..count]).into_owned()
}

/// What comes back over a connection in the clear.
async fn plain(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.write_all(bytes).await;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("not closed");
    answer
}

/// At most the alert with which TLS says that it did not understand.
#[track_caller]
fn is_nothing(answer: &[u8], what: &str) {
    assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{what}: {answer:?}");
}

/// Tries a command with any number of words. Returns how often it was asked who says so.
async fn refused_commands(command: &str, words: &[&str], mut client: Stream<TcpStream>) -> u64 {
    // With these one proves oneself or leaves.
    if ["auth", "hello", "quit", "reset"].contains(&command) {
        return 0;
    }
    let mut asked = 0;
    for count in 1..=words.len() {
        let answer = ask(&mut client, &words[..count]).await;
        let is_asked = answer.starts_with("-NOAUTH");
        // Like Redis a node counts words before it asks who says them.
        let is_miscounted = answer.starts_with("-ERR wrong number of arguments");
        assert!(is_asked || is_miscounted, "{command}: {answer}");
        asked += u64::from(is_asked);
    }
    assert!(asked > 0, "{command} was never understood");
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_is_run_for_nobody() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    let (before, resp) = (state(&cluster), cluster.resp(0));
    let mut known = dial(resp, trusting(&authority)).await.unwrap();
    ask(&mut known, &["AUTH", "app", APP]).await;
    let list = ask(&mut known, &["COMMAND", "LIST"]).await;
    let commands: Vec<&str> = list.lines().filter(|line| line.starts_with(char::is_alphabetic)).collect();
    assert!(commands.len() > 30, "{list}");
    let tried = commands.iter().map(async |command| {
        let words: [&str; 4] = [command, "key 1", "PX", "1"];
        is_nothing(&plain(resp, &crate::raw::command(&words.map(str::as_bytes))).await, command);
        let anybody = dial(resp, trusting(&authority)).await.unwrap();
        let mut mistaken = dial(resp, trusting(&authority)).await.unwrap();
        assert!(ask(&mut mistaken, &["AUTH", "wrong"]).await.starts_with("-WRONGPASS"));
        refused_commands(command, &words, anybody).await + refused_commands(command, &words, mistaken).await
    });
    let refused: u64 = futures::future::join_all(tried).await.into_iter().sum();
    assert_eq!(state(&cluster), before);
    assert!(counted(&cluster, "shoal_auth_refused_total", r#"door="resp",reason="missing""#) >= refused);
    assert!(
        counted(&cluster, "shoal_auth_refused_total", r#"door="resp",reason="wrong""#)
            >= commands.len() as u64
    );
    let not_tls = r#"door="resp",reason="not_tls""#;
    eventually("plain commands are counted", async || {
        counted(&cluster, "shoal_tls_handshakes_failed_total", not_tls) == commands.len() as u64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_is_open_to_nobody_but_health() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    let (before, http) = (state(&cluster), cluster.http(0));
    let mut refused = 0;
    for path in
        ["/", "/metrics", "/cluster.json", "/openapi.json", "/cache", "/cache/", "/cache/key%201", "/nothing"]
    {
        for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
            let body = r#"{"value":"x"}"#;
            let request = |shown: &str| {
                format!(
                    "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{shown}\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            };
            is_nothing(&plain(http, request("").as_bytes()).await, path);
            for shown in ["", "authorization: Bearer wrong\r\n", "authorization: Basic d3Jvbmc6d3Jvbmc=\r\n"]
            {
                let mut stream = dial(http, trusting(&authority)).await.unwrap();
                stream.write_all(request(shown).as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("not closed");
                let answer = String::from_utf8_lossy(&answer);
                let is_refused = answer.starts_with("HTTP/1.1 401 ");
                let is_none = answer.starts_with("HTTP/1.1 405 ") || answer.starts_with("HTTP/1.1 404 ");
                assert!(is_refused || is_none, "{method} {path} {shown}: {answer}");
                refused += u64::from(is_refused);
            }
        }
    }
    assert_eq!(state(&cluster), before);
    assert!(refused >= 30, "only {refused} were asked who they are");
    let missing = counted(&cluster, "shoal_auth_refused_total", r#"door="rest",reason="missing""#);
    let wrong = counted(&cluster, "shoal_auth_refused_total", r#"door="rest",reason="wrong""#);
    assert_eq!(missing + wrong, refused);
}

/// Every method of every service, as a path.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let services =
        files.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        let path = move |name: &str| format!("/{package}.{}/{name}", service.name());
        service.method.iter().map(move |method| path(method.name()))
    });
    let standard =
        ["ServerReflection/ServerReflectionInfo"].map(|name| format!("/grpc.reflection.v1.{name}"));
    let alpha =
        ["ServerReflection/ServerReflectionInfo"].map(|name| format!("/grpc.reflection.v1alpha.{name}"));
    methods.chain(standard).chain(alpha).collect()
}

fn trusted(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("127.0.0.1")
}

async fn channel(grpc: SocketAddr, authority: &Authority) -> Channel {
    let endpoint = Endpoint::from_shared(format!("https://{grpc}")).unwrap();
    endpoint.tls_config(trusted(authority)).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_is_called_by_nobody() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    let (before, grpc) = (state(&cluster), cluster.nodes[0].config.listen.grpc);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    is_nothing(&plain(grpc, preface).await, "HTTP/2");
    let methods = methods();
    assert!(methods.len() > 12, "{methods:?}");
    for method in &methods {
        for token in [None, Some("Bearer wrong")] {
            let mut client = tonic::client::Grpc::new(channel(grpc, &authority).await);
            client.ready().await.unwrap();
            let mut request = tonic::Request::new(());
            if let Some(token) = token {
                request.metadata_mut().insert("authorization", token.parse().unwrap());
            }
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            let path = PathAndQuery::try_from(method.as_str()).unwrap();
            let refused = client.unary(request, path, codec).await;
            if method == "/shoal.replica.v1.Replica/Link" {
                // Told that it is no greeting, whatever is shown: a peer proves itself on the stream.
                assert!(refused.is_ok(), "{refused:?}");
            } else {
                assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated, "{method} {token:?}");
            }
        }
    }
    assert_eq!(state(&cluster), before);
    let others = methods.len() as u64 - 1;
    assert!(counted(&cluster, "shoal_auth_refused_total", r#"door="grpc",reason="missing""#) >= others);
    assert!(counted(&cluster, "shoal_auth_refused_total", r#"door="grpc",reason="wrong""#) >= others);
    assert_eq!(cluster.metric(0, "shoal_peer_streams_refused_total"), 2);
}

/// One of each operation that peers ask for.
fn operations() -> Vec<Op> {
    vec![
        Op::Read(Default::default()),
        Op::Write(Default::default()),
        Op::RebuildBegin(Default::default()),
        Op::RebuildPull(Default::default()),
        Op::RingPrepare(Default::default()),
        Op::RingAccept(Default::default()),
        Op::RingLearn(Default::default()),
        Op::RingFetch(Default::default()),
        Op::Report(Default::default()),
        Op::Inspect(Default::default()),
        Op::ReadClock(Default::default()),
        Op::ListKeys(Default::default()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_peer_stream_carries_anything_for_nobody() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    let (before, config) = (state(&cluster), cluster.nodes[0].config.clone());
    assert!(stranger::shake_hands(&config, &[SECRET], None).await.is_err(), "in the clear");
    let mut refused = 0;
    for secrets in [&["not the secret at all"][..], &[], &["not the secret at all", SECRET]] {
        let told = stranger::shake_hands(&config, secrets, Some(trusted(&authority))).await.unwrap_err();
        assert!(told.contains("does not know this cluster's secret"), "{secrets:?}: {told}");
        refused += 1;
    }
    let hello = Hello {
        cluster: config.cluster.clone(),
        node_id: "stranger".into(),
        target_node_id: config.node_id.to_string(),
        nonce: vec![0; 16].into(),
        protocol_lowest: 1,
        protocol_highest: 1,
        ..Hello::default()
    };
    for greeting in [None, Some(hello)] {
        let proof = link_request::Body::Proof(Proof { proof: vec![0; 32].into() });
        let batches = operations().into_iter().map(|op| {
            let request = Request { id: 1, deadline_ms: 1_000, stamp: None, op: Some(op) };
            link_request::Body::Batch(Batch { requests: vec![request] })
        });
        for body in batches.chain([proof]) {
            let first = greeting.clone().map(link_request::Body::Hello);
            let messages: Vec<LinkRequest> =
                first.into_iter().chain([body]).map(|body| LinkRequest { body: Some(body) }).collect();
            let mut client = stranger::dial(&config, Some(trusted(&authority))).await.unwrap();
            let replies = client.link(tokio_stream::iter(messages)).await.unwrap().into_inner();
            let answers: Vec<_> = collect(replies).await;
            assert!(
                matches!(answers.last(), Some(link_response::Body::Rejected(_))),
                "{greeting:?}: {answers:?}"
            );
            let replied = answers.iter().any(|body| matches!(body, link_response::Body::Replies(_)));
            assert!(!replied, "{answers:?}");
            refused += 1;
        }
    }
    assert_eq!(state(&cluster), before);
    assert_eq!(cluster.metric(0, "shoal_peer_streams_refused_total"), refused);
}

async fn collect(
    mut replies: tonic::Streaming<shoal_proto::wire::replica::v1::LinkResponse>,
) -> Vec<link_response::Body> {
    let mut bodies = Vec::new();
    while let Ok(Some(reply)) = timeout(PATIENCE, replies.message()).await.expect("no answer") {
        bodies.extend(reply.body);
    }
    bodies
}

/// Datagrams as a node of another cluster sends them.
async fn recorded(of: impl FnOnce(&mut NodeConfig)) -> Vec<Vec<u8>> {
    let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
    ear.set_read_timeout(Some(PATIENCE)).unwrap();
    let listen = free_addresses();
    let mut config = crate::cluster::config(listen, vec![ear.local_addr().unwrap().to_string()], 1);
    config.node_id = NodeId::new("other").unwrap();
    of(&mut config);
    let other = start(config, Arc::<MemoryState>::default()).await.unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; 65_536];
        (0..3).map(|_| ear.recv(&mut buffer).map(|count| buffer[..count].to_vec()).unwrap()).collect()
    });
    let heard = heard.await.unwrap();
    other.shutdown().await;
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_datagram_of_nobody_is_believed() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    let (before, gossip) = (state(&cluster), cluster.nodes[0].config.listen.gossip);
    let ours = recorded(|_| ()).await;
    let cut: Vec<Vec<u8>> = ours.iter().map(|datagram| datagram[..datagram.len() - 1].to_vec()).collect();
    let flipped = |at: usize| {
        ours.iter().map(move |datagram| {
            let mut datagram = datagram.clone();
            datagram[at] ^= 1;
            datagram
        })
    };
    let cases = [
        ("other_cluster", recorded(|config| config.cluster = "elsewhere".into()).await),
        ("bad_seal", recorded(|config| config.secrets = Secrets::new(["not the secret at all"])).await),
        ("unsealed", recorded(|config| config.secrets = Secrets::default()).await),
        ("bad_seal", cut),
        ("bad_seal", flipped(60).collect()),
        // The address that the sender claims.
        ("bad_seal", flipped(12).collect()),
        ("malformed", vec![vec![0x5a; 1_400], vec![], b"PING\r\n".to_vec()]),
    ];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (reason, datagrams) in cases {
        let labels = format!("reason=\"{reason}\"");
        let refused = counted(&cluster, "shoal_gossip_refused_total", &labels);
        for datagram in &datagrams {
            socket.send_to(datagram, gossip).unwrap();
        }
        eventually(reason, async || {
            counted(&cluster, "shoal_gossip_refused_total", &labels) == refused + datagrams.len() as u64
        })
        .await;
    }
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 16]).is_err(), "nothing is answered");
    assert_eq!(state(&cluster), before);
}
