//! gRPC as any generated client speaks it.

use crate::cluster::{TestCluster, eventually};
use shoal_proto::types::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use shoal_proto::wire::kv::v1::{self as kv, kv_client::KvClient};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const QUORUM: i32 = kv::Consistency::Quorum as i32;

async fn channel(cluster: &TestCluster, i: usize) -> Channel {
    let address = cluster.nodes[i].config.listen.grpc;
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn connect(cluster: &TestCluster, i: usize) -> KvClient<Channel> {
    KvClient::new(channel(cluster, i).await).max_decoding_message_size(16 << 20)
}

fn entry(key: impl Into<Vec<u8>>, value: Vec<u8>) -> kv::batch_set_request::Entry {
    kv::batch_set_request::Entry { key: key.into().into(), value: value.into(), ..Default::default() }
}

fn failure_of(item: &kv::batch_get_response::Item) -> Option<&kv::Failure> {
    match item.result.as_ref()? {
        kv::batch_get_response::item::Result::Failure(failure) => Some(failure),
        kv::batch_get_response::item::Result::Answer(_) => None,
    }
}

fn value_of(item: &kv::batch_get_response::Item) -> Option<&[u8]> {
    match item.result.as_ref()? {
        kv::batch_get_response::item::Result::Answer(answer) => answer.value.as_deref(),
        kv::batch_get_response::item::Result::Failure(failure) => panic!("{failure:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_answer_each_key_for_itself_in_order() {
    let cluster = TestCluster::start(4).await;
    let mut first = connect(&cluster, 0).await;
    let mut entries: Vec<_> = (0..200).map(|n| entry(format!("key {n}"), vec![n as u8; n])).collect();
    entries.insert(7, entry(vec![0; MAX_KEY_BYTES + 1], Vec::new()));
    let request = kv::BatchSetRequest { entries, consistency: QUORUM, deadline_ms: 2_000 };
    let items = first.batch_set(request).await.unwrap().into_inner().items;
    assert_eq!(items.len(), 201);
    for (at, item) in items.iter().enumerate() {
        match item.result.as_ref().unwrap() {
            kv::batch_set_response::item::Result::Answer(stored) => {
                assert_eq!(stored.outcome.as_ref().unwrap().reached, QUORUM, "{at}");
            }
            kv::batch_set_response::item::Result::Failure(failure) => {
                assert_eq!((at, failure.kind()), (7, kv::failure::Kind::Invalid));
                assert!(failure.message.starts_with("key of 65537 bytes"), "{}", failure.message);
            }
        }
    }

    let mut other = connect(&cluster, 3).await;
    let keys = (0..201).map(|n| format!("key {n}").into()).collect();
    let request = kv::BatchGetRequest { keys, consistency: QUORUM, deadline_ms: 0 };
    let items = other.batch_get(request).await.unwrap().into_inner().items;
    for (n, item) in items.iter().enumerate() {
        let expected = (n < 200).then(|| vec![n as u8; n]);
        assert_eq!(value_of(item), expected.as_deref(), "{n}");
    }

    let keys = (100..300).map(|n| format!("key {n}").into()).collect();
    let request = kv::BatchDeleteRequest { keys, consistency: QUORUM, deadline_ms: 0 };
    let items = other.batch_delete(request).await.unwrap().into_inner().items;
    let existed = items.iter().filter(
        |item| matches!(&item.result, Some(kv::batch_delete_response::item::Result::Answer(a)) if a.existed),
    );
    assert_eq!((items.len(), existed.count()), (200, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_beyond_its_bounds_is_refused_and_values_beyond_them_are_errors_of_their_own() {
    // So much that two of the largest values fit one shard.
    let cluster = TestCluster::start_with(1, |config| config.max_memory = 4 << 30).await;
    let mut client = connect(&cluster, 0).await;
    let request = kv::BatchGetRequest { keys: vec!["k".into(); 10_001], ..Default::default() };
    let refused = client.batch_get(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "batch of 10001 keys exceeds the limit of 10000");

    for n in 0..2 {
        let (key, value) = (format!("large {n}").into(), vec![n; MAX_VALUE_BYTES].into());
        let request = kv::SetRequest { key, value, ..Default::default() };
        client.set(request).await.unwrap();
    }
    let keys = vec!["large 0".into(), "large 1".into(), "none".into()];
    let items = client.batch_get(kv::BatchGetRequest { keys, ..Default::default() }).await.unwrap();
    let items = items.into_inner().items;
    assert_eq!(value_of(&items[0]).map(<[u8]>::len), Some(MAX_VALUE_BYTES));
    assert_eq!(failure_of(&items[1]).unwrap().kind(), kv::failure::Kind::TooLarge);
    assert_eq!(value_of(&items[2]), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_changes_without_the_value_and_is_told_as_an_instant_and_as_time_left() {
    let cluster = TestCluster::start(3).await;
    let mut client = connect(&cluster, 0).await;
    let set = kv::SetRequest { key: "k".into(), value: "v".into(), ttl_ms: 60_000, ..Default::default() };
    let stored = client.set(set).await.unwrap().into_inner().outcome.unwrap();
    assert!((59_000..=60_000).contains(&stored.ttl_ms), "{stored:?}");

    let expire = |key: &'static str, ttl_ms| kv::ExpireRequest {
        key: key.into(),
        ttl_ms,
        consistency: QUORUM,
        ..Default::default()
    };
    let touched = client.expire(expire("k", 5_000)).await.unwrap().into_inner();
    let outcome = touched.outcome.unwrap();
    assert!(touched.existed && (4_000..=5_000).contains(&outcome.ttl_ms), "{outcome:?}");
    assert_eq!(outcome.tag, stored.tag, "a change of expiry keeps the value's tag");
    assert!(!client.expire(expire("none", 5_000)).await.unwrap().into_inner().existed);
    let persisted = client.expire(expire("k", 0)).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!((persisted.expires_at, persisted.ttl_ms), (0, 0));

    let get = kv::GetRequest { key: "k".into(), consistency: QUORUM, ..Default::default() };
    let got = connect(&cluster, 2).await.get(get).await.unwrap().into_inner();
    assert_eq!(got.value.as_deref(), Some(&b"v"[..]));
    assert_eq!(got.outcome.unwrap().expires_at, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let cluster = TestCluster::start(1).await;
    let mut request = Request::new(kv::GetRequest { key: "k".into(), ..Default::default() });
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let status = connect(&cluster, 0).await.get(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("malformed grpc-timeout"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_is_told_at_once_and_again_when_a_node_dies() {
    let mut cluster = TestCluster::start(3).await;
    let mut client = connect(&cluster, 0).await;
    let mut topologies = client.topology(kv::TopologyRequest {}).await.unwrap().into_inner();
    // That the others are ready may still be on its way.
    let is_settled = |topology: &kv::TopologyResponse| topology.nodes.iter().all(|node| node.ready);
    let mut now = topologies.next().await.unwrap().unwrap();
    while !is_settled(&now) {
        let next = tokio::time::timeout(Duration::from_secs(20), topologies.next()).await;
        now = next.expect("readiness is told within 20 s").unwrap().unwrap();
    }
    assert_eq!((now.epoch, now.replicas, now.owners.len(), now.nodes.len()), (1, 3, 64 * 3, 3));
    assert!(now.cluster_id != 0 && now.clock_ms > 0);
    assert_eq!(now.node_id, cluster.nodes[0].config.node_id.as_str());
    for node in &now.nodes {
        assert!(node.live && node.ready && node.member, "{node:?}");
    }
    let doors: BTreeSet<_> = now.nodes.iter().map(|node| node.grpc_address.clone()).collect();
    assert_eq!(doors, cluster.nodes.iter().map(|node| node.config.listen.grpc.to_string()).collect());
    for row in now.owners.chunks(3) {
        assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), 3, "{row:?}");
    }

    cluster.stop_node(1).await;
    let dead = cluster.nodes[1].config.node_id.as_str();
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(topology) = topologies.next().await {
            if topology.unwrap().nodes.iter().any(|node| node.node_id == dead && !node.live) {
                return true;
            }
        }
        false
    });
    assert!(told.await.expect("a death is told within 20 s"));
    // A node that stops ends the streams of its clients.
    cluster.stop_node(0).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(Ok(_)) = topologies.next().await {}
    });
    ended.await.expect("the stream ends with its node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_follows_readiness_and_ends_with_the_node() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let mut health = HealthClient::new(channel(&cluster, 0).await);
    let check = |service: &str| HealthCheckRequest { service: service.into() };
    let alone = health.check(check("")).await.unwrap().into_inner();
    assert_eq!(alone.status(), ServingStatus::NotServing);
    let mut watch = health.watch(check("shoal.kv.v1.Kv")).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    cluster.start_node(1).await;
    cluster.start_node(2).await;
    let serving =
        tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("it becomes ready");
    assert_eq!(serving.unwrap().unwrap().status(), ServingStatus::Serving);
    for service in ["", "shoal.kv.v1.Kv", "shoal.admin.v1.Admin"] {
        eventually("the whole and each service serve", async || {
            health.check(check(service)).await.unwrap().into_inner().status() == ServingStatus::Serving
        })
        .await;
    }
    assert_eq!(health.check(check("nobody")).await.unwrap_err().code(), Code::NotFound);
    let stopping = Instant::now();
    cluster.stop_node(0).await;
    assert!(stopping.elapsed() < Duration::from_secs(4), "an open watch held the node up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_tells_the_services_of_clients_and_their_messages() {
    let cluster = TestCluster::start(1).await;
    let mut reflection = ServerReflectionClient::new(channel(&cluster, 0).await);
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("shoal.kv.v1.Kv".into())),
    ]);
    let mut answers = reflection.server_reflection_info(requests).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: BTreeSet<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["shoal.kv.v1.Kv", "shoal.admin.v1.Admin", "grpc.health.v1.Health"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    assert!(!names.contains("shoal.replica.v1.Replica"), "{names:?}");
    let Some(MessageResponse::FileDescriptorResponse(files)) =
        answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no descriptor of the service")
    };
    assert!(!files.file_descriptor_proto.is_empty());
}
