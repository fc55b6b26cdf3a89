//! The cache over REST, on real nodes.

use crate::{
    cluster::{TestCluster, eventually},
    rest_client::{BYTES, JSON, exchange, send},
};
use redis::AsyncCommands as _;
use std::{net::SocketAddr, time::Duration};

/// Nodes that wait for owners on a busy machine: no answer here may depend on how fast it is.
async fn start(count: usize) -> TestCluster {
    TestCluster::start_with(count, |config| config.request_timeout = Duration::from_secs(20)).await
}

async fn store(address: SocketAddr, target: &str, value: &[u8]) {
    assert_eq!(send(address, "PUT", target, &[BYTES], value).await.status, 204, "{target}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_stores_every_node_reads_changes_and_deletes() {
    let cluster = start(3).await;
    let [a, b, c] = [0, 1, 2].map(|i| cluster.http(i));
    let key = "/cache/greeting?consistency=quorum";
    let created = send(a, "POST", key, &[JSON], br#"{"value":"hello","ttlSeconds":3600}"#).await;
    assert_eq!((created.status, created.text()), (201, r#"{"status":"stored"}"#));
    assert_eq!((created.header("shoal-reached"), created.header("shoal-asked")), ("QUORUM", "3"));
    assert!(created.header("shoal-answered").parse::<u8>().unwrap() >= 2, "{created:?}");
    assert_eq!(created.header("shoal-flags"), "");
    let ttl: u64 = created.header("shoal-ttl-ms").parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&ttl), "{ttl}");

    let read = send(b, "GET", key, &[], b"").await;
    assert_eq!((read.status, read.text()), (200, r#"{"value":"hello"}"#));
    for name in ["shoal-version", "shoal-expires-at"] {
        assert!(read.header(name).parse::<u64>().is_ok(), "{name}: {read:?}");
        assert_eq!(read.header(name), created.header(name));
    }
    assert_eq!(read.header("vary"), "accept, authorization, shoal-consistency");
    assert_eq!(read.header("cache-control"), "private, no-cache", "no copy is as fresh as QUORUM promises");
    let at_one = send(b, "GET", "/cache/greeting?consistency=one", &[], b"").await;
    let kept = at_one.header("cache-control").strip_prefix("private, max-age=").expect("it may be kept");
    assert!((3_500..3_600).contains(&kept.parse::<u64>().unwrap()), "{kept}");
    let raw = send(b, "GET", key, &[("accept", "application/octet-stream")], b"").await;
    assert_eq!((raw.status, raw.text()), (200, "hello"));
    assert_eq!(raw.header("content-type"), "application/octet-stream");
    let head = send(b, "HEAD", key, &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!((head.header("content-length"), head.header("etag")), ("17", read.header("etag")));

    let unchanged = send(c, "GET", key, &[("if-none-match", read.header("etag"))], b"").await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), read.header("etag"));
    let touched = send(c, "PATCH", key, &[JSON], br#"{"ttlSeconds":null}"#).await;
    assert_eq!((touched.status, touched.text()), (200, r#"{"status":"touched"}"#));
    let at_one = send(b, "GET", "/cache/greeting?consistency=one", &[], b"").await;
    assert_eq!(at_one.header("cache-control"), "private, no-cache", "nobody knows how long it stays");
    let stays = send(a, "GET", key, &[("if-none-match", read.header("etag"))], b"").await;
    assert_eq!((stays.status, stays.header("shoal-ttl-ms")), (200, ""), "its expiry is part of its name");
    assert_eq!(stays.header("shoal-version"), read.header("shoal-version"));

    let replaced = send(b, "PUT", key, &[JSON], br#"{"value":"hi"}"#).await;
    assert_eq!((replaced.status, replaced.text()), (204, ""));
    assert_eq!(send(c, "GET", key, &[], b"").await.text(), r#"{"value":"hi"}"#);

    // By all owners: one that has not heard of the delete yet would still tell the next one of a value.
    let deleted = send(c, "DELETE", "/cache/greeting?consistency=all", &[], b"").await;
    assert_eq!((deleted.status, deleted.text()), (200, r#"{"status":"deleted","existed":true}"#));
    let again = send(a, "DELETE", key, &[], b"").await;
    assert_eq!((again.status, again.text()), (200, r#"{"status":"deleted","existed":false}"#));
    for method in ["GET", "PATCH"] {
        let miss = send(b, method, key, &[JSON], br#"{"ttlSeconds":1}"#).await;
        assert_eq!((miss.status, miss.problem().0.as_str()), (404, "miss"));
        assert_eq!(miss.header("cache-control"), "no-store");
        assert_eq!(miss.header("shoal-reached"), "QUORUM");
    }
    assert_eq!(send(b, "HEAD", key, &[], b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_values_are_any_bytes() {
    let cluster = start(1).await;
    let address = cluster.http(0);
    let mut redis = cluster.connect(0).await;
    for (target, key) in [
        ("/cache/a%2Fb", b"a/b".as_slice()),
        ("/cache/a+b", b"a+b"),
        ("/cache/%00%ff", b"\x00\xff"),
        ("/cache/", b""),
        ("/cache/%2e%2e", b".."),
        ("/cache/gr%C3%B6%C3%9Fe", "größe".as_bytes()),
    ] {
        let value: Vec<u8> = [b"\xfe of ", key].concat();
        store(address, target, &value).await;
        let stored: Vec<u8> = redis.get(key).await.unwrap();
        assert_eq!(stored, value, "{target}");
        let read = send(address, "GET", target, &[("accept", "application/octet-stream")], b"").await;
        assert_eq!(read.body, value, "{target}");
        let json = send(address, "GET", target, &[], b"").await;
        assert_eq!((json.status, json.problem().0.as_str()), (406, "not_acceptable"));
        assert!(json.problem().1.contains("Accept: application/octet-stream"), "{json:?}");
    }
    // The longest key a request has room for, and values of every escaped character and of the largest size.
    let long = format!("/cache/{}", "k".repeat(65_534 - 7));
    store(address, &long, b"v").await;
    assert_eq!(send(address, "GET", &long, &[], b"").await.text(), r#"{"value":"v"}"#);
    let text: String = (0..=0x2_ffff).filter_map(char::from_u32).collect();
    let document = serde_json::json!({ "value": text }).to_string();
    assert_eq!(send(address, "POST", "/cache/text", &[JSON], document.as_bytes()).await.status, 201);
    assert_eq!(send(address, "GET", "/cache/text", &[], b"").await.json()["value"], text);
    let large = vec![1; 8 << 20];
    store(address, "/cache/large", &large).await;
    let read = send(address, "GET", "/cache/large", &[("accept", "application/octet-stream")], b"").await;
    assert!(read.body == large);
    let escaped = send(address, "GET", "/cache/large", &[], b"").await;
    assert_eq!((escaped.status, escaped.body.len()), (200, 6 * large.len() + r#"{"value":""}"#.len()));
    // What is read as JSON can be written as JSON.
    assert_eq!(send(address, "POST", "/cache/copy", &[JSON], &escaped.body).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_are_read_in_one_request() {
    let cluster = start(3).await;
    let address = cluster.http(0);
    store(address, "/cache/k1?consistency=all", b"v1").await;
    store(address, "/cache/k%2C3?consistency=all&ttlSeconds=60", "größe \"3\"".as_bytes()).await;
    let read = send(cluster.http(1), "GET", "/cache?keys=k1,k2,k%2C3,,k1&consistency=quorum", &[], b"").await;
    assert_eq!(
        (read.status, read.text()),
        (200, r#"{"k1":"v1","k2":null,"k,3":"größe \"3\"","":null}"#),
        "in the order asked for, each once"
    );
    assert_eq!((read.header("shoal-reached"), read.header("shoal-version")), ("QUORUM", ""));
    store(address, "/cache/raw?consistency=all", b"\xff").await;
    let unreadable = send(address, "GET", "/cache?keys=k1,raw", &[], b"").await;
    assert_eq!((unreadable.status, unreadable.json()["key"].as_str()), (406, Some("raw")));
    let as_bytes = send(address, "GET", "/cache?keys=k1", &[("accept", "application/octet-stream")], b"");
    assert_eq!(as_bytes.await.status, 406);
    let large = vec![b'v'; 6 << 20];
    store(address, "/cache/l1?consistency=all", &large).await;
    store(address, "/cache/l2?consistency=all", &large).await;
    let too_much = send(address, "GET", "/cache?keys=k1,l1,l2", &[], b"").await;
    assert_eq!((too_much.status, too_much.problem().0.as_str()), (413, "too_large"));
    assert_eq!(too_much.json()["key"], "l2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_are_stored_and_deleted_in_one_request() {
    let cluster = start(3).await;
    let address = cluster.http(0);
    let entries = br#"{"entries":[{"key":"a","value":"1","ttlSeconds":60.0},{"key":"b,\u00e9","value":"2"},
        {"key":"","value":"old"},{"key":"","value":"3"}]}"#;
    let stored = send(address, "POST", "/cache?consistency=all", &[JSON], entries).await;
    let each = r#"{"a":{"status":"stored"},"b,é":{"status":"stored"},"":{"status":"stored"}}"#;
    assert_eq!((stored.status, stored.text()), (200, each), "in the order in which they came, each once");
    assert_eq!((stored.header("shoal-reached"), stored.header("shoal-answered")), ("ALL", "3"));
    assert_eq!(stored.header("cache-control"), "no-store");
    let read = send(cluster.http(1), "GET", "/cache?keys=a,b%2C%C3%A9,", &[], b"").await;
    assert_eq!(read.text(), r#"{"a":"1","b,é":"2","":"3"}"#, "of two values for a key the last counts");
    let ttl: u64 = send(address, "GET", "/cache/a", &[], b"").await.header("shoal-ttl-ms").parse().unwrap();
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    assert_eq!(send(address, "GET", "/cache/", &[], b"").await.header("shoal-ttl-ms"), "");

    let deleted =
        send(address, "DELETE", "/cache?consistency=all", &[JSON], br#"{"keys":["a","none","a"]}"#).await;
    let each = r#"{"a":{"status":"deleted","existed":true},"none":{"status":"deleted","existed":false}}"#;
    assert_eq!((deleted.status, deleted.text()), (200, each));
    let left = send(address, "GET", "/cache?keys=a,&consistency=quorum", &[], b"").await;
    assert_eq!(left.text(), r#"{"a":null,"":"3"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writes_each_that_fails_says_why() {
    let mut cluster = TestCluster::start_with(4, |config| config.replicas = 2).await;
    let address = cluster.http(0);
    for stopped in [2, 3] {
        cluster.stop_node(stopped).await;
    }
    // With two nodes of four gone some keys have both of their owners, some one, some none.
    let keys: Vec<String> = (0..64).map(|n| format!("key {n}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| serde_json::json!({ "key": key, "value": "v" })).collect();
    let entries = serde_json::json!({ "entries": entries }).to_string();
    let deletes = serde_json::json!({ "keys": keys }).to_string();
    eventually("the others are known to be gone", async || {
        let target = "/cache?consistency=all&timeoutMs=500";
        for (method, body, done) in [("POST", &entries, "stored"), ("DELETE", &deletes, "deleted")] {
            let reply = send(address, method, target, &[JSON], body.as_bytes()).await;
            assert_eq!((reply.status, reply.header("shoal-reached")), (207, "ALL"), "{reply:?}");
            let results = reply.json();
            let results = results.as_object().unwrap();
            assert_eq!(results.len(), keys.len());
            let succeeded = results.values().filter(|each| each["status"] == done).count();
            let problems: Vec<_> =
                results.values().map(|each| &each["problem"]).filter(|p| !p.is_null()).collect();
            assert_eq!(succeeded + problems.len(), keys.len());
            assert!(
                succeeded > 0 && problems.iter().all(|problem| problem["maybe"].is_boolean()),
                "{results:?}"
            );
            if !problems.iter().all(|problem| problem["kind"] == "unavailable" && problem["status"] == 503) {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_out_of_reach_and_owners_away_show_in_the_answer() {
    let mut cluster = start(3).await;
    let address = cluster.http(0);
    store(address, "/cache/k?consistency=all", b"v").await;
    cluster.stop_node(1).await;
    eventually("the write for the absent owner is kept", async || {
        let level = ("shoal-consistency", "Quorum");
        let written = send(address, "POST", "/cache/k", &[JSON, level], br#"{"value":"w"}"#).await;
        assert_eq!((written.status, written.header("shoal-reached")), (201, "QUORUM"), "{written:?}");
        written.header("shoal-flags") == "hinted"
    })
    .await;
    cluster.stop_node(2).await;
    eventually("the others are known to be gone", async || {
        let write = send(address, "PUT", "/cache/k?consistency=quorum&timeoutMs=500", &[BYTES], b"x").await;
        assert!(write.json()["maybe"].is_boolean(), "{write:?}");
        write.problem() == ("unavailable".into(), "QUORUM needs 2 of 3 owners, 1 can be asked".into())
    })
    .await;
    let read = send(address, "GET", "/cache/k?consistency=quorum", &[], b"").await;
    assert_eq!((read.status, read.header("retry-after")), (503, ""));
    assert!(read.json()["maybe"].is_null(), "reads change nothing");
    let many = send(address, "GET", "/cache?keys=k,none&consistency=all", &[], b"").await;
    assert_eq!((many.status, many.json()["key"].as_str()), (503, Some("k")));
    let deleted = send(address, "DELETE", "/cache/k", &[], b"").await;
    assert_eq!((deleted.status, deleted.header("shoal-reached")), (200, "ONE"));
    assert!(deleted.header("shoal-flags").contains("degraded"), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_ring_asks_to_come_back() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    for (method, target) in [("GET", "/cache/k"), ("DELETE", "/cache/k"), ("GET", "/cache?keys=k")] {
        let reply = send(cluster.http(0), method, target, &[], b"").await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{method} {target}");
        assert_eq!(reply.problem().0, "not_ready");
    }
    for (method, body) in
        [("POST", r#"{"entries":[{"key":"k","value":"v"}]}"#), ("DELETE", r#"{"keys":["k"]}"#)]
    {
        let reply = send(cluster.http(0), method, "/cache", &[JSON], body.as_bytes()).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "nothing was done to any key");
        assert_eq!((reply.json()["key"].as_str(), reply.json()["maybe"].as_bool()), (Some("k"), Some(false)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_carries_many_requests() {
    let cluster = start(1).await;
    let requests = "PUT /cache/k HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n\
         GET /cache/k HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let replies = exchange(cluster.http(0), requests.as_bytes()).await;
    assert_eq!(replies.status, 204);
    assert!(replies.text().ends_with(r#"{"value":"abc"}"#), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_what_the_cluster_says() {
    let cluster = start(3).await;
    let page = send(cluster.http(0), "GET", "/", &[], b"").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text().contains("cluster.json"));
    let mut document = serde_json::Value::Null;
    eventually("the page knows that all nodes are up", async || {
        document = send(cluster.http(0), "GET", "/cluster.json", &[], b"").await.json();
        document["nodes"].as_array().unwrap().iter().filter(|node| node["state"] == "up").count() == 3
    })
    .await;
    assert_eq!(document["answered_by"], cluster.nodes[0].config.node_id.as_str());
    let nodes = document["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        assert_eq!(node["role"], "member");
        assert_eq!((&node["owned_vnodes"], &node["fair_vnodes"]), (&64.into(), &64.0.into()));
    }
    let me = nodes.iter().find(|node| node["node_id"] == document["answered_by"]).unwrap();
    assert_eq!(me["report"]["vnodes_ready"], 64);
}
