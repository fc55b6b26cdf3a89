//! What clients get wrong at the RESP door.

use crate::{
    cluster::{TestCluster, eventually},
    raw::Raw,
};
use shoal_proto::types::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_command_is_answered_precisely_and_the_connection_goes_on() {
    let cluster = TestCluster::start(1).await;
    let mut client = Raw::connect(cluster.resp(0)).await;
    let (long_key, long_value) = (vec![b'k'; MAX_KEY_BYTES + 1], vec![b'v'; MAX_VALUE_BYTES + 1]);
    let nx =
        "-ERR 'SET NX' is a read-modify-write, which needs consensus per key; this store does not offer it";
    let level = "-ERR unknown consistency level 'SEVERAL': expected one of ONE, TWO, THREE, QUORUM, ALL";
    let cases: [(&[&[u8]], &str); 23] = [
        (&[b"NOSUCH", b"a", b"b"], "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"),
        (&[b"GET"], "-ERR wrong number of arguments for 'get' command"),
        (&[b"MSET", b"a", b"1", b"b"], "-ERR wrong number of arguments for 'mset' command"),
        (&[b"GET", &long_key], "-ERR key of 65537 bytes exceeds the limit of 65536 bytes"),
        (&[b"SET", &long_key, b"v"], "-ERR key of 65537 bytes exceeds the limit of 65536 bytes"),
        (&[b"SET", b"k", &long_value], "-ERR value of 8388609 bytes exceeds the limit of 8388608 bytes"),
        (&[b"SET", b"k", b"v", b"EX"], "-ERR syntax error"),
        (&[b"SET", b"k", b"v", b"EX", b"1", b"PX", b"1"], "-ERR syntax error"),
        (&[b"SET", b"k", b"v", b"EX", b"0"], "-ERR invalid expire time in 'set' command"),
        (&[b"SET", b"k", b"v", b"EX", b"-1"], "-ERR invalid expire time in 'set' command"),
        (&[b"SET", b"k", b"v", b"EX", b"9223372036854775807"], "-ERR invalid expire time in 'set' command"),
        (&[b"SET", b"k", b"v", b"PX", b"99999999999999"], "-ERR invalid expire time in 'set' command"),
        (&[b"SET", b"k", b"v", b"PXAT", b"99999999999999"], "-ERR invalid expire time in 'set' command"),
        (&[b"SET", b"k", b"v", b"EX", b"ten"], "-ERR value is not an integer or out of range"),
        (
            &[b"SET", b"k", b"v", b"EX", b"9223372036854775808"],
            "-ERR value is not an integer or out of range",
        ),
        (&[b"SETEX", b"k", b"-5", b"v"], "-ERR invalid expire time in 'setex' command"),
        (&[b"EXPIRE", b"k", b"9223372036854775807"], "-ERR invalid expire time in 'expire' command"),
        (&[b"SET", b"k", b"v", b"NX"], nx),
        (&[b"CL", b"SEVERAL"], level),
        (&[b"CL", b"SEVERAL", b"GET", b"k"], level),
        (&[b"CL", b"ONE", b"PING"], "-ERR 'PING' takes no consistency level"),
        (&[b"CL", b"TWO", b"GET", b"k"], "-ERR TWO needs 2 owners, keys have 1"),
        (&[b"HELLO", b"4"], "-NOPROTO unsupported protocol version"),
    ];
    for (words, expected) in cases {
        assert_eq!(client.ask(words).await, expected);
    }
    assert_eq!(client.ask(&[b"EXISTS", b"k"]).await, ":0", "nothing was stored");
    // A time to live that is over deletes.
    assert_eq!(client.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    assert_eq!(client.ask(&[b"EXPIRE", b"k", b"-9223372036854775"]).await, ":1");
    assert_eq!(client.ask(&[b"EXISTS", b"k"]).await, ":0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_framing_ends_its_own_connection_and_no_other() {
    let cluster = TestCluster::start(1).await;
    let mut bystander = Raw::connect(cluster.resp(0)).await;
    let endless = vec![b'a'; 70 * 1024];
    let cases: [(&[u8], &str); 11] = [
        (b"*2\r\n$3\r\nGET\r\n$999999999999\r\n", "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$-5\r\n", "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*2147483647\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\n:5\r\n", "expected '$', got ':'"),
        (b"*1\r\n\xff\r\n", "expected '$', got '\\xff'"),
        (b"*1\r\n$3\r\nGETxx", "expected a line end after a bulk string"),
        (b"SET \"k\r\n", "unbalanced quotes in request"),
        (&endless, "too big inline request"),
    ];
    for (bytes, why) in cases {
        let mut client = Raw::connect(cluster.resp(0)).await;
        assert_eq!(client.ask(&[b"PING"]).await, "+PONG");
        client.send(bytes).await;
        assert_eq!(client.line().await, format!("-ERR Protocol error: {why}"));
        assert_eq!(client.rest().await, "", "{why}");
        assert_eq!(bystander.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    }
    // A request cut off in the middle is no request.
    let mut client = Raw::connect(cluster.resp(0)).await;
    client.send(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nab").await;
    drop(client);
    let mut browser = Raw::connect(cluster.resp(0)).await;
    browser.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nSET stolen v\r\n").await;
    assert_eq!(browser.rest().await, "-ERR this is no HTTP server\r\n");
    for key in [b"half".as_slice(), b"stolen"] {
        assert_eq!(bystander.ask(&[b"EXISTS", key]).await, ":0");
    }
    eventually("the others are gone", async || cluster.info(0).stats().connections == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_out_of_reach_says_how_many_owners_are_there() {
    let mut cluster = TestCluster::start(3).await;
    let mut client = Raw::connect(cluster.resp(0)).await;
    assert_eq!(client.ask(&[b"SET", b"k", b"v"]).await, "+OK");
    cluster.stop_node(1).await;
    cluster.stop_node(2).await;
    let lonely = "-NOQUORUM QUORUM needs 2 of 3 owners, 1 can be asked";
    eventually("the others are known to be gone", async || {
        client.ask(&[b"CL", b"QUORUM", b"EXISTS", b"k"]).await == lonely
    })
    .await;
    assert_eq!(client.ask(&[b"CL", b"QUORUM", b"SET", b"k", b"w"]).await, lonely);
    let all = "-NOQUORUM ALL needs 3 of 3 owners, 1 can be asked";
    assert_eq!(client.ask(&[b"CL", b"ALL", b"SET", b"k", b"w"]).await, all);
    assert!(cluster.metric(0, r#"shoal_coordinator_unavailable_total{level="QUORUM"}"#) >= 2);
    // One owner is enough for the rest.
    assert_eq!(client.ask(&[b"STRLEN", b"k"]).await, ":1");
    assert_eq!(client.ask(&[b"SET", b"k", b"longer"]).await, "+OK");
    assert_eq!(client.ask(&[b"STRLEN", b"k"]).await, ":6");
    assert_eq!(client.ask(&[b"DEL", b"k"]).await, ":1", "a delete that names no level settles for one");
    assert_eq!(cluster.metric(0, "shoal_degraded_deletes_total"), 1);
    assert_eq!(client.ask(&[b"CL", b"QUORUM", b"DEL", b"k"]).await, lonely);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_ring_says_that_it_is_loading() {
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let mut client = Raw::connect(cluster.resp(0)).await;
    let loading = "-LOADING this node has no ring record yet; it is still looking for the other members";
    assert_eq!(client.ask(&[b"GET", b"k"]).await, loading);
    assert_eq!(client.ask(&[b"SET", b"k", b"v"]).await, loading);
    assert_eq!(client.ask(&[b"DEL", b"k"]).await, loading);
    assert_eq!(client.ask(&[b"PING"]).await, "+PONG");
    assert_eq!(client.ask(&[b"CLUSTER", b"SLOTS"]).await, "*0");
}
