//! TLS on every door: who is let in, who is not, and what changes while nodes run.

use crate::{
    certificates::{Authority, LOOPBACK, Signed},
    child::{self, Process, Said},
    cluster::{TestCluster, eventually},
};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Consistency, Key, TlsConfig, Value};
use shoal_node::tls::{Client as Credentials, Connector, Pem, Stream, Tls, fault};
use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);
const DOORS: [&str; 3] = ["resp", "http", "grpc"];

/// Three nodes, each with a certificate of its own.
async fn secured(authority: &Authority) -> TestCluster {
    TestCluster::start_with(3, |config| config.tls = authority.tls()).await
}

fn doors(cluster: &TestCluster, node: usize) -> [SocketAddr; 3] {
    let listen = cluster.nodes[node].config.listen;
    [listen.resp, listen.http, listen.grpc]
}

fn failures(cluster: &TestCluster, node: usize, door: &str, reason: &str) -> u64 {
    cluster.metric(node, &format!("shoal_tls_handshakes_failed_total{{door=\"{door}\",reason=\"{reason}\"}}"))
}

async fn client(grpc: SocketAddr, tls: Option<TlsConfig>) -> Result<Client, ClientError> {
    Client::connect(&[grpc.to_string()], ClientConfig { tls, ..ClientConfig::default() }).await
}

/// A connection to a door, over TLS.
pub(crate) async fn dial(address: SocketAddr, credentials: Credentials) -> Result<Stream<TcpStream>, String> {
    let connector = Connector::new(&credentials).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let shaken = timeout(PATIENCE, connector.connect(&address.to_string(), stream)).await.expect("no answer");
    shaken.map_err(|error| fault(&error).unwrap_or_else(|| error.to_string()))
}

pub(crate) fn trusting(authority: &Authority) -> Credentials {
    Credentials { ca: authority.pem().into(), identity: None, name: None }
}

async fn ping(stream: &mut Stream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"PING\r\n").await?;
    let mut reply = [0; 7];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await.expect("no answer")?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// What is left to read, until the other side closes or resets.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("not closed");
    rest
}

/// Runs a tool; `None` where it is not installed.
async fn tool(name: &str, arguments: &[&str]) -> Option<Said> {
    if Command::new(name).arg("--version").output().is_err() {
        eprintln!("SKIPPED: {name} is not installed");
        return None;
    }
    let mut process = Process::start(name, Command::new(name).args(arguments));
    let code = process.ended().await.code();
    Some(Said { code, stdout: process.stdout_bytes(), stderr: process.stderr() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_serves_clients_that_speak_tls() {
    let (authority, directory) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let ca = authority.write(directory.path()).display().to_string();
    let cluster = secured(&authority).await;
    let [resp, http, grpc] = doors(&cluster, 0).map(|address| address.to_string());

    let (_, port) = resp.split_once(':').unwrap();
    let arguments = ["-h", "127.0.0.1", "-p", port, "--tls", "--cacert", &ca, "CL", "ALL", "SET", "k", "v"];
    if let Some(said) = tool("redis-cli", &arguments).await {
        assert_eq!((said.code, said.text()), (Some(0), "OK\n"), "{}", said.stderr);
    }
    let url = format!("https://{http}/cache/k");
    let write = ["-sS", "--cacert", &ca, "-X", "PUT", "--data-binary", "v", &url];
    if let Some(said) = tool("curl", &write).await {
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let read = ["-sS", "--cacert", &ca, "-H", "accept: application/octet-stream", &url];
        assert_eq!(tool("curl", &read).await.unwrap().text(), "v");
    }

    let ours = client(cluster.nodes[1].config.listen.grpc, Some(authority.trusted())).await.unwrap();
    let ours = ours.with_consistency(Consistency::All);
    let (key, options) = (Key::new("ours").unwrap(), CallOptions::default());
    ours.set(key.clone(), Value::new("v").unwrap(), None, &options).await.unwrap();
    assert_eq!(ours.get(key, &options).await.unwrap().value, Some(Value::new("v").unwrap()));

    let said = child::run(&["get", "ours", "--node", &grpc, "--tls-ca", &ca], b"").await;
    assert_eq!((said.code, said.text()), (Some(0), "v"), "{}", said.stderr);
    for (door, node) in [("resp", &resp), ("rest", &http), ("grpc", &grpc)] {
        let arguments = [
            "bench",
            "--json",
            "--door",
            door,
            "--node",
            node,
            "--tls-ca",
            &ca,
            "--requests",
            "200",
            "--keys",
            "50",
            "--preload",
        ];
        let said = child::run(&arguments, b"").await;
        assert_eq!(said.code, Some(0), "{door}: {}", said.stderr);
        assert_eq!(said.json()["errors"], serde_json::json!({}), "{door}");
    }
    for door in DOORS {
        assert!(cluster.metric(0, &format!("shoal_tls_handshakes_total{{door=\"{door}\"}}")) > 0, "{door}");
    }
    let expires = cluster.metric(0, "shoal_tls_certificate_expires_at_seconds");
    assert_eq!(expires, cluster.nodes[0].config.tls.as_ref().unwrap().expires_at());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_bytes_are_answered_by_no_door() {
    let authority = Authority::new("ours");
    let cluster = secured(&authority).await;
    for (door, address) in DOORS.into_iter().zip(doors(&cluster, 0)) {
        let before = failures(&cluster, 0, door, "not_tls");
        for bytes in [
            b"*1\r\n$4\r\nPING\r\n".as_slice(),
            b"PING\r\n",
            b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            &[0; 64],
            &[0xff; 20_000],
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(bytes).await;
            let answer = rest(stream).await;
            // At most the alert with which TLS says that it did not understand.
            assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{door}: {answer:?}");
        }
        eventually("all are counted", async || failures(&cluster, 0, door, "not_tls") == before + 6).await;
    }
    assert!(cluster.info(0).is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_trusted_is_told_apart_by_clients() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let directory = tempfile::tempdir().unwrap();
    let theirs = other.write(directory.path()).display().to_string();
    let certificates = [ours.sign(LOOPBACK), ours.sign(&["elsewhere.example"]), ours.sign_expired(LOOPBACK)];
    let cluster = TestCluster::prepare(3, |_| ());
    let mut nodes = Vec::new();
    for (node, signed) in cluster.nodes.iter().zip(certificates) {
        let mut config = node.config.clone();
        config.tls = Some(Arc::new(Tls::new(&ours.node_with(signed)).unwrap()));
        nodes.push(crate::cluster::start(config, node.state.clone()).await.unwrap());
    }
    let grpc = |node: usize| cluster.nodes[node].config.listen.grpc;
    for (node, tls, expected) in [
        (0, Some(other.trusted()), "UnknownIssuer"),
        (1, Some(ours.trusted()), "certificate not valid for name"),
        (2, Some(ours.trusted()), "expired"),
        (0, None, "speaks TLS"),
    ] {
        let error = client(grpc(node), tls).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let named = TlsConfig { server_name: Some("elsewhere.example".into()), ..ours.trusted() };
    assert!(client(grpc(1), Some(named)).await.is_ok());
    let plain = TestCluster::start(1).await;
    let error = client(plain.nodes[0].config.listen.grpc, Some(ours.trusted()))
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the node does not speak TLS"), "{error}");

    let node = grpc(0).to_string();
    let said = child::run(&["status", "--node", &node], b"").await;
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("does the node speak TLS? then give --tls-ca"), "{}", said.stderr);
    let said = child::run(&["status", "--node", &node, "--tls-ca", &theirs], b"").await;
    assert!(said.stderr.contains("not signed by"), "{}", said.stderr);
    let resp = cluster.nodes[0].config.listen.resp.to_string();
    for (arguments, expected) in [
        (vec!["bench", "--node", &resp, "--tls-ca", &theirs], "not signed by the CA"),
        (vec!["bench", "--node", &resp, "--tls-ca", "/nowhere/ca.pem"], "cannot read /nowhere/ca.pem"),
        (vec!["status", "--tls-name", "n"], "need --tls-ca"),
    ] {
        let said = child::run(&arguments, b"").await;
        assert!(said.code == Some(2) && said.stderr.contains(expected), "{arguments:?}: {}", said.stderr);
    }
    for address in doors(&cluster, 0) {
        assert!(dial(address, trusting(&other)).await.unwrap_err().contains("not signed by the CA"));
        assert!(dial(address, trusting(&ours)).await.is_ok());
    }
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_clients_must_show_certificates_nobody_comes_in_without() {
    let (nodes, clients, others) =
        (Authority::new("nodes"), Authority::new("clients"), Authority::new("others"));
    // Peers show the certificates that they have.
    let both = format!("{}{}", nodes.pem(), clients.pem());
    let cluster = TestCluster::start_with(3, |config| {
        let pem = Pem { client_ca: Some(both.clone().into()), ..nodes.node() };
        config.tls = Some(Arc::new(Tls::new(&pem).unwrap()));
    })
    .await;
    let shows = |Signed { certificate, key }| Some((certificate.into_bytes(), key.into_bytes()));
    let listen = cluster.nodes[0].config.listen;
    for (door, address) in DOORS.into_iter().zip(doors(&cluster, 0)) {
        let before = failures(&cluster, 0, door, "client_certificate");
        for identity in [None, shows(others.sign(LOOPBACK)), shows(clients.sign_expired(LOOPBACK))] {
            let credentials = Credentials { identity, ..trusting(&nodes) };
            // In TLS 1.3 a client has shaken hands before it is refused.
            if let Ok(mut stream) = dial(address, credentials).await {
                assert!(ping(&mut stream).await.is_err(), "{door}");
            }
        }
        eventually("all are counted", async || {
            failures(&cluster, 0, door, "client_certificate") == before + 3
        })
        .await;
    }
    let identity = shows(clients.sign(&["client"]));
    let mut known =
        dial(listen.resp, Credentials { identity: identity.clone(), ..trusting(&nodes) }).await.unwrap();
    assert_eq!(ping(&mut known).await.unwrap(), "+PONG\r\n");
    assert!(client(listen.grpc, Some(TlsConfig { identity, ..nodes.trusted() })).await.is_ok());
    let error = client(listen.grpc, Some(nodes.trusted())).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("asks for a certificate of the client"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_see_the_new_certificate_and_old_ones_live_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let cluster = secured(&before).await;
    let tls = cluster.nodes[0].config.tls.clone().unwrap();
    let mut old = dial(cluster.resp(0), trusting(&before)).await.unwrap();
    let renewed = after.node();
    assert!(tls.replace(&renewed).unwrap());
    assert!(!tls.replace(&renewed).unwrap(), "the same is no news");
    for address in doors(&cluster, 0) {
        assert!(dial(address, trusting(&before)).await.is_err());
        assert!(dial(address, trusting(&after)).await.is_ok());
    }
    assert_eq!(ping(&mut old).await.unwrap(), "+PONG\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_garbage_take_no_place_from_others() {
    let authority = Authority::new("ours");
    let cluster = TestCluster::start_with(1, |config| config.tls = authority.tls()).await;
    let most = shoal_node::limits::HANDSHAKES;
    for (door, address) in DOORS.into_iter().zip(doors(&cluster, 0)) {
        let mut silent = Vec::new();
        for _ in 0..most + 50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The beginning of a handshake.
            stream.write_all(&[22, 3, 1]).await.unwrap();
            silent.push(stream);
        }
        eventually("the oldest made room", async || failures(&cluster, 0, door, "crowded") >= 50).await;
        assert!(dial(address, trusting(&authority)).await.is_ok(), "{door}");
        // Without doing anything they are gone in time.
        eventually("the others ran out of time", async || {
            failures(&cluster, 0, door, "crowded") + failures(&cluster, 0, door, "timeout")
                >= most as u64 + 50
        })
        .await;
        for stream in silent {
            assert!(rest(stream).await.is_empty());
        }
    }
}
