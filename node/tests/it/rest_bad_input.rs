//! What the REST door makes of requests that no one should send.

use crate::{
    cluster::TestCluster,
    rest_client::{BYTES, JSON, exchange, send},
};

/// A request and what is wrong with it.
struct Case(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [u8],
    u16,
    &'static str,
);

const CASES: [Case; 58] = [
    // Keys.
    Case("GET", "/cache/%", &[], b"", 400, "key: '%' is not a percent-encoded byte"),
    Case("GET", "/cache/a%2", &[], b"", 400, "key: '%2' is not"),
    Case("DELETE", "/cache/a%zzb", &[], b"", 400, "key: '%zz' is not"),
    Case("GET", "/cache/a/b", &[], b"", 404, "a slash in a key is written %2F"),
    // Parameters.
    Case("GET", "/cache/k?consistancy=all", &[], b"", 400, "unknown query parameter 'consistancy'"),
    Case("GET", "/cache/k?ttlSeconds=5", &[], b"", 400, "unknown query parameter 'ttlSeconds'"),
    Case("GET", "/cache/k?consistency=most", &[], b"", 400, "consistency: unknown consistency level 'most'"),
    Case("GET", "/cache/k?consistency=%zz", &[], b"", 400, "consistency: '%zz' is not"),
    Case("GET", "/cache/k?consistency=one&consistency=one", &[], b"", 400, "'consistency' is there twice"),
    Case("GET", "/cache/k?consistency=one", &[("shoal-consistency", "all")], b"", 400, "differ: send one"),
    Case("GET", "/cache/k", &[("shoal-consistency", "\u{e9}")], b"", 400, "shoal-consistency: unknown"),
    Case(
        "GET",
        "/cache/k",
        &[("shoal-consistency", "one"), ("shoal-consistency", "one")],
        b"",
        400,
        "shoal-consistency: the header is there twice",
    ),
    Case("GET", "/cache/k?timeoutMs=0", &[], b"", 400, "timeoutMs: expected a number of milliseconds from 1"),
    Case("GET", "/cache/k?timeoutMs=-1", &[], b"", 400, "timeoutMs: expected"),
    Case("GET", "/cache/k", &[("shoal-timeout-ms", "1e3")], b"", 400, "shoal-timeout-ms: expected"),
    Case("GET", "/cache/k?timeoutMs=5", &[("shoal-timeout-ms", "6")], b"", 400, "differ: send one"),
    Case("GET", "/cache", &[], b"", 400, "query parameter 'keys' is missing"),
    Case("GET", "/cache?keys=a,%ff", &[], b"", 400, "a key that is not UTF-8"),
    Case("GET", "/cache?keys=a,%f", &[], b"", 400, "keys: '%f' is not"),
    // Forms.
    Case(
        "GET",
        "/cache/k",
        &[("accept", "text/html")],
        b"",
        406,
        "application/json or application/octet-stream",
    ),
    Case("GET", "/cache?keys=k", &[("accept", "text/html")], b"", 406, "can be had as application/json"),
    Case("POST", "/cache/k", &[], b"v", 415, "Content-Type is missing"),
    Case("POST", "/cache/k", &[("content-type", "text/plain")], b"v", 415, "'text/plain' is not understood"),
    Case("PATCH", "/cache/k", &[BYTES], b"5", 415, "expected application/json"),
    Case("POST", "/cache/k", &[JSON, ("content-encoding", "gzip")], b"{}", 415, "\"gzip\" is not understood"),
    // Documents.
    Case("POST", "/cache/k", &[JSON], b"", 400, "body: EOF while parsing"),
    Case("POST", "/cache/k", &[JSON], b"[", 400, "body: "),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"v\"", 400, "body: EOF while parsing"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"v\"} x", 400, "body: trailing characters"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"\xff\"}", 400, "value: invalid unicode"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"\\ud800\"}", 400, "value: "),
    Case("POST", "/cache/k", &[JSON], b"{}", 400, "missing field `value`"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":5}", 400, "value: invalid type: integer `5`"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"v\",\"ttl\":5}", 400, "unknown field `ttl`"),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"v\",\"value\":\"w\"}", 400, "duplicate field `value`"),
    // Times to live.
    Case(
        "POST",
        "/cache/k",
        &[JSON],
        b"{\"value\":\"v\",\"ttlSeconds\":-1}",
        400,
        "ttlSeconds: expected a whole number from 1 to 2000000000, or null, not -1",
    ),
    Case("POST", "/cache/k", &[JSON], b"{\"value\":\"v\",\"ttlSeconds\":1.5}", 400, "or null, not 1.5"),
    Case(
        "POST",
        "/cache/k",
        &[JSON],
        b"{\"value\":\"v\",\"ttlSeconds\":0}",
        400,
        "ttlSeconds 0 is out of range",
    ),
    Case(
        "POST",
        "/cache/k",
        &[JSON],
        b"{\"value\":\"v\",\"ttlSeconds\":18446744073709551615}",
        400,
        "ttlSeconds 18446744073709551615 is out of range",
    ),
    Case(
        "POST",
        "/cache/k?ttlSeconds=5",
        &[JSON],
        b"{\"value\":\"v\",\"ttlSeconds\":5}",
        400,
        "both in the query and in the body",
    ),
    Case("PUT", "/cache/k?ttlSeconds=soon", &[BYTES], b"v", 400, "ttlSeconds: expected a whole number"),
    Case("PATCH", "/cache/k", &[JSON], b"{}", 400, "missing field `ttlSeconds`"),
    Case("PUT", "/cache/k?ttlSeconds=2000000001", &[BYTES], b"v", 400, "expected 1 to 2000000000"),
    // Lists.
    Case("POST", "/cache", &[], b"{}", 415, "Content-Type is missing"),
    Case("POST", "/cache", &[BYTES], b"v", 415, "expected application/json"),
    Case("POST", "/cache", &[JSON], b"{\"entries\":[]}", 400, "entries: the list is empty"),
    Case("POST", "/cache", &[JSON], b"{\"entries\":{}}", 400, "entries: invalid type: map, expected a list"),
    Case(
        "POST",
        "/cache",
        &[JSON],
        b"{\"entries\":[{\"key\":\"k\"}]}",
        400,
        "entries[0]: missing field `value`",
    ),
    Case(
        "POST",
        "/cache",
        &[JSON],
        b"{\"entries\":[{\"key\":\"a\",\"value\":\"v\"},{\"key\":\"b\",\"value\":\"v\",\"ttlSeconds\":0}]}",
        400,
        "ttlSeconds 0 is out of range",
    ),
    Case("POST", "/cache?ttlSeconds=5", &[JSON], b"{}", 400, "unknown query parameter 'ttlSeconds'"),
    Case("DELETE", "/cache", &[], b"", 415, "Content-Type is missing"),
    Case("DELETE", "/cache", &[JSON], b"{\"keys\":\"k\"}", 400, "keys: invalid type: string"),
    Case("DELETE", "/cache", &[JSON], b"{\"keys\":[\"k\",5]}", 400, "keys[1]: invalid type: integer"),
    Case("DELETE", "/cache", &[JSON, ("if-match", "*")], b"{\"keys\":[\"k\"]}", 501, "condition if-match"),
    // Conditions and methods.
    Case("PUT", "/cache/k", &[BYTES, ("if-none-match", "*")], b"v", 501, "condition if-none-match"),
    Case("OPTIONS", "/cache/k", &[], b"", 405, "OPTIONS is not one of"),
    Case("DELETE", "/cache?keys=k", &[], b"", 400, "unknown query parameter 'keys'"),
    Case("PUT", "/cache", &[BYTES], b"v", 405, "PUT is not one of"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_no_sense_are_told_why_and_change_nothing() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.http(0);
    for Case(method, target, headers, body, status, why) in CASES {
        let reply = send(address, method, target, headers, body).await;
        assert_eq!(reply.status, status, "{method} {target} {reply:?}");
        let (kind, detail) = reply.problem();
        assert!(detail.contains(why), "{method} {target}: {detail:?} does not say {why:?}");
        assert_eq!(kind == "invalid", status == 400, "{detail}");
        assert_eq!(reply.header("allow").is_empty(), status != 405, "{reply:?}");
    }
    assert!(cluster.held(0).is_empty());
    let allow = send(address, "TRACE", "/cache/k", &[], b"").await;
    assert_eq!(allow.header("allow"), "GET,HEAD,POST,PUT,PATCH,DELETE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.http(0);
    let value = vec![0; (8 << 20) + 1];
    let reply = send(address, "PUT", "/cache/k", &[BYTES], &value).await;
    assert_eq!(reply.problem().1, "value of 8388609 bytes exceeds the limit of 8388608 bytes");
    assert_eq!(reply.status, 413);
    let text = format!(r#"{{"value":"{}"}}"#, "v".repeat((8 << 20) + 1));
    let reply = send(address, "PUT", "/cache/k", &[JSON], text.as_bytes()).await;
    assert_eq!(reply.problem().1, "value of 8388609 bytes exceeds the limit of 8388608 bytes");
    // Announced, and never sent.
    let head = "POST /cache/k HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: 99999999999\r\n\r\n{";
    let reply = exchange(address, head.as_bytes()).await;
    assert_eq!(reply.problem().1, "body of 99999999999 bytes exceeds the limit of 50332672 bytes");
    // Sent, and never announced.
    let mut endless = b"PUT /cache/k HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n\
         transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..9 {
        endless.extend_from_slice(b"100000\r\n");
        endless.resize(endless.len() + (1 << 20), b'v');
        endless.extend_from_slice(b"\r\n");
    }
    let reply = exchange(address, &endless).await;
    assert_eq!(reply.problem().1, "value of more than 8388608 bytes exceeds the limit of 8388608 bytes");
    let many = format!("/cache?keys={}", ",".repeat(10_000));
    let reply = send(address, "GET", &many, &[], b"").await;
    assert_eq!(
        (reply.status, reply.problem().1.as_str()),
        (413, "list of 10001 keys exceeds the limit of 10000")
    );
    let list = |count: usize| format!("[{}]", vec![r#""k""#; count].join(","));
    let many = format!(r#"{{"keys":{}}}"#, list(10_001));
    let reply = send(address, "DELETE", "/cache", &[JSON], many.as_bytes()).await;
    assert_eq!(reply.problem().1, "list of 10001 keys exceeds the limit of 10000");
    assert_eq!(reply.status, 413);
    // Each route has a limit of its own.
    for (method, target, limit) in [("PATCH", "/cache/k", 1_024), ("DELETE", "/cache", 8 << 20)] {
        let reply = send(address, method, target, &[JSON], &vec![b' '; limit + 1]).await;
        let expected = format!("body of {} bytes exceeds the limit of {limit} bytes", limit + 1);
        assert_eq!((reply.status, reply.problem().1), (413, expected));
    }
    let text = format!(r#"{{"entries":[{{"key":"k","value":"{}"}}]}}"#, "v".repeat((8 << 20) + 1));
    let reply = send(address, "POST", "/cache", &[JSON], text.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["key"].as_str()), (413, Some("k")));
    // Beyond what the HTTP library holds: it answers itself, without a document.
    let key = format!("/cache/{}", "k".repeat(65_534 - 6));
    assert_eq!(send(address, "GET", &key, &[], b"").await.status, 414);
    let header = "h".repeat(200_000);
    assert_eq!(send(address, "GET", "/cache/k", &[("x-large", &header)], b"").await.status, 431);
    assert!(cluster.held(0).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_framing_ends_its_own_connection_and_no_other() {
    let cluster = TestCluster::start(1).await;
    let address = cluster.http(0);
    let begin = "PUT /cache/k HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n";
    for (rest, status) in [
        ("content-length: -1\r\n\r\nv", 400),
        ("content-length: 1\r\ncontent-length: 2\r\n\r\nvv", 400),
        ("transfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("no colon\r\n\r\n", 400),
    ] {
        let reply = exchange(address, format!("{begin}{rest}").as_bytes()).await;
        assert_eq!(reply.status, status, "{rest}");
    }
    for garbage in ["*1\r\n$4\r\nPING\r\n\r\n", "GET\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        assert_eq!(exchange(address, garbage.as_bytes()).await.status, 400, "{garbage:?}");
    }
    assert!(cluster.held(0).is_empty());
    assert_eq!(send(address, "GET", "/health/ready", &[], b"").await.status, 200);
}
