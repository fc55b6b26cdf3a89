//! What the gRPC door makes of messages and metadata that no one should send.

use crate::cluster::{TestCluster, eventually};
use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use shoal_proto::types::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use shoal_proto::wire::kv::v1::{self as kv, kv_client::KvClient};
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// Messages as they are, in both directions.
#[derive(Default)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn channel(cluster: &TestCluster) -> Channel {
    let address = cluster.nodes[0].config.listen.grpc;
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Sends one message to a method and takes the status.
async fn refused(channel: &Channel, method: &'static str, message: Bytes, timeout: Option<&str>) -> Status {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(message);
    if let Some(timeout) = timeout {
        request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    }
    grpc.unary(request, PathAndQuery::from_static(method), AsTheyAre).await.unwrap_err()
}

const GET: &str = "/shoal.kv.v1.Kv/Get";
const SET: &str = "/shoal.kv.v1.Kv/Set";
const EXPIRE: &str = "/shoal.kv.v1.Kv/Expire";
const BATCH_GET: &str = "/shoal.kv.v1.Kv/BatchGet";

/// A method, a message, the status it is answered with, what that says, and the field it is about.
struct Case(&'static str, Bytes, Code, &'static str, &'static str);

fn cases() -> Vec<Case> {
    use Code::{Internal, InvalidArgument, OutOfRange, ResourceExhausted, Unimplemented};
    let get = |request: kv::GetRequest| Bytes::from(request.encode_to_vec());
    let set = |request: kv::SetRequest| Bytes::from(request.encode_to_vec());
    let key = |len| Bytes::from(vec![b'k'; len]);
    let level = |consistency| kv::GetRequest { key: key(1), consistency, ..Default::default() };
    let ttl_ms = |ttl_ms| kv::ExpireRequest { key: key(1), ttl_ms, ..Default::default() };
    vec![
        // No messages.
        Case(GET, Bytes::from_static(b"\xff"), Internal, "", ""),
        Case(GET, Bytes::from_static(b"\x0a\x05ab"), Internal, "buffer underflow", ""),
        Case(GET, Bytes::from_static(b"\x08\x01"), Internal, "invalid wire type", ""),
        Case("/shoal.kv.v1.Kv/Nothing", Bytes::new(), Unimplemented, "", ""),
        Case("/nowhere.Service/Get", Bytes::new(), Unimplemented, "", ""),
        // Too much of it.
        Case(SET, key(12 * 1024 * 1024 + 1), OutOfRange, "decoded message length too large", ""),
        Case(
            BATCH_GET,
            [0x0a, 0].repeat(16_385).into(),
            ResourceExhausted,
            "parts exceeds the limit of 16384",
            "",
        ),
        Case(BATCH_GET, [0x0a, 0].repeat(10_001).into(), InvalidArgument, "batch of 10001 keys", "keys"),
        // Fields.
        Case(
            GET,
            get(kv::GetRequest { key: key(MAX_KEY_BYTES + 1), ..Default::default() }),
            InvalidArgument,
            "key of 65537 bytes",
            "key",
        ),
        Case(
            SET,
            set(kv::SetRequest { value: key(MAX_VALUE_BYTES + 1), ..Default::default() }),
            InvalidArgument,
            "value of 8388609 bytes",
            "value",
        ),
        Case(GET, get(level(9)), InvalidArgument, "consistency 9 is out of range", "consistency"),
        Case(GET, get(level(-1)), InvalidArgument, "consistency 4294967295 is out of range", "consistency"),
        Case(
            GET,
            get(level(kv::Consistency::Two.into())),
            InvalidArgument,
            "TWO needs 2 owners, keys have 1",
            "",
        ),
        Case(
            EXPIRE,
            ttl_ms(u64::MAX).encode_to_vec().into(),
            InvalidArgument,
            "ttl_ms 18446744073709551615 is out",
            "ttl_ms",
        ),
        Case(
            SET,
            set(kv::SetRequest { key: key(1), expires_at: 1 << 42, ..Default::default() }),
            InvalidArgument,
            "expires_at 4398046511104 is out of range",
            "expires_at",
        ),
        Case(
            SET,
            set(kv::SetRequest { key: key(1), tag: u64::MAX, ..Default::default() }),
            Code::FailedPrecondition,
            "ahead of this node's clock",
            "",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_make_no_sense_are_told_why_and_change_nothing() {
    let cluster = TestCluster::start(1).await;
    let (channel, bystander) = (channel(&cluster).await, channel(&cluster).await);
    for Case(method, message, code, why, field) in cases() {
        let status = refused(&channel, method, message, None).await;
        assert_eq!(status.code(), code, "{method} {why}: {status:?}");
        assert!(status.message().contains(why), "{method}: {status:?} does not say {why:?}");
        let wrong = status.get_details_bad_request().map(|request| request.field_violations[0].field.clone());
        assert_eq!(wrong.unwrap_or_default(), field, "{status:?}");
        let get = kv::GetRequest { key: "k".into(), ..Default::default() };
        KvClient::new(bystander.clone()).get(get).await.unwrap();
    }
    for timeout in ["soon", "5", "123456789m", "-1S"] {
        let status = refused(&channel, GET, Bytes::new(), Some(timeout)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout}: {status:?}");
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "grpc-timeout");
    }
    assert!(cluster.held(0).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_countless_operations_ends_its_own_stream_alone() {
    let cluster = TestCluster::start(1).await;
    let channel = channel(&cluster).await;
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/shoal.kv.v1.Kv/Pipeline");
    // 12 MiB that would decode to some hundred.
    let message = Bytes::from([0x0a, 0].repeat(6 * 1024 * 1024 - 16));
    let messages = tokio_stream::iter([message]).chain(tokio_stream::pending());
    let mut answers = grpc.streaming(Request::new(messages), path, AsTheyAre).await.unwrap().into_inner();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let get = kv::GetRequest { key: "k".into(), ..Default::default() };
    KvClient::new(channel).get(get).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_ends_when_its_client_has_said_it_would() {
    // A node that would look for owners far longer than anybody waits.
    let mut cluster =
        TestCluster::start_with(3, |config| config.request_timeout = Duration::from_secs(60)).await;
    let mut client = KvClient::new(channel(&cluster).await);
    for stopped in [1, 2] {
        cluster.stop_node(stopped).await;
    }
    let began = Instant::now();
    eventually("the others are asked in vain, or known to be gone", async || {
        let (key, consistency) = ("k".into(), kv::Consistency::All.into());
        let mut request = Request::new(kv::GetRequest { key, consistency, ..Default::default() });
        request.set_timeout(Duration::from_millis(500));
        let status = client.get(request).await.unwrap_err();
        // The node's own word, not the client library's: it says what was missing.
        let info = status.get_details_error_info().expect("the node answers first");
        assert_eq!((info.metadata["level"].as_str(), info.metadata["required"].as_str()), ("ALL", "3"));
        info.reason == "UNAVAILABLE"
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(40), "the node's own timeout was waited for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_not_written_for_and_holds_nobody_up() {
    const VALUE_BYTES: usize = 1 << 20;
    const READS: u64 = 200;
    let cluster = TestCluster::start(1).await;
    let mut client = KvClient::new(channel(&cluster).await).max_decoding_message_size(16 << 20);
    let value = vec![7; VALUE_BYTES].into();
    client.set(kv::SetRequest { key: "k".into(), value, ..Default::default() }).await.unwrap();
    let operations = |id| {
        let get = kv::GetRequest { key: "k".into(), ..Default::default() };
        let operation = kv::Operation { id, op: Some(kv::operation::Op::Get(get)) };
        kv::PipelineRequest { operations: vec![operation] }
    };
    let mut lazy = KvClient::new(channel(&cluster).await).max_decoding_message_size(16 << 20);
    let requests = tokio_stream::iter((0..READS).map(operations));
    let mut answers = lazy.pipeline(requests).await.unwrap().into_inner();
    // More than the node may keep for it. The door goes on, and the node begins no more than it has room for.
    for _ in 0..20 {
        let set = kv::SetRequest { key: "other".into(), value: "v".into(), ..Default::default() };
        client.set(set).await.unwrap();
    }
    let begun = cluster.requests(0, "get");
    assert!(begun < READS, "{begun} of {READS} reads were begun for a client that reads none");
    let mut seen = 0;
    while let Some(message) = answers.message().await.unwrap() {
        seen += message.results.len() as u64;
    }
    assert_eq!(seen, READS);
}
