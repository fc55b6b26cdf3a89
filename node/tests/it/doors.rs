//! The unmodified `redis` crate against real nodes.

use crate::cluster::{TestCluster, at, eventually};
use redis::{
    AsyncCommands as _, FromRedisValue as _, SetExpiry, SetOptions, Value, aio::MultiplexedConnection,
};
use shoal_membership::{WallClock as _, env::SystemClock};
use shoal_proto::types::{Consistency, MAX_VALUE_BYTES};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_through_one_node_is_read_at_quorum_through_every_other() {
    let cluster = TestCluster::start(3).await;
    let mut first = cluster.connect(0).await;
    let _: () = first.set_ex("k", "v", 60).await.unwrap();
    for i in 0..3 {
        let mut other = cluster.connect(i).await;
        let value: String = at(Consistency::Quorum, "GET").arg("k").query_async(&mut other).await.unwrap();
        assert_eq!(value, "v", "node {i}");
        let ttl: i64 = other.ttl("k").await.unwrap();
        assert!((58..=60).contains(&ttl), "{ttl}");
    }
    let gone: i64 = first.del(&["k", "never"]).await.unwrap();
    assert_eq!(gone, 1);
    let missing: Option<String> = cluster.connect(2).await.get("k").await.unwrap();
    assert_eq!(missing, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_is_set_told_kept_changed_and_honoured() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    let now = SystemClock.now().0 / 1000;
    for (key, expiry) in [
        ("ex", SetExpiry::EX(100)),
        ("px", SetExpiry::PX(100_000)),
        ("exat", SetExpiry::EXAT(now + 100)),
        ("pxat", SetExpiry::PXAT((now + 100) * 1000)),
    ] {
        let options = SetOptions::default().with_expiration(expiry);
        let _: () = client.set_options(key, "v", options).await.unwrap();
        let ttl: i64 = client.ttl(key).await.unwrap();
        let pttl: i64 = client.pttl(key).await.unwrap();
        assert!((90..=100).contains(&ttl) && (90_000..=100_000).contains(&pttl), "{key}: {ttl} s, {pttl} ms");
    }
    let keep = SetOptions::default().with_expiration(SetExpiry::KEEPTTL);
    let _: () = client.set_options("ex", "w", keep).await.unwrap();
    let (value, ttl): (String, i64) = (client.get("ex").await.unwrap(), client.ttl("ex").await.unwrap());
    assert!(value == "w" && (90..=100).contains(&ttl), "{value} {ttl}");
    let _: () = client.set("ex", "x").await.unwrap();
    assert_eq!(client.ttl::<_, i64>("ex").await.unwrap(), -1);
    assert_eq!(client.ttl::<_, i64>("none").await.unwrap(), -2);

    assert_eq!(client.expire::<_, i64>("ex", 50).await.unwrap(), 1);
    assert!((45..=50).contains(&client.ttl::<_, i64>("ex").await.unwrap()));
    assert_eq!(client.expire::<_, i64>("none", 50).await.unwrap(), 0);
    assert_eq!(client.persist::<_, i64>("ex").await.unwrap(), 1);
    assert_eq!(client.ttl::<_, i64>("ex").await.unwrap(), -1);

    let started = Instant::now();
    assert_eq!(client.pexpire::<_, i64>("px", 300).await.unwrap(), 1);
    for i in 0..3 {
        let mut other = cluster.connect(i).await;
        eventually("the value expires on every node", async || {
            other.get::<_, Option<String>>("px").await.unwrap().is_none()
        })
        .await;
    }
    assert!(started.elapsed() >= Duration::from_millis(300), "expired after {:?}", started.elapsed());
    assert_eq!(client.pttl::<_, i64>("px").await.unwrap(), -2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_in_one_command_lie_on_many_vnodes() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    let pairs: Vec<(String, String)> = (0..100).map(|i| (format!("key {i}"), format!("value {i}"))).collect();
    let keys: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
    let _: () = client.mset(&pairs).await.unwrap();
    let mut other = cluster.connect(1).await;
    let mut mget = at(Consistency::Quorum, "MGET");
    let found: Vec<Option<String>> = mget.arg(&keys).arg("none").query_async(&mut other).await.unwrap();
    let expected: Vec<Option<String>> =
        pairs.iter().map(|(_, value)| Some(value.clone())).chain([None]).collect();
    assert_eq!(found, expected);
    let mut exists = at(Consistency::Quorum, "EXISTS");
    let count: i64 = exists.arg(&keys).arg(&keys[..7]).arg("none").query_async(&mut other).await.unwrap();
    assert_eq!(count, 107);
    let gone: i64 = other.del(&keys[..40]).await.unwrap();
    assert_eq!(gone, 40);
    let mut exists = at(Consistency::Quorum, "EXISTS");
    assert_eq!(exists.arg(&keys).query_async::<i64>(&mut client).await.unwrap(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_are_a_key_and_a_value() {
    let cluster = TestCluster::start(3).await;
    let all: Vec<u8> = (0..=255).collect();
    let keys: [&[u8]; 5] = [b"", b"\0", b"\r\n$3\r\n", &all, &[0xff; 64 * 1024]];
    for (i, key) in keys.into_iter().enumerate() {
        let mut client = cluster.connect(i % 3).await;
        let mut value = key.to_vec();
        value.push(i as u8);
        let mut set = at(Consistency::All, "SET");
        let _: () = set.arg(key).arg(&value).query_async(&mut client).await.unwrap();
        let mut other = cluster.connect((i + 1) % 3).await;
        assert_eq!(other.get::<_, Vec<u8>>(key).await.unwrap(), value, "key {i}");
    }
    let empty: Vec<u8> = {
        let mut client = cluster.connect(0).await;
        let _: () = client.set("empty", b"").await.unwrap();
        client.get("empty").await.unwrap()
    };
    assert!(empty.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_value_passes_through_a_node_that_does_not_own_it() {
    let cluster = TestCluster::start(4).await;
    let value: Vec<u8> = (0..MAX_VALUE_BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let key = "large";
    let info = cluster.info(0);
    let slot = info.key_slot(key.as_bytes());
    let ranges = info.slot_ranges();
    let owners = &ranges.iter().find(|range| (range.start..=range.end).contains(&slot)).unwrap().owners;
    let stranger = (0..4)
        .find(|i| !owners.iter().any(|owner| owner.node_id == cluster.nodes[*i].config.node_id))
        .expect("three of four nodes own a key");
    let mut client = cluster.connect(stranger).await;
    for level in [Consistency::One, Consistency::All] {
        let mut set = at(level, "SET");
        let _: () = set.arg(key).arg(&value).query_async(&mut client).await.unwrap();
        // At ONE the owners that are asked may not have it yet.
        eventually("the value comes back", async || {
            let mut get = at(level, "GET");
            let found: Option<Vec<u8>> = get.arg(key).query_async(&mut client).await.unwrap();
            assert!(found.is_some() || level == Consistency::One, "missing at {level}");
            found.is_some_and(|found| found == value)
        })
        .await;
    }
    assert!(cluster.held(stranger).is_empty(), "kept by a node that does not own it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_of_a_thousand_commands_is_answered_in_order() {
    let cluster = TestCluster::start(3).await;
    for i in 0..3 {
        let mut client = cluster.connect(i).await;
        let mut pipeline = redis::pipe();
        for n in 0..500 {
            // Few keys: what comes later on the same key must see what came before.
            let key = format!("{i} {}", n % 7);
            pipeline.cmd("SET").arg(&key).arg(n).ignore().cmd("GET").arg(&key);
        }
        let answers: Vec<i64> = pipeline.query_async(&mut client).await.unwrap();
        assert_eq!(answers, (0..500).collect::<Vec<i64>>(), "node {i}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_level_works_on_every_node_before_a_command_and_for_a_connection() {
    let cluster = TestCluster::start(3).await;
    for i in 0..3 {
        let mut client = cluster.connect(i).await;
        for level in Consistency::LEVELS {
            let (key, value) = (format!("{i} {level}"), format!("value of {level}"));
            let _: () = at(level, "SET").arg(&key).arg(&value).query_async(&mut client).await.unwrap();
            let found: String = at(level, "GET").arg(&key).query_async(&mut client).await.unwrap();
            assert_eq!(found, value, "{level} through node {i}");
            let _: () = redis::cmd("CL").arg(level.name()).query_async(&mut client).await.unwrap();
            let told: String = redis::cmd("CL").query_async(&mut client).await.unwrap();
            assert_eq!(told, level.name());
            let touched: i64 = client.expire(&key, 100).await.unwrap();
            assert_eq!(touched, 1, "{level} through node {i}");
            let gone: i64 = at(level, "DEL").arg(&key).query_async(&mut client).await.unwrap();
            assert_eq!(gone, 1, "{level} through node {i}");
            let _: () = redis::cmd("CL").arg("DEFAULT").query_async(&mut client).await.unwrap();
        }
    }
}

/// First slot, last slot, ports of the owners.
type Range = (u16, u16, Vec<u16>);

/// `CLUSTER SLOTS` of one node, which must cover every slot once.
async fn slots(client: &mut MultiplexedConnection) -> Vec<Range> {
    let reply: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(client).await.unwrap();
    let ranges: Vec<Range> = reply
        .into_iter()
        .map(|range| {
            let bound = |at: usize| u16::from_redis_value(range[at].clone()).unwrap();
            let port = |owner: &Value| {
                let (host, port, id) = <(String, u16, String)>::from_redis_value(owner.clone()).unwrap();
                assert_eq!((host.as_str(), id.len()), ("127.0.0.1", 40));
                port
            };
            (bound(0), bound(1), range[2..].iter().map(port).collect())
        })
        .collect();
    let mut covered = vec![0; 16384];
    for (start, end, _) in &ranges {
        covered[usize::from(*start)..=usize::from(*end)].iter_mut().for_each(|times| *times += 1);
    }
    assert!(covered.iter().all(|times| *times == 1));
    ranges
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_slots_cover_every_slot_with_three_owners() {
    let cluster = TestCluster::start(3).await;
    let ports: BTreeSet<u16> = (0..3).map(|i| cluster.resp(i).port()).collect();
    let mut told = BTreeSet::new();
    for i in 0..3 {
        let ranges = slots(&mut cluster.connect(i).await).await;
        assert!(ranges.iter().all(|(_, _, owners)| owners.iter().copied().collect::<BTreeSet<_>>() == ports));
        told.insert(ranges);
    }
    assert_eq!(told.len(), 1, "all nodes tell the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_nobody_has_told_of_are_not_listed_without_an_address() {
    let mut cluster = TestCluster::start_with(4, |config| config.replicas = 2).await;
    for i in 0..4 {
        cluster.stop_node(i).await;
    }
    // It has the record, with four members, and will not hear of the others.
    cluster.start_node(0).await;
    let ranges = slots(&mut cluster.connect(0).await).await;
    assert!(ranges.iter().all(|(_, _, owners)| *owners == [cluster.resp(0).port()]), "{ranges:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_client_finds_its_way() {
    let cluster = TestCluster::start(3).await;
    let client = redis::cluster::ClusterClient::new(vec![format!("redis://{}/", cluster.resp(1))]).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    for n in 0..100 {
        let _: () = connection.set(format!("key {n}"), n).await.unwrap();
        assert_eq!(connection.get::<_, i64>(format!("key {n}")).await.unwrap(), n);
    }
    let direct = (0..3).filter(|i| cluster.requests(*i, "set") > 0).count();
    assert_eq!(direct, 3, "it writes to the first owner of each slot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resp3_info_and_dbsize_are_spoken() {
    let cluster = TestCluster::start(3).await;
    let url = format!("redis://{}/?protocol=resp3", cluster.resp(0));
    let client = redis::Client::open(url).unwrap();
    let mut resp3 = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = resp3.set("k", "v").await.unwrap();
    assert_eq!(resp3.get::<_, Value>("k").await.unwrap(), Value::BulkString(b"v".to_vec()));
    assert_eq!(resp3.get::<_, Value>("none").await.unwrap(), Value::Nil);
    let hello: BTreeMap<String, Value> = redis::cmd("HELLO").arg(3).query_async(&mut resp3).await.unwrap();
    assert_eq!(hello["proto"], Value::Int(3));
    assert_eq!(hello["server"], Value::BulkString(b"shoal".to_vec()));
    let size: i64 = redis::cmd("DBSIZE").query_async(&mut resp3).await.unwrap();
    assert_eq!(size, 1);
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut resp3).await.unwrap();
    assert_eq!(info.get::<String>("cluster_name").as_deref(), Some("test"));
    assert_eq!(info.get::<u32>("vnodes_ready"), Some(64));
    assert!(info.get::<u64>("total_commands_processed").is_some_and(|commands| commands >= 4));
    let ports: u16 = info.get("tcp_port").unwrap();
    assert_eq!(ports, cluster.resp(0).port());
}

/// The fields of an outcome as text; those without a value are left out.
fn fields(map: Value) -> BTreeMap<String, String> {
    let pairs = match map {
        Value::Map(pairs) => pairs,
        Value::Array(items) => items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        other => panic!("{other:?}"),
    };
    let text = |value: Value| match value {
        Value::Array(items) => Some(
            items
                .into_iter()
                .map(|item| String::from_redis_value(item).unwrap())
                .collect::<Vec<_>>()
                .join(","),
        ),
        value => Option::<String>::from_redis_value(value).unwrap(),
    };
    let field = |(name, value)| Some((String::from_redis_value(name).unwrap(), text(value)?));
    pairs.into_iter().filter_map(field).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_tell_what_they_were_worth_to_clients_that_ask() {
    let cluster = TestCluster::start(3).await;
    let url = format!("redis://{}/?protocol=resp3", cluster.resp(0));
    let mut resp3 = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut resp2 = cluster.connect(1).await;
    for client in [&mut resp3, &mut resp2] {
        let on: String = redis::cmd("SHOAL.OUTCOME").arg("ON").query_async(client).await.unwrap();
        let told: String = redis::cmd("SHOAL.OUTCOME").query_async(client).await.unwrap();
        assert_eq!((on.as_str(), told.as_str()), ("OK", "ON"));
    }
    let mut set = at(Consistency::Quorum, "SET");
    let reply: Value = set.arg("k").arg("v").arg("EX").arg(60).query_async(&mut resp3).await.unwrap();
    let Value::Attribute { data, attributes } = reply else { panic!("{reply:?}") };
    assert_eq!(*data, Value::Okay);
    let stored = fields(attributes.into_iter().next().unwrap().1);
    assert_eq!((stored["reached"].as_str(), stored["asked"].as_str()), ("QUORUM", "3"));
    assert_eq!(stored["flags"], "");
    assert!(!stored.contains_key("superseded-by"), "{stored:?}");
    assert!((59_000..=60_000).contains(&stored["ttl-ms"].parse::<u64>().unwrap()), "{stored:?}");

    let reply: Value = at(Consistency::All, "GET").arg("k").query_async(&mut resp2).await.unwrap();
    let Value::Array(both) = reply else { panic!("{reply:?}") };
    let [value, outcome] = <[Value; 2]>::try_from(both).unwrap();
    assert_eq!(value, Value::BulkString(b"v".to_vec()));
    let got = fields(outcome);
    assert_eq!((&got["version"], &got["expires-at"]), (&stored["version"], &stored["expires-at"]));
    assert_eq!((got["reached"].as_str(), got["answered"].as_str()), ("ALL", "3"));

    let reply: Value = redis::cmd("MGET").arg(&["k", "none"]).query_async(&mut resp3).await.unwrap();
    let Value::Attribute { attributes, .. } = reply else { panic!("{reply:?}") };
    let Value::Array(outcomes) = &attributes[0].1 else { panic!("{attributes:?}") };
    assert_eq!(outcomes.len(), 2, "one outcome per key");

    let error = redis::cmd("SHOAL.OUTCOME").arg("MAYBE").query_async::<Value>(&mut resp2).await.unwrap_err();
    assert!(error.to_string().contains("syntax error"), "{error}");
    let _: () = redis::cmd("SHOAL.OUTCOME").arg("OFF").query_async(&mut resp2).await.unwrap();
    assert_eq!(resp2.get::<_, String>("k").await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_write_is_soon_visible_at_one_through_every_node() {
    const ROUNDS: usize = 50;
    let cluster = TestCluster::start(3).await;
    let mut writer = cluster.connect(0).await;
    let mut readers = [cluster.connect(1).await, cluster.connect(2).await];
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let _: () = writer.set("k", n).await.unwrap();
        let written = Instant::now();
        for reader in &mut readers {
            while reader.get::<_, Option<usize>>("k").await.unwrap() != Some(n) {
                assert!(written.elapsed() < Duration::from_secs(2), "not visible after 2 s");
            }
        }
        times.push(written.elapsed());
    }
    times.sort();
    eprintln!(
        "visible at ONE through both other nodes: median {:?}, worst of {ROUNDS} {:?}",
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
}
