//! Changes of expiry that read first: conditions, and reads that change what they read.

use crate::cluster::TestCluster;
use redis::{ToRedisArgs, aio::MultiplexedConnection};

async fn ask<T: redis::FromRedisValue>(client: &mut MultiplexedConnection, words: &[impl ToRedisArgs]) -> T {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    command.query_async(client).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_is_changed_under_conditions_by_any_node() {
    let cluster = TestCluster::start(3).await;
    let mut nodes = [cluster.connect(0).await, cluster.connect(1).await, cluster.connect(2).await];
    let _: () = ask(&mut nodes[0], &["SET", "k", "v"]).await;
    // Each through another node than the one before, under one clock: QUORUM sees what went before.
    for (turn, (line, changed, ttl)) in [
        ("EXPIRE k 100 XX", 0, -1),
        ("EXPIRE k 100 GT", 0, -1),
        ("EXPIRE k 100 NX", 1, 100),
        ("EXPIRE k 200 NX", 0, 100),
        ("EXPIRE k 50 GT", 0, 100),
        ("EXPIRE k 500 LT", 0, 100),
        ("EXPIRE k 300 GT XX", 1, 300),
        ("PEXPIRE k 200000 LT", 1, 200),
        ("PERSIST k", 1, -1),
        ("PERSIST k", 0, -1),
        ("EXPIRE k 70 LT", 1, 70),
        ("EXPIRE k -1 GT", 0, 70),
        ("EXPIRE k -1 LT", 1, -2),
        ("EXPIRE k 100 NX", 0, -2),
    ]
    .into_iter()
    .enumerate()
    {
        let client = &mut nodes[turn % 3];
        let words: Vec<&str> = ["CL", "QUORUM"].into_iter().chain(line.split(' ')).collect();
        assert_eq!(ask::<i64>(client, &words).await, changed, "{line}");
        let told: i64 = ask(client, &["CL", "QUORUM", "TTL", "k"]).await;
        assert!((ttl - 5..=ttl).contains(&told) && (ttl > 0) == (told > 0), "{line}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_changes_the_expiry_leaves_the_value_and_its_version() {
    let cluster = TestCluster::start(3).await;
    let mut client = cluster.connect(0).await;
    let _: () = ask(&mut client, &["CL", "ALL", "SET", "k", "value", "EX", "100"]).await;
    for (line, low, high) in [
        ("GETEX k", 90, 100),
        ("GETEX k EX 50", 40, 50),
        ("GETEX k PERSIST", -1, -1),
        ("GETEX k PX 70000", 60, 70),
        ("GETEX k EXAT 99", -2, -2),
    ] {
        let words: Vec<&str> = ["CL", "ALL"].into_iter().chain(line.split(' ')).collect();
        assert_eq!(ask::<String>(&mut client, &words).await, "value", "{line}");
        let told: i64 = ask(&mut client, &["CL", "ALL", "TTL", "k"]).await;
        assert!((low..=high).contains(&told), "{line}: {told}");
    }
    assert_eq!(ask::<Option<String>>(&mut client, &["GETEX", "k", "EX", "5"]).await, None);
    let _: () = ask(&mut client, &["SET", "r", "This is a string"]).await;
    assert_eq!(ask::<String>(&mut client, &["GETRANGE", "r", "-6", "-1"]).await, "string");
    assert_eq!(ask::<String>(&mut client, &["SUBSTR", "none", "0", "5"]).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_expiry_never_beats_a_write_it_has_not_seen() {
    let cluster = TestCluster::start(3).await;
    let (mut reader, mut writer) = (cluster.connect(0).await, cluster.connect(1).await);
    for round in 0..200 {
        let (key, value) = (format!("k{round}"), format!("new{round}"));
        let _: () = ask(&mut writer, &["CL", "QUORUM", "SET", &key, "old"]).await;
        let (touch, write) =
            (["CL", "QUORUM", "GETEX", &key, "EX", "100"], ["CL", "QUORUM", "SET", &key, &value]);
        let (read, ()) =
            tokio::join!(ask::<Option<String>>(&mut reader, &touch), ask::<()>(&mut writer, &write));
        let (now, ttl): (String, i64) = (
            ask(&mut reader, &["CL", "ALL", "GET", &key]).await,
            ask(&mut reader, &["CL", "ALL", "TTL", &key]).await,
        );
        assert_eq!(now, value, "the write stands, whenever the touch came");
        let touched_new = read.as_deref() == Some(&value);
        assert_eq!(ttl > 0, touched_new, "{read:?}: only what was read has been touched");
    }
}
