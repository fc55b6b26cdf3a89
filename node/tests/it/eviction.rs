//! What becomes of writes when memory is full, by the policy a node was told.

use crate::{
    cluster::{TestCluster, at, eventually},
    raw::Raw,
    rest_client::{self, BYTES},
};
use redis::AsyncCommands as _;
use shoal_client::{CallOptions, Client, ClientConfig, ClientError};
use shoal_node::{limits::MIN_MEMORY_BYTES, store::EvictionPolicy};
use shoal_proto::{
    types::{Consistency, Key, Value},
    wire::kv::v1::{self as kv, failure::Kind, kv_client::KvClient},
};
use tonic::Code;
use tonic_types::StatusExt as _;

const VALUE_BYTES: usize = 64 << 10;
/// More values of that size than fit.
const MANY: usize = 2 * MIN_MEMORY_BYTES as usize / VALUE_BYTES;
const FULL: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

async fn start(nodes: usize, policy: EvictionPolicy) -> TestCluster {
    TestCluster::start_with(nodes, |config| {
        config.max_memory = MIN_MEMORY_BYTES;
        config.eviction_policy = policy;
    })
    .await
}

/// Sets values until one is refused; says how many were taken.
async fn fill(client: &mut Raw) -> usize {
    let value = vec![b'v'; VALUE_BYTES];
    for i in 0..MANY {
        let answer = client.ask(&[b"SET", format!("key{i}").as_bytes(), &value]).await;
        if answer != "+OK" {
            assert_eq!(answer, FULL);
            return i;
        }
    }
    panic!("{MANY} values of {VALUE_BYTES} bytes were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_eviction_every_door_refuses_what_has_no_room_and_goes_on_serving() {
    let cluster = start(1, EvictionPolicy::NoEviction).await;
    let mut client = Raw::connect(cluster.resp(0)).await;
    let taken = fill(&mut client).await;
    assert!(taken > MANY / 4, "{taken}");
    let value = vec![b'v'; VALUE_BYTES];

    let rest = rest_client::send(cluster.http(0), "POST", "/cache/new", &[BYTES], &value).await;
    assert_eq!((rest.status, rest.problem().0.as_str()), (507, "out_of_memory"), "{rest:?}");
    let grpc = cluster.nodes[0].config.listen.grpc;
    let mut raw = KvClient::connect(format!("http://{grpc}")).await.unwrap();
    let request =
        kv::SetRequest { key: b"new".to_vec().into(), value: value.clone().into(), ..Default::default() };
    let status = raw.set(request).await.unwrap_err();
    let reason = status.get_details_error_info().unwrap().reason;
    assert_eq!((status.code(), reason.as_str()), (Code::ResourceExhausted, Kind::OutOfMemory.as_str_name()));
    let own = Client::connect(&[grpc.to_string()], ClientConfig::default()).await.unwrap();
    let (key, new) = (Key::new("new").unwrap(), Value::new(value.clone()).unwrap());
    let error = own.set(key, new, None, &CallOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::OutOfMemory { maybe: false, .. }), "{error:?}");
    assert_eq!(cluster.metric(0, r#"shoal_store_refused_total{reason="full"}"#), 4);
    let failed = r#"shoal_request_errors_total{door="rest",operation="set",kind="out_of_memory"}"#;
    assert_eq!(cluster.metric(0, failed), 1);

    // Nothing was given up, everything is there, and a value may be replaced by one of its size.
    let mut redis = cluster.connect(0).await;
    assert_eq!(redis::cmd("DBSIZE").query_async::<usize>(&mut redis).await.unwrap(), taken);
    assert_eq!(cluster.metric(0, "shoal_store_evictions_total"), 0);
    assert_eq!(redis.get::<_, Vec<u8>>("key0").await.unwrap(), value);
    assert_eq!(client.ask(&[b"SET", b"key0", &value]).await, "+OK");
    // Deletions are taken however full it is, and make room.
    assert_eq!(client.ask(&[b"DEL", b"key0", b"key1"]).await, ":2");
    assert_eq!(client.ask(&[b"SET", b"new", &value]).await, "+OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_that_are_full_refuse_copies_too() {
    let cluster = start(3, EvictionPolicy::NoEviction).await;
    let mut client = cluster.connect(0).await;
    let value = vec![b'v'; VALUE_BYTES];
    let mut taken = 0;
    let refused = loop {
        let set = at(Consistency::All, "SET").arg(format!("key{taken}")).arg(&value).to_owned();
        match set.query_async::<()>(&mut client).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < MANY);
    };
    assert_eq!(refused.code(), Some("OOM"), "{refused}");
    // None of them has given anything up for a copy, nor keeps hints of what the others refused.
    let mut held: Vec<usize> = (0..3).map(|i| cluster.held(i).len()).collect();
    held.sort_unstable();
    assert!(held[0] >= taken && held[2] <= taken + 1, "{held:?} of {taken}");
    for i in 0..3 {
        assert_eq!(
            (cluster.metric(i, "shoal_store_evictions_total"), cluster.metric(i, "shoal_hints")),
            (0, 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_told_under_redis_names_and_stays_what_it_was_at_the_start() {
    for (policy, name) in [
        (EvictionPolicy::WTinyLfu, "wtinylfu"),
        (EvictionPolicy::Lru, "allkeys-lru"),
        (EvictionPolicy::Lfu, "allkeys-lfu"),
    ] {
        let cluster = start(1, policy).await;
        let mut client = cluster.connect(0).await;
        let told: Vec<String> =
            redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut client).await.unwrap();
        assert_eq!(told, ["maxmemory-policy", name]);
        let other = redis::cmd("CONFIG")
            .arg(&["SET", "maxmemory-policy", "volatile-ttl"])
            .query_async::<()>(&mut client)
            .await
            .unwrap_err();
        assert!(other.to_string().contains("it is read at start alone"), "{other}");

        // It evicts, and says so.
        let value = vec![b'v'; VALUE_BYTES];
        for i in 0..MANY {
            let _: () = client.set(i, &value).await.unwrap();
        }
        eventually("what is too much has been given up", async || {
            cluster.metric(0, "shoal_store_bytes") <= MIN_MEMORY_BYTES
        })
        .await;
        let evicted = cluster.metric(0, "shoal_store_evictions_total");
        assert!(evicted > 0);
        let text = cluster.info(0).metrics_text();
        assert!(
            text.contains(&format!(r#"shoal_store_policy_info{{policy="{}"}} 1"#, policy.name())),
            "{text}"
        );
        for family in ["shoal_store_evicted_from_total", "shoal_store_evicted_for_total"] {
            let values = text.lines().filter(|line| line.starts_with(family));
            let sum: u64 = values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
            assert_eq!(sum, evicted, "{family}");
        }
        let kinds = text.lines().filter(|line| line.starts_with("shoal_store_kind_bytes"));
        let bytes: u64 = kinds.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut client).await.unwrap();
        for line in [format!("used_memory:{bytes}"), format!("maxmemory_policy:{name}")] {
            assert!(memory.lines().any(|told| told == line), "no {line} in {memory}");
        }
        assert!(memory.contains("mem_fragmentation_ratio:"), "{memory}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_often_a_key_is_used_is_told_where_that_is_counted() {
    for (policy, is_counted) in [(EvictionPolicy::WTinyLfu, true), (EvictionPolicy::Lru, false)] {
        let cluster = start(3, policy).await;
        let mut client = cluster.connect(0).await;
        let _: () = at(Consistency::All, "SET").arg("k").arg("v").query_async(&mut client).await.unwrap();
        for _ in 0..5 {
            let _: String = client.get("k").await.unwrap();
        }
        let frequency = |key: &str| redis::cmd("OBJECT").arg("FREQ").arg(key).to_owned();
        let none: Option<i64> = frequency("missing").query_async(&mut client).await.unwrap();
        assert_eq!(none, None);
        match frequency("k").query_async::<i64>(&mut client).await {
            Ok(uses) => assert!(is_counted && (5..=15).contains(&uses), "{policy:?}: {uses}"),
            Err(error) => assert!(!is_counted && error.to_string().contains("not selected"), "{error}"),
        }
    }
}
