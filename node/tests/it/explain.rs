//! What is told of single copies, while owners come and go.

use crate::{
    child::run,
    cluster::{TestCluster, at, connect, eventually},
    processes::Processes,
    raw::{Raw, command},
};
use redis::{AsyncCommands as _, FromRedisValue as _, aio::MultiplexedConnection};
use serde_json::{Value, json};
use shoal_node::limits;
use shoal_proto::types::Consistency;
use std::{collections::BTreeMap, net::SocketAddr};

/// `shoal explain --json` through a node.
async fn explain(grpc: SocketAddr, key: &str) -> Value {
    let said = run(&["explain", key, "--json", "--node", &grpc.to_string()], b"").await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    said.json()
}

/// What `shoal explain` says below the table.
async fn verdict(grpc: SocketAddr, key: &str) -> String {
    let said = run(&["explain", key, "--node", &grpc.to_string()], b"").await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = said.text().lines().collect();
    assert!(lines[0].starts_with(&format!("key {key}: slot ")), "{lines:?}");
    assert!(lines[1].starts_with("owner "), "{lines:?}");
    lines[5..].join("\n")
}

/// One owner's part of an explanation.
fn copy<'a>(explanation: &'a Value, node: &str) -> &'a Value {
    let owners = explanation["owners"].as_array().unwrap();
    owners.iter().find(|owner| owner["node_id"] == node).unwrap_or_else(|| panic!("no {node}: {owners:?}"))
}

/// Each owner's `field`, in preference order.
fn all(explanation: &Value, field: &str) -> Vec<Value> {
    explanation["owners"].as_array().unwrap().iter().map(|owner| owner[field].clone()).collect()
}

fn grpc(cluster: &TestCluster, i: usize) -> SocketAddr {
    cluster.nodes[i].config.listen.grpc
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_that_agree_are_told_with_what_they_hold() {
    let cluster = TestCluster::start(4).await;
    let mut client = cluster.connect(0).await;
    let nothing = explain(grpc(&cluster, 0), "k").await;
    assert_eq!((&nothing["agreed"], all(&nothing, "state")), (&json!(true), vec![json!("absent"); 3]));
    assert_eq!(verdict(grpc(&cluster, 0), "k").await, "All 3 owners agree: nothing is held under the key.");

    let _: () = at(Consistency::All, "SET")
        .arg("k")
        .arg("value")
        .arg("EX")
        .arg(100)
        .query_async(&mut client)
        .await
        .unwrap();
    let _: () = at(Consistency::All, "EXPIRE").arg("k").arg(200).query_async(&mut client).await.unwrap();
    // Through every node, owner or not, the same is told, in preference order.
    let info = cluster.info(0);
    let slot = info.key_slot(b"k");
    let ranges = info.slot_ranges();
    let range = ranges.iter().find(|range| (range.start..=range.end).contains(&slot)).unwrap();
    let owners: Vec<Value> = range.owners.iter().map(|owner| json!(owner.node_id.as_str())).collect();
    let before = (0..4).map(|i| cluster.info(i).stats()).map(|s| s.hits + s.misses).sum::<u64>();
    for i in 0..4 {
        let told = explain(grpc(&cluster, i), "k").await;
        assert_eq!((&told["slot"], &told["agreed"]), (&json!(slot), &json!(true)), "{told}");
        assert_eq!(all(&told, "node_id"), owners);
        assert_eq!(all(&told, "state"), vec![json!("value"); 3]);
        assert_eq!(all(&told, "value_bytes"), vec![json!(5); 3]);
        assert_eq!(all(&told, "touch"), vec![json!(1); 3]);
        assert_eq!(all(&told, "hinted_by"), vec![json!([]); 3]);
        assert!(
            told["owners"][0]["ttl_ms"].as_u64().is_some_and(|ms| (100_001..=200_000).contains(&ms)),
            "{told}"
        );
        assert_eq!(told["silent"], json!([]));
    }
    assert_eq!(verdict(grpc(&cluster, 3), "k").await, "All 3 owners agree: there is a value.");
    let after = (0..4).map(|i| cluster.info(i).stats()).map(|s| s.hits + s.misses).sum::<u64>();
    assert_eq!(before, after, "an explanation counts as use");

    let _: () = at(Consistency::All, "DEL").arg("k").query_async(&mut client).await.unwrap();
    let deleted = explain(grpc(&cluster, 1), "k").await;
    assert_eq!((&deleted["agreed"], all(&deleted, "state")), (&json!(true), vec![json!("tombstone"); 3]));
    assert_eq!(all(&deleted, "expires_at_unix_ms"), vec![Value::Null; 3]);
    assert_eq!(verdict(grpc(&cluster, 1), "k").await, "All 3 owners agree: the key was deleted.");

    let _: () = at(Consistency::All, "SET")
        .arg("k")
        .arg("v")
        .arg("PX")
        .arg(50)
        .query_async(&mut client)
        .await
        .unwrap();
    eventually("the value expires", async || client.get::<_, Option<String>>("k").await.unwrap().is_none())
        .await;
    let expired = explain(grpc(&cluster, 2), "k").await;
    assert_eq!((&expired["agreed"], all(&expired, "state")), (&json!(true), vec![json!("expired"); 3]));
    assert_eq!(
        (all(&expired, "ttl_ms"), all(&expired, "value_bytes")),
        (vec![json!(0); 3], vec![json!(0); 3])
    );
    assert_eq!(verdict(grpc(&cluster, 2), "k").await, "All 3 owners agree: the value has expired.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_tells_of_the_hints_it_keeps_itself() {
    let mut cluster = TestCluster::prepare(4, |config| {
        config.seeds.pop();
    });
    for i in 0..4 {
        cluster.start_node(i).await;
    }
    cluster.wait_ready().await;
    let (gateway, absent) = (3, cluster.nodes[2].config.node_id.to_string());
    let mut client = cluster.connect(gateway).await;
    cluster.stop_node(2).await;
    // Until the gateway has noticed, writes wait for the owner that is gone.
    let _: () = client.set("k", "v").await.unwrap();
    eventually("the gateway keeps a hint", async || cluster.info(gateway).stats().hints == 1).await;
    let told = explain(grpc(&cluster, gateway), "k").await;
    let keeper = cluster.nodes[gateway].config.node_id.to_string();
    assert_eq!(copy(&told, &absent)["hinted_by"], json!([keeper]));
    assert_eq!(told["silent"], json!([absent]));
    assert_eq!(copy(&explain(grpc(&cluster, 0), "k").await, &absent)["hinted_by"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_missed_a_write_is_told_apart_until_it_has_caught_up() {
    let mut processes = Processes::start();
    processes.all_ready().await;
    for i in 0..3 {
        processes.connected(i).await;
    }
    let door = |processes: &Processes, i: usize| processes.listen[i].grpc;
    let name = |processes: &Processes, i: usize| processes.listen[i].gossip.to_string();
    let (first, second, third) = (name(&processes, 0), name(&processes, 1), name(&processes, 2));
    let mut client = connect(processes.listen[0].resp).await;
    let _: () = at(Consistency::All, "SET").arg("k").arg("old").query_async(&mut client).await.unwrap();

    // One that is frozen does not answer, and what it misses is kept for it.
    processes.running[2].signal("STOP");
    let _: () = client.set("k", "new").await.unwrap();
    let told = explain(door(&processes, 0), "k").await;
    let silent = copy(&told, &third);
    assert!(["no answer in time", "unreachable"].contains(&silent["error"].as_str().unwrap()), "{silent}");
    assert_eq!(
        (&silent["state"], &silent["tag"], &told["agreed"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(copy(&told, &first)["newest"], json!(true));
    eventually("a hint is kept for the frozen owner", async || {
        let told = explain(door(&processes, 1), "k").await;
        copy(&told, &third)["hinted_by"] == json!([first]) && copy(&told, &third)["error"] == "unreachable"
    })
    .await;
    // What was written before its stream was given up may still reach it when it wakes; this will not.
    let mut set = at(Consistency::Quorum, "SET");
    let _: () = set.arg("k").arg("newest").query_async(&mut client).await.unwrap();
    let said = verdict(door(&processes, 1), "k").await;
    assert!(said.starts_with("The newest, on 2 of 3 owners (a quorum): there is a value.\n"), "{said}");
    assert!(said.contains(&format!("A hint at {first} waits for it and is delivered")), "{said}");

    // Whoever kept the hint dies, and with it the hint: the one that has slept is behind.
    processes.running[0].kill();
    processes.running[2].signal("CONT");
    let mut told = Value::Null;
    eventually("the owner that has slept answers", async || {
        told = explain(door(&processes, 1), "k").await;
        copy(&told, &third)["error"].is_null()
    })
    .await;
    let (newest, behind) = (copy(&told, &second), copy(&told, &third));
    assert_eq!((&newest["newest"], &behind["newest"]), (&json!(true), &json!(false)), "{told}");
    assert!(newest["tag"].as_u64() > behind["tag"].as_u64(), "{told}");
    assert_eq!((&behind["state"], &behind["value_bytes"]), (&json!("value"), &json!(3)));
    let unreached = &copy(&told, &first)["error"];
    assert!(unreached.is_string(), "{told}");
    let said = verdict(door(&processes, 1), "k").await;
    assert!(said.starts_with("The newest, on 1 of 3 owners (less than a quorum): "), "{said}");
    assert!(said.contains(&format!("{third} is behind. No hint waits for it: ")), "{said}");

    // As it says, the next read that asks it mends it.
    let mut survivor = connect(processes.listen[1].resp).await;
    let mut value = None;
    eventually("a read at QUORUM succeeds", async || {
        let read = at(Consistency::Quorum, "GET").arg("k").query_async::<String>(&mut survivor).await;
        value = read.ok();
        value.is_some()
    })
    .await;
    assert_eq!(value.as_deref(), Some("newest"));
    told = explain(door(&processes, 1), "k").await;
    assert_eq!(copy(&told, &third)["newest"], json!(true), "{told}");

    // The one that died comes back empty and takes over what it has lost, under a new generation.
    let before = copy(&told, &first)["generation"].clone();
    processes.running[0] = processes.serve(0);
    processes.ready(0).await;
    eventually("all owners agree", async || {
        told = explain(door(&processes, 1), "k").await;
        told["agreed"] == json!(true)
    })
    .await;
    assert!(copy(&told, &first)["generation"].as_u64() > before.as_u64(), "{told}");
    assert_eq!(all(&told, "trust"), vec![json!("ready"); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_rebuilds_is_told_apart_from_one_that_forgot() {
    let mut cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    let _: () = at(Consistency::All, "SET").arg("k").arg("v").query_async(&mut client).await.unwrap();
    cluster.stop_node(1).await;
    cluster.stop_node(2).await;
    // With one co-owner in sight it cannot know what it has lost.
    cluster.start_node(1).await;
    let (rebuilding, away) = [1, 2].map(|i| cluster.nodes[i].config.node_id.to_string()).into();
    let mut told = Value::Null;
    eventually("the restarted owner answers", async || {
        told = explain(grpc(&cluster, 0), "k").await;
        copy(&told, &rebuilding)["error"].is_null()
    })
    .await;
    let copy_of = copy(&told, &rebuilding);
    assert_eq!((&copy_of["trust"], &copy_of["state"]), (&json!("starting"), &json!("absent")), "{told}");
    assert_eq!((&copy_of["newest"], &told["silent"]), (&json!(false), &json!([away])));
    let said = verdict(grpc(&cluster, 0), "k").await;
    assert!(said.contains(&format!("{rebuilding} is behind. It is rebuilding its memory")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_keys_are_explained_at_once() {
    let cluster = TestCluster::start(3).await;
    let mut raw = Raw::connect(cluster.resp(0)).await;
    let explain = command(&[b"SHOAL.EXPLAIN", b"k"]);
    raw.send(&[&explain.repeat(100)[..], &command(&[b"QUIT"])].concat()).await;
    let answers = raw.rest().await;
    let refused = answers.matches("-TRYAGAIN overloaded: too many keys are being explained at once").count();
    let told = answers.matches("$9\r\nhinted-by\r\n").count() / 3;
    assert_eq!(refused + told, 100, "{answers}");
    assert!(told >= limits::EXPLANATIONS && refused > 0, "{told} told, {refused} refused");
    // Places are given back.
    let mut client = cluster.connect(0).await;
    assert_eq!(explain_over_resp(&mut client, "k").await["epoch"], redis::Value::Int(1));
}

/// `SHOAL.EXPLAIN`, whose owners are maps in both protocols.
async fn explain_over_resp(client: &mut MultiplexedConnection, key: &str) -> BTreeMap<String, redis::Value> {
    redis::cmd("SHOAL.EXPLAIN").arg(key).query_async(client).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_clients_are_told_the_same() {
    let cluster = TestCluster::start(3).await;
    let mut resp2 = cluster.connect(0).await;
    let url = format!("redis://{}/?protocol=resp3", cluster.resp(1));
    let mut resp3 = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let _: () = at(Consistency::All, "SET").arg("k").arg("value").query_async(&mut resp2).await.unwrap();
    let told = explain(grpc(&cluster, 2), "k").await;
    for client in [&mut resp2, &mut resp3] {
        let explanation = explain_over_resp(client, "k").await;
        let text = |value: &redis::Value| String::from_redis_value(value.clone()).unwrap();
        assert_eq!(text(&explanation["slot"]), told["slot"].to_string());
        let owners = Vec::<BTreeMap<String, redis::Value>>::from_redis_value(explanation["owners"].clone());
        for (owner, expected) in owners.unwrap().iter().zip(told["owners"].as_array().unwrap()) {
            assert_eq!(text(&owner["node"]), expected["node_id"].as_str().unwrap());
            assert_eq!(text(&owner["version"]), expected["tag"].to_string());
            assert_eq!((text(&owner["state"]).as_str(), text(&owner["newest"]).as_str()), ("value", "1"));
        }
    }
    let mut levelled = at(Consistency::All, "SHOAL.EXPLAIN");
    let error = levelled.arg("k").query_async::<redis::Value>(&mut resp2).await.unwrap_err();
    assert!(error.to_string().contains("takes no consistency level"), "{error}");
    // In the order of the connection: what was written before is seen.
    let mut pipe = redis::pipe();
    pipe.cmd("CL").arg("ALL").arg("SET").arg("k").arg("other").ignore().cmd("SHOAL.EXPLAIN").arg("k");
    let (explanation,): (BTreeMap<String, redis::Value>,) = pipe.query_async(&mut resp2).await.unwrap();
    let owners =
        Vec::<BTreeMap<String, redis::Value>>::from_redis_value(explanation["owners"].clone()).unwrap();
    assert!(owners.iter().all(|owner| owner["value-bytes"] == redis::Value::Int(5)));
    assert_ne!(owners[0]["version"], redis::Value::BulkString(told["owners"][0]["tag"].to_string().into()));
}
