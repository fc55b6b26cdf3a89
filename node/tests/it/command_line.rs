//! The `shoal` command against real nodes: what it prints, what it exits with.

use crate::{
    child::{Said, run},
    cluster::{TestCluster, eventually},
    ports::free_addresses,
};
use serde_json::{Value, json};
use std::{ffi::OsStr, net::SocketAddr, os::unix::ffi::OsStrExt as _};

/// A command line for one node.
struct At(SocketAddr);

impl At {
    fn node(cluster: &TestCluster, i: usize) -> Self {
        Self(cluster.nodes[i].config.listen.grpc)
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        self.feed(&arguments, b"").await
    }

    /// Runs a command with arguments of any bytes.
    async fn feed(&self, arguments: &[&[u8]], input: &[u8]) -> Said {
        let node = self.0.to_string();
        let arguments = arguments.iter().copied().chain([b"--node".as_slice(), node.as_bytes()]);
        run(&arguments.map(OsStr::from_bytes).collect::<Vec<_>>(), input).await
    }

    /// Runs a command that succeeds and returns what it prints.
    async fn text(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        said.text().to_owned()
    }

    /// Runs a command with `--json` that exits with `code` and returns what it prints.
    async fn json(&self, arguments: &[&str], code: i32) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!((said.code, said.stderr.as_str()), (Some(code), ""), "{arguments:?}");
        said.json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_read_and_deleted() {
    let cluster = TestCluster::start(3).await;
    let shoal = At::node(&cluster, 0);
    assert_eq!(shoal.text(&["set", "k", "v", "--consistency", "all"]).await, "stored\n");
    assert_eq!(shoal.text(&["get", "k"]).await, "v");
    let said = shoal.feed(&[b"set", b"fed", b"--consistency", b"all"], b"from a pipe\n").await;
    assert_eq!((said.code, said.text()), (Some(0), "stored\n"));
    assert_eq!(shoal.text(&["mget", "k", "fed"]).await, "k\tv\nfed\tfrom a pipe\n\n");

    let found = shoal.json(&["get", "k", "--consistency", "QUORUM"], 0).await;
    assert_eq!((&found["key"], &found["value"]), (&json!("k"), &json!("v")));
    assert_eq!((&found["outcome"]["reached"], &found["outcome"]["answered"]), (&json!("QUORUM"), &json!(2)));
    let stored = shoal.json(&["set", "k", "w", "--ttl", "1h", "--consistency", "all"], 0).await;
    assert_eq!((&stored["stored"], &stored["outcome"]["answered"]), (&json!(true), &json!(3)));
    assert!(stored["outcome"]["expires_at_unix_ms"].as_u64().is_some_and(|at| at > 1_700_000_000_000));
    let both = shoal.json(&["mget", "k", "none"], 1).await;
    assert_eq!((&both[0]["key"], &both[0]["value"]), (&json!("k"), &json!("w")));
    assert_eq!((&both[1]["key"], &both[1]["value"]), (&json!("none"), &Value::Null));

    assert_eq!(shoal.json(&["del", "fed"], 0).await["existed"], json!(true));
    assert_eq!(shoal.text(&["del", "k"]).await, "deleted\n");
    assert_eq!(shoal.text(&["del", "k"]).await, "there was no such key\n");
    let said = shoal.run(&["get", "k"]).await;
    assert_eq!((said.code, said.text(), said.stderr.as_str()), (Some(1), "", ""));
    assert_eq!(shoal.json(&["get", "k"], 1).await["value"], Value::Null);
    let said = shoal.run(&["mget", "k", "fed"]).await;
    assert_eq!((said.code, said.text(), said.stderr.as_str()), (Some(1), "", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_to_live_are_told_changed_and_taken_away() {
    let cluster = TestCluster::start(3).await;
    let shoal = At::node(&cluster, 1);
    shoal.text(&["set", "k", "v", "--consistency", "all"]).await;
    assert_eq!(shoal.text(&["ttl", "k"]).await, "never expires\n");
    assert_eq!(shoal.json(&["ttl", "k"], 0).await["ttl_ms"], Value::Null);
    let all = ["--consistency", "all"];
    let set = shoal.text(&[&["ttl", "k", "--set", "2h"], &all[..]].concat()).await;
    assert!(["2h\n", "1h 59m 59s\n"].contains(&set.as_str()), "{set}");
    let told = shoal.text(&["ttl", "k"]).await;
    assert!(told.starts_with("1h 59m "), "{told}");
    let left = shoal.json(&["ttl", "k"], 0).await;
    assert!(left["ttl_ms"].as_u64().is_some_and(|ms| (7_100_000..=7_200_000).contains(&ms)), "{left}");
    assert_eq!(shoal.text(&[&["ttl", "k", "--persist"], &all[..]].concat()).await, "never expires\n");
    assert_eq!(shoal.text(&["get", "k"]).await, "v");

    for change in [&["ttl", "none"][..], &["ttl", "none", "--set", "5s"], &["ttl", "none", "--persist"]] {
        let said = shoal.run(change).await;
        assert_eq!((said.code, said.text()), (Some(1), "there is no such key\n"), "{change:?}");
        assert_eq!(shoal.json(change, 1).await["found"], json!(false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_values_of_any_bytes_pass_through_pipes_unchanged() {
    let cluster = TestCluster::start(1).await;
    let shoal = At::node(&cluster, 0);
    let (key, value) = (b"\xff\x1bk".as_slice(), b"\x80\x00\n\xfe".as_slice());
    let said = shoal.feed(&[b"set", key], value).await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_eq!(shoal.feed(&[b"get", key], b"").await.stdout, value);
    assert_eq!(shoal.feed(&[b"get", b"--hex", b"ff1b6b"], b"").await.stdout, value);
    assert_eq!(shoal.feed(&[b"mget", key], b"").await.stdout, [key, b"\t", value, b"\n"].concat());
    let found = shoal.json(&["get", "--hex", "FF1B6B"], 0).await;
    assert_eq!((&found["key_bytes"], &found["bytes"]), (&json!([255, 27, 107]), &json!([128, 0, 10, 254])));
    let told = shoal.text(&["explain", "--hex", "ff1b6b"]).await;
    assert!(told.starts_with(r"key \xff\x1bk: slot "), "{told}");
    let odd = shoal.run(&["get", "--hex", "ff1"]).await;
    assert_eq!(odd.code, Some(2));
    assert_eq!(odd.stderr, "error: ff1 is not hexadecimal: Odd number of digits\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ring_is_told_as_shares_and_as_ranges() {
    let cluster = TestCluster::start_with(4, |config| config.zone = "only".into()).await;
    let shoal = At::node(&cluster, 2);
    let told = shoal.text(&["ring"]).await;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("epoch 1 phase 3 digest "), "{told}");
    assert!(lines[0].contains(": 64 vnodes x 3 replicas, "), "{told}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let headings = "node zone state role vnodes first of share fair off ranges";
    assert_eq!(words(lines[1]).join(" "), headings);
    for (line, node) in lines[2..].iter().zip(&cluster.nodes) {
        let row = words(line);
        assert_eq!(row[..4], [node.config.node_id.as_str(), "only", "up", "member"], "{told}");
        assert_eq!(
            (row[4].as_str(), &row[6..10]),
            ("48", &["25.0", "%", "25.0", "%"].map(str::to_owned)[..])
        );
    }
    assert_eq!(lines.len(), 6);

    let ring = shoal.json(&["ring"], 0).await;
    let ranges = ring["ranges"].as_array().unwrap();
    let mut next = 0;
    for range in ranges {
        assert_eq!(range["first"].as_u64(), Some(next));
        assert_eq!(range["owners"].as_array().map(Vec::len), Some(3));
        next = range["last"].as_u64().unwrap() + 1;
    }
    assert_eq!(next, 16_384);
    let sum =
        |field: &str| ring["nodes"].as_array().unwrap().iter().map(|n| n[field].as_u64().unwrap()).sum();
    let (owned, first): (u64, u64) = (sum("vnodes"), sum("first_vnodes"));
    assert_eq!((owned, first), (64 * 3, 64));
    let other = At::node(&cluster, 0).json(&["ring"], 0).await;
    assert_eq!((&other["digest"], &other["ranges"]), (&ring["digest"], &ring["ranges"]));
    let slots = shoal.text(&["ring", "--slots"]).await;
    assert_eq!(slots.lines().count(), 2 + ranges.len());
    assert!(slots.lines().nth(2).is_some_and(|line| line.starts_with("0-")), "{slots}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_ring_says_so() {
    // Alone of three first members it cannot agree with anybody.
    let mut cluster = TestCluster::prepare(3, |_| ());
    cluster.start_node(0).await;
    let shoal = At::node(&cluster, 0);
    let said = shoal.run(&["ring"]).await;
    let lonely = format!("node {} has no ring yet", cluster.nodes[0].config.node_id);
    assert_eq!((said.code, said.text().lines().next()), (Some(1), Some(lonely.as_str())));
    assert_eq!(shoal.json(&["ring"], 1).await["epoch"], json!(0));
    for command in [&["explain", "k"][..], &["get", "k"], &["ttl", "k"], &["set", "k", "v"], &["mget", "k"]] {
        let said = shoal.run(command).await;
        assert_eq!((said.code, said.text()), (Some(2), ""), "{command:?}");
        assert!(said.stderr.contains("this node has no ring record yet"), "{command:?}: {}", said.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_names_every_node() {
    let cluster = TestCluster::start(3).await;
    let shoal = At::node(&cluster, 0);
    let (told, status) = (shoal.text(&["status"]).await, shoal.json(&["status"], 0).await);
    for node in &cluster.nodes {
        let id = node.config.node_id.as_str();
        assert!(told.contains(id), "{told}");
        let named = status["nodes"].as_array().unwrap().iter().find(|row| row["node_id"] == id).unwrap();
        assert_eq!((&named["state"], &named["role"]), (&json!("up"), &json!("member")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_keys_are_told_once_there_are_some() {
    let cluster = TestCluster::start(1).await;
    let shoal = At::node(&cluster, 0);
    let said = shoal.run(&["hotkeys"]).await;
    assert_eq!((said.code, said.text(), said.stderr.as_str()), (Some(1), "no key stands out\n", ""));
    let mut client = cluster.connect(0).await;
    let key: &[u8] = b"\xffhot";
    let mut reads = redis::pipe();
    for _ in 0..2_000 {
        reads.cmd("GET").arg(key).ignore();
    }
    let mut said = None;
    eventually("the key stands out", async || {
        let _: () = reads.query_async(&mut client).await.unwrap();
        let told = shoal.run(&["hotkeys", "--json"]).await;
        let found = told.code == Some(0);
        said = Some(told);
        found
    })
    .await;
    let hottest = said.unwrap().json()["keys"][0].take();
    assert_eq!(hottest["key_bytes"], json!(key), "{hottest}");
    assert!(hottest["requests_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{hottest}");
    let told = shoal.text(&["hotkeys"]).await;
    assert!(told.lines().nth(1).is_some_and(|line| line.starts_with(r"\xffhot ")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_told_on_standard_error() {
    let cluster = TestCluster::start(1).await;
    let shoal = At::node(&cluster, 0);
    let hint = "error: is a node running there, and is this its gRPC address (by default port 7381)?: \
                no node could be reached; ";
    let nobody = free_addresses().grpc;
    let said = At(nobody).run(&["get", "k"]).await;
    assert_eq!((said.code, said.text()), (Some(2), ""));
    assert!(said.stderr.starts_with(&format!("{hint}{nobody}: ")), "{}", said.stderr);
    assert!(
        said.stderr.contains("Connection refused") && said.stderr.lines().count() == 1,
        "{}",
        said.stderr
    );
    let said = At(cluster.resp(0)).run(&["explain", "k"]).await;
    assert!(said.code == Some(2) && said.stderr.starts_with("error: "), "{}", said.stderr);

    let cases: [(&[&str], &str); 8] = [
        (
            &["get", "k", "--consistency", "QUROUM"],
            "unknown consistency level 'QUROUM': expected one of ONE, TWO, THREE, QUORUM, ALL",
        ),
        (&["get", "k", "--consistency", "two"], "TWO needs 2 owners, keys have 1"),
        (&["get"], "the following required arguments were not provided"),
        (&["mget"], "the following required arguments were not provided"),
        (&["ttl", "k", "--set", "0s"], "expected a time such as 60s or 15m, longer than 0"),
        (&["ttl", "k", "--set", "5s", "--persist"], "cannot be used with"),
        (&["explain", "--hex", "xyz"], "xyz is not hexadecimal"),
        (&["explain", &"k".repeat(65_537)], "key of 65537 bytes exceeds the limit of 65536 bytes"),
    ];
    for (arguments, why) in cases {
        let said = shoal.run(arguments).await;
        assert_eq!((said.code, said.text()), (Some(2), ""), "{why}");
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains(why), "{why}: {}", said.stderr);
    }
    let said = run(&["get", "k", "--node", "localhost"], b"").await;
    assert!(said.stderr.contains("expected the gRPC address of a node, such as 127.0.0.1:7381"));
    let said = shoal.run(&["mget", "k", "l", "--consistency", "two"]).await;
    let why = "TWO needs 2 owners, keys have 1";
    assert_eq!((said.code, said.stderr), (Some(2), format!("error: k: {why}\nerror: l: {why}\n")));
    let failed = shoal.run(&["mget", "k", "--consistency", "two", "--json"]).await;
    assert_eq!((failed.code, failed.json()), (Some(2), json!([{"key": "k", "error": why}])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_address_is_asked_where_the_first_does_not_answer() {
    let cluster = TestCluster::start(1).await;
    let nodes = format!("{},{}", free_addresses().grpc, cluster.nodes[0].config.listen.grpc);
    let said = run(&["ring", "--json", "--node", &nodes], b"").await;
    assert_eq!((said.code, &said.json()["epoch"]), (Some(0), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_a_node_are_told_before_it_runs() {
    let arguments = ["check-config", "--bootstrap", "--zone", "b"];
    let said = run(&arguments, b"").await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let last = said.text().lines().last().unwrap();
    assert!(last.starts_with("ok: member 127.0.0.1:7382, state in shoal-state"), "{}", said.text());
    let told = run(&[&arguments[..], &["--json"]].concat(), b"").await.json();
    let zone = told["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == "zone").unwrap();
    assert_eq!((&zone["value"], &zone["from"]), (&json!("b"), &json!("--zone")));
    let said = run(&["check-config"], b"").await;
    assert!(said.code == Some(2) && said.stderr.starts_with("error: seed must be set"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_explains_itself() {
    let overview = run(&["--help"], b"").await;
    let commands = overview.text().lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = commands.map_while(|line| line.split_whitespace().next()).collect();
    for name in ["get", "mget", "set", "del", "ttl", "explain", "status", "ring", "check-config"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in names {
        let said = run(&[name, "--help"], b"").await;
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(said.text().contains(&format!("Usage: shoal {name}")), "{}", said.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_listed_and_everything_is_dropped_only_on_a_plain_yes() {
    let cluster = TestCluster::start(3).await;
    let shoal = At::node(&cluster, 2);
    for key in ["b:1", "a:1", "a:2"] {
        shoal.text(&["set", key, "v", "--consistency", "all"]).await;
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&shoal.text(&["scan"]).await), ["a:1", "a:2", "b:1"]);
    assert_eq!(sorted(&shoal.text(&["scan", "a:*"]).await), ["a:1", "a:2"]);
    assert_eq!(shoal.json(&["scan", "b:?"], 0).await, json!({"key": "b:1"}));
    let said = shoal.run(&["scan", "nobody"]).await;
    assert_eq!((said.code, said.text()), (Some(1), ""));

    let said = shoal.run(&["flush"]).await;
    assert!(said.code == Some(2) && said.stderr.contains("--yes"), "{}", said.stderr);
    assert_eq!(shoal.text(&["get", "a:1"]).await, "v");
    assert_eq!(shoal.text(&["flush", "--yes"]).await, "flushed: epoch 2, adopted by 3 of 3 members\n");
    assert_eq!(shoal.run(&["get", "a:1"]).await.code, Some(1));
    let flushed = shoal.json(&["flush", "--yes"], 0).await;
    assert_eq!((&flushed["flushed"], &flushed["adopted"]), (&json!(true), &json!(3)));
}
