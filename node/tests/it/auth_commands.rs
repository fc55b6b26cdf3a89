//! The command against nodes that ask for tokens, and a process that is told secrets.

use crate::{
    auth::{APP, PASSWORD, PROBE, guarded},
    child::{Process, shoal},
    cluster::{TestCluster, eventually},
    ports::free_addresses,
    raw::{Raw, http_get},
};
use std::{fs, process::Command};

const HINT: &str = "error: the cluster asks for a token or its password: set SHOAL_TOKEN or --token-file: ";

/// Runs a command; what it exits with and all it says.
async fn run(command: &mut Command) -> (Option<i32>, String) {
    let mut process = Process::start("shoal", command);
    let code = process.ended().await.code();
    (code, process.stdout() + &process.stderr())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_show_a_token_and_say_where_to_put_it() {
    let cluster = TestCluster::start_with(1, guarded).await;
    let node = cluster.nodes[0].config.listen.grpc.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, format!("{APP}\n")).unwrap();
    let file = file.to_str().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = shoal();
        command.args(arguments).args(["--node", &node]);
        command
    };
    for arguments in [
        &["set", "k", "v"][..],
        &["get", "k"],
        &["mget", "k"],
        &["ttl", "k"],
        &["explain", "k"],
        &["status"],
        &["ring"],
        &["hotkeys"],
        &["del", "k"],
    ] {
        let (code, said) = run(&mut command(arguments)).await;
        assert!(code == Some(2) && said.starts_with(HINT), "{arguments:?}: {said}");
        let (code, said) = run(command(arguments).env("SHOAL_TOKEN", "wrong")).await;
        assert_eq!(
            (code, said),
            (Some(2), format!("{HINT}not authenticated: the token or the password is wrong\n"))
        );
        let (code, said) = run(command(arguments).args(["--token-file", file])).await;
        // There are no hot keys.
        assert!(code == Some(0) || arguments == ["hotkeys"], "{arguments:?}: {said}");
        let (code, said) = run(command(arguments).env("SHOAL_TOKEN", PROBE)).await;
        let writes = ["set", "del"].contains(&arguments[0]);
        assert_eq!(said.contains("user probe has the scope read"), writes, "{arguments:?}: {said}");
        assert_eq!(code == Some(2), writes, "{arguments:?}: {said}");
    }
    let (code, said) = run(command(&["set", "k", "v"]).env("SHOAL_TOKEN", PASSWORD)).await;
    assert_eq!((code, said.as_str()), (Some(0), "stored\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_shows_a_token_at_every_door() {
    let cluster = TestCluster::start_with(1, guarded).await;
    let listen = cluster.nodes[0].config.listen;
    for (door, node) in [("resp", listen.resp), ("grpc", listen.grpc), ("rest", listen.http)] {
        let mut command = shoal();
        command.args([
            "bench",
            "--door",
            door,
            "--node",
            &node.to_string(),
            "--requests",
            "50",
            "--keys",
            "5",
        ]);
        command.args(["--concurrency", "2", "--threads", "1"]);
        let (code, said) = run(&mut command).await;
        assert!(code == Some(2) && said.contains("set SHOAL_TOKEN or --token-file"), "{door}: {said}");
        let (code, said) = run(command.env("SHOAL_TOKEN", APP).args(["--user", "app"])).await;
        assert_eq!(code, Some(0), "{door}: {said}");
        let (code, said) = run(command.env("SHOAL_TOKEN", "wrong")).await;
        assert!(code == Some(2) && said.contains("set SHOAL_TOKEN or --token-file"), "{door}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_by_a_process_that_was_told_it() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, format!("app write {APP}\nprobe read {PROBE}\n")).unwrap();
    let listen = free_addresses();
    let settings = |mut command: Command| {
        for (flag, value) in [
            ("--resp", listen.resp.to_string()),
            ("--http", listen.http.to_string()),
            ("--grpc", listen.grpc.to_string()),
            ("--gossip", listen.gossip.to_string()),
            ("--state-dir", directory.path().join("state").display().to_string()),
            ("--tokens-file", tokens.display().to_string()),
            ("--log", "trace".into()),
        ] {
            command.args([flag, &value]);
        }
        command
            .arg("--bootstrap")
            .env("SHOAL_PASSWORD", PASSWORD)
            .env("SHOAL_SECRET", "a secret of these tests");
        command
    };
    let subcommand = |name: &str| {
        let mut command = shoal();
        command.arg(name);
        settings(command)
    };
    let (code, mut said) = run(&mut subcommand("check-config")).await;
    assert_eq!(code, Some(0), "{said}");
    let expected = ", with a cluster secret, for clients default (write), app (write), probe (read)\n";
    assert!(said.ends_with(expected), "{said}");
    said += &run(subcommand("check-config").arg("--json")).await.1;

    let mut node = Process::start("node", &mut subcommand("serve"));
    eventually("the node is ready", async || http_get(listen.http, "/health/ready").await.0 == 200).await;
    let mut client = Raw::connect(listen.resp).await;
    assert_eq!(client.ask(&[b"AUTH", b"app", APP.as_bytes()]).await, "+OK");
    assert!(client.ask(&[b"AUTH", b"a-wrong-secret"]).await.starts_with("-WRONGPASS"));
    let (_, answer) = http_get(listen.http, "/metrics").await;
    assert!(answer.contains("unauthenticated"), "{answer}");
    for token in [PROBE, "a-wrong-secret"] {
        said += &run(shoal().args(["status", "--node", &listen.grpc.to_string()]).env("SHOAL_TOKEN", token))
            .await
            .1;
    }
    let bearer = format!("Bearer {APP}");
    let metrics =
        crate::rest_client::send(listen.http, "GET", "/metrics", &[("authorization", &bearer)], b"").await;
    said += metrics.text();
    node.signal("TERM");
    node.ended().await;
    said += &(node.stdout() + &node.stderr());
    assert!(said.contains("TRACE"), "the log says everything");
    for secret in [PASSWORD, APP, PROBE, "a-wrong-secret", "a secret of these tests"] {
        assert!(!said.contains(secret), "{secret} is shown");
    }
}
