//! Clients that must prove who they are, at every door of a node.

use crate::{
    cluster::{TestCluster, eventually},
    raw::Raw,
    rest_client::send,
};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Key, Routing, Value};
use shoal_node::{
    auth::{Credential, Credentials, Digest, Scope},
    config::NodeConfig,
};
use shoal_proto::types::MAX_VALUE_BYTES;
use shoal_proto::wire::{
    admin::v1::{StatusRequest, admin_client::AdminClient},
    kv::v1::{self as kv, kv_client::KvClient, operation::Op, operation_result::Result as Answer},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

pub(crate) const PASSWORD: &str = "the password of the tests";
pub(crate) const APP: &str = "the-token-of-app";
pub(crate) const PROBE: &str = "the-token-of-probe";

pub(crate) fn credentials(known: &[(&str, Scope, &str)]) -> Credentials {
    let each = |(name, scope, secret): &(&str, Scope, &str)| {
        Credential::new(name, *scope, Digest::of(secret.as_bytes()))
    };
    Credentials::new(known.iter().map(each).collect()).unwrap()
}

/// Asks clients for a password, a token that may write or one that may read.
pub(crate) fn guarded(config: &mut NodeConfig) {
    config.credentials = credentials(&[
        ("default", Scope::Write, PASSWORD),
        ("app", Scope::Write, APP),
        ("probe", Scope::Read, PROBE),
    ]);
}

fn refused(cluster: &TestCluster, door: &str, reason: &str) -> u64 {
    cluster.metric(0, &format!("shoal_auth_refused_total{{door=\"{door}\",reason=\"{reason}\"}}"))
}

async fn channel(cluster: &TestCluster) -> Channel {
    let address = cluster.nodes[0].config.listen.grpc;
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// A request that shows a token, or nothing.
fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

fn config(token: &str, routing: Routing) -> ClientConfig {
    let token = (!token.is_empty()).then(|| token.parse().unwrap());
    ClientConfig { token, routing, ..ClientConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resp_asks_for_a_password_or_a_users_token() {
    let cluster = TestCluster::start_with(1, guarded).await;
    let address = cluster.resp(0);
    for (login, read, write) in [
        (&[][..], false, false),
        (&["AUTH", "wrong"], false, false),
        (&["AUTH", PROBE], false, false),
        (&["AUTH", "probe", PROBE], true, false),
        (&["AUTH", "app", APP], true, true),
        (&["AUTH", PASSWORD], true, true),
        (&["AUTH", "default", PASSWORD], true, true),
    ] {
        let mut client = Raw::connect(address).await;
        if !login.is_empty() {
            let words: Vec<&[u8]> = login.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(client.ask(&words).await == "+OK", read, "{login:?}");
        }
        let answer = client.ask(&[b"EXISTS", b"none"]).await;
        assert_eq!(answer == ":0", read, "{login:?}: {answer}");
        let answer = client.ask(&[b"SET", b"k", b"v"]).await;
        assert_eq!(answer == "+OK", write, "{login:?}: {answer}");
    }
    assert_eq!(refused(&cluster, "resp", "wrong"), 2);
    assert_eq!(refused(&cluster, "resp", "missing"), 6);
    assert_eq!(refused(&cluster, "resp", "forbidden"), 1);
    let url = |login: &str| format!("redis://{login}@{address}/");
    for (login, welcome) in
        [(format!(":{}", PASSWORD.replace(' ', "%20")), true), ("app:wrong".into(), false)]
    {
        let connected = redis::Client::open(url(&login)).unwrap().get_multiplexed_async_connection().await;
        assert_eq!(connected.is_ok(), welcome, "{login}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_asks_for_a_token_everywhere_but_at_its_health() {
    let cluster = TestCluster::start_with(1, guarded).await;
    let http = cluster.http(0);
    let bearer = |token: &str| format!("Bearer {token}");
    for (method, path, needs_write) in [
        ("GET", "/", false),
        ("GET", "/metrics", false),
        ("GET", "/cluster.json", false),
        ("GET", "/cache?keys=a", false),
        ("PUT", "/cache/k", true),
        ("GET", "/cache/k", false),
        ("PATCH", "/cache/k", true),
        ("POST", "/cache/k", true),
        ("DELETE", "/cache/k", true),
    ] {
        let body =
            if needs_write && method != "DELETE" { &br#"{"value":"v","ttlSeconds":60}"#[..] } else { b"" };
        let body = if method == "PATCH" { &br#"{"ttlSeconds":60}"#[..] } else { body };
        let ask = async |authorization: Option<&str>| {
            let json = ("content-type", "application/json");
            let shown = authorization.map(|value| ("authorization", value));
            let headers: Vec<_> = [json].into_iter().chain(shown).collect();
            send(http, method, path, &headers, body).await
        };
        let anybody = ask(None).await;
        assert_eq!(anybody.problem().0, "unauthenticated", "{method} {path}");
        assert!(!anybody.header("www-authenticate").is_empty());
        assert_eq!(ask(Some(&bearer("wrong"))).await.status, 401, "{method} {path}");
        let reader = ask(Some(&bearer(PROBE))).await;
        if needs_write {
            assert_eq!(
                (reader.status, reader.problem().0.as_str()),
                (403, "permission_denied"),
                "{method} {path}"
            );
        } else {
            assert!(reader.status == 200 || path == "/cache/k", "{method} {path}: {reader:?}");
        }
        let writer = ask(Some(&bearer(APP))).await;
        assert!((200..300).contains(&writer.status), "{method} {path}: {writer:?}");
    }
    // "default:the password of the tests".
    let basic = ("authorization", "Basic ZGVmYXVsdDp0aGUgcGFzc3dvcmQgb2YgdGhlIHRlc3Rz");
    assert_eq!(send(http, "GET", "/metrics", &[basic], b"").await.status, 200);
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(send(http, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    assert_eq!(refused(&cluster, "rest", "missing"), 9);
    assert_eq!(refused(&cluster, "rest", "wrong"), 9);
    assert_eq!(refused(&cluster, "rest", "forbidden"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_asks_for_a_token_before_it_reads_a_message() {
    let cluster = TestCluster::start_with(1, guarded).await;
    let channel = channel(&cluster).await;
    let mut kv = KvClient::new(channel.clone());
    let get = || kv::GetRequest { key: "k".into(), ..Default::default() };
    let set = || kv::SetRequest { key: "k".into(), value: "v".into(), ..Default::default() };
    let code = |result: Result<(), tonic::Status>| result.map_err(|status| status.code());
    for (token, read, write) in [
        ("", Err(Code::Unauthenticated), Err(Code::Unauthenticated)),
        ("wrong", Err(Code::Unauthenticated), Err(Code::Unauthenticated)),
        (PROBE, Ok(()), Err(Code::PermissionDenied)),
        (APP, Ok(()), Ok(())),
        (PASSWORD, Ok(()), Ok(())),
    ] {
        assert_eq!(code(kv.get(by(token, get())).await.map(drop)), read, "{token}");
        assert_eq!(code(kv.set(by(token, set())).await.map(drop)), write, "{token}");
        let batch = kv::BatchSetRequest::default();
        assert_eq!(code(kv.batch_set(by(token, batch)).await.map(drop)), write, "{token}");
        let batch = kv::BatchGetRequest::default();
        assert_eq!(code(kv.batch_get(by(token, batch)).await.map(drop)), read, "{token}");
        let batch = kv::BatchDeleteRequest::default();
        assert_eq!(code(kv.batch_delete(by(token, batch)).await.map(drop)), write, "{token}");
        let delete = kv::DeleteRequest { key: "none".into(), ..Default::default() };
        assert_eq!(code(kv.delete(by(token, delete)).await.map(drop)), write, "{token}");
        let expire = kv::ExpireRequest { key: "none".into(), ..Default::default() };
        assert_eq!(code(kv.expire(by(token, expire)).await.map(drop)), write, "{token}");
        assert_eq!(code(kv.topology(by(token, kv::TopologyRequest {})).await.map(drop)), read, "{token}");
        let status = AdminClient::new(channel.clone()).status(by(token, StatusRequest {})).await;
        assert_eq!(code(status.map(drop)), read, "{token}");
        let question = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let mut reflection = ServerReflectionClient::new(channel.clone());
        let answer = reflection.server_reflection_info(by(token, tokio_stream::once(question))).await;
        assert_eq!(code(answer.map(drop)), read, "{token}");
    }
    // A message that cannot be taken is not even looked at.
    let too_large = kv::SetRequest { value: vec![0; 2 * MAX_VALUE_BYTES].into(), ..set() };
    assert_eq!(kv.set(too_large.clone()).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(kv.set(by(APP, too_large)).await.unwrap_err().code(), Code::OutOfRange);
    let mut health = HealthClient::new(channel);
    assert!(health.check(HealthCheckRequest::default()).await.is_ok());
    assert!(refused(&cluster, "grpc", "missing") >= 11);
    assert!(refused(&cluster, "grpc", "wrong") >= 10);
    assert_eq!(refused(&cluster, "grpc", "forbidden"), 5);
}

/// A pipeline, kept open.
struct Pipeline {
    requests: mpsc::Sender<kv::PipelineRequest>,
    replies: Streaming<kv::PipelineResponse>,
}

impl Pipeline {
    async fn open(cluster: &TestCluster, token: &str) -> Result<Self, tonic::Status> {
        let (requests, stream) = mpsc::channel(4);
        let mut kv = KvClient::new(channel(cluster).await);
        let replies = kv.pipeline(by(token, ReceiverStream::new(stream))).await?.into_inner();
        Ok(Self { requests, replies })
    }

    /// What became of a read and a write of the same message: the kinds of their failures.
    async fn both(&mut self) -> [Option<kv::failure::Kind>; 2] {
        let get = Op::Get(kv::GetRequest { key: "k".into(), ..Default::default() });
        let set = Op::Set(kv::SetRequest { key: "other".into(), ..Default::default() });
        let operation = |id, op| kv::Operation { id, op: Some(op) };
        let operations = vec![operation(0, get), operation(1, set)];
        self.requests.send(kv::PipelineRequest { operations }).await.unwrap();
        let (mut kinds, mut answered) = ([None; 2], 0);
        while answered < 2 {
            for result in self.replies.message().await.unwrap().unwrap().results {
                answered += 1;
                if let Some(Answer::Failure(failure)) = &result.result {
                    kinds[result.id as usize] = Some(failure.kind());
                }
            }
        }
        kinds
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_lose_what_their_token_no_longer_gives() {
    use kv::failure::Kind::{PermissionDenied, Unauthenticated};
    let cluster = TestCluster::start_with(1, guarded).await;
    for token in ["", "wrong"] {
        let refused = Pipeline::open(&cluster, token).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
    }
    let mut app = Pipeline::open(&cluster, APP).await.unwrap();
    let mut probe = Pipeline::open(&cluster, PROBE).await.unwrap();
    let mut resp = Raw::connect(cluster.resp(0)).await;
    assert_eq!(resp.ask(&[b"AUTH", b"app", APP.as_bytes()]).await, "+OK");
    assert_eq!(resp.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    assert_eq!(app.both().await, [None, None]);
    assert_eq!(probe.both().await, [None, Some(PermissionDenied)]);
    let mut topology = KvClient::new(channel(&cluster).await);
    let mut told = topology.topology(by(PROBE, kv::TopologyRequest {})).await.unwrap().into_inner();
    assert!(told.message().await.unwrap().is_some());

    cluster.node(0).auth().replace(credentials(&[("app", Scope::Read, APP)]));
    assert_eq!(app.both().await, [None, Some(PermissionDenied)], "its scope has shrunk");
    assert_eq!(probe.both().await, [Some(Unauthenticated), Some(Unauthenticated)], "it is gone");
    assert_eq!(resp.ask(&[b"GET", b"k"]).await, "$1");
    assert_eq!(resp.line().await, "v");
    assert!(resp.ask(&[b"SET", b"k", b"v"]).await.starts_with("-NOPERM"));

    cluster.node(0).auth().replace(credentials(&[("new", Scope::Write, "another-token-of-new")]));
    assert_eq!(app.both().await, [Some(Unauthenticated), Some(Unauthenticated)]);
    assert!(resp.ask(&[b"GET", b"k"]).await.starts_with("-NOAUTH"));
    assert_eq!(refused(&cluster, "resp", "revoked"), 1);
    assert!(refused(&cluster, "grpc", "revoked") >= 4);
    let again = KvClient::new(channel(&cluster).await).topology(by(PROBE, kv::TopologyRequest {})).await;
    assert_eq!(again.err().unwrap().code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_client_shows_its_token_to_every_node_and_says_when_it_is_refused() {
    let cluster = TestCluster::start_with(3, guarded).await;
    let seeds = [cluster.nodes[0].config.listen.grpc.to_string()];
    let (key, value) = (Key::new("k").unwrap(), Value::new("v").unwrap());
    let options = CallOptions::default();
    for routing in [Routing::Owners, Routing::Contact] {
        for token in ["", "wrong"] {
            let refused = Client::connect(&seeds, config(token, routing)).await.err().unwrap();
            assert!(matches!(refused, ClientError::Unauthenticated(_)), "{token}: {refused}");
        }
        let app = Client::connect(&seeds, config(APP, routing)).await.unwrap();
        for n in 0..20 {
            let key = Key::new(format!("key {n}")).unwrap();
            app.set(key.clone(), value.clone(), None, &options).await.unwrap();
            assert_eq!(app.get(key.clone(), &options).await.unwrap().value, Some(value.clone()));
            app.explain(key).await.unwrap();
        }
        assert_eq!(app.status().await.unwrap().nodes.len(), 3);
        assert_eq!(app.fetch_topology().await.unwrap().nodes.len(), 3);
        let probe = Client::connect(&seeds, config(PROBE, routing)).await.unwrap();
        probe.get(key.clone(), &options).await.unwrap();
        let denied = probe.set(key.clone(), value.clone(), None, &options).await.err().unwrap();
        assert!(matches!(denied, ClientError::PermissionDenied(_)), "{denied}");
        assert!(!denied.maybe());
        assert!(!format!("{app:?}").contains(APP), "{app:?}");
    }
    // A node that has forgotten the token is passed over; when all have, that is what is said.
    let app = Client::connect(&seeds, config(APP, Routing::Owners)).await.unwrap();
    cluster.node(1).auth().replace(credentials(&[("new", Scope::Write, "another-token-of-new")]));
    for n in 0..20 {
        app.get(Key::new(format!("key {n}")).unwrap(), &options).await.unwrap();
    }
    for i in [0, 2] {
        cluster.node(i).auth().replace(credentials(&[("new", Scope::Write, "another-token-of-new")]));
    }
    let mut last = None;
    eventually("the client says that it is refused", async || {
        last = app.get(key.clone(), &options).await.err();
        matches!(last, Some(ClientError::Unauthenticated(_)))
    })
    .await;
}
