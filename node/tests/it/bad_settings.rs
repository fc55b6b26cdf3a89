//! `shoal serve` with settings that make no node.

use crate::{
    child::{Process, shoal},
    ports::free_addresses,
};
use std::{fs, net::TcpListener};

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Runs `shoal serve` with the arguments and variables; returns what it complains of.
async fn complaint(arguments: &[&str], variables: Variables<'_>) -> String {
    let mut command = shoal();
    command.arg("serve").args(arguments).envs(variables.iter().copied());
    let mut process = Process::start("shoal serve", &mut command);
    let status = process.ended().await;
    assert_eq!(status.code(), Some(2), "{arguments:?}: {}", process.stderr());
    assert_eq!(process.stdout(), "");
    process.stderr()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_setting_is_named_with_its_value_and_where_it_comes_from() {
    let replicas = shoal_proto::types::MAX_REPLICAS;
    let size = "expected a size such as 512MiB or 4GiB";
    let cases: [(&[&str], Variables<'_>, String); 5] = [
        (
            &["--bootstrap", "--max-memory", "x"],
            &[],
            format!("error: invalid value 'x' for max_memory: {size} (from --max-memory)\n"),
        ),
        (
            &["--bootstrap"],
            &[("SHOAL_MAX_MEMORY", "much")],
            format!("error: invalid value 'much' for max_memory: {size} (from SHOAL_MAX_MEMORY)\n"),
        ),
        (
            &["--bootstrap", "--replicas", "0"],
            &[],
            format!("error: invalid value '0' for replicas: expected 1 to {replicas} (from --replicas)\n"),
        ),
        (
            &[],
            &[],
            "error: seed must be set: name the gossip addresses of the first members (--seed host:7382,...), \
             or found a cluster of this node alone (--bootstrap)\n"
                .into(),
        ),
        (
            &["--bootstrap"],
            &[("SHOAL_SECRET", "short")],
            "error: cluster secret: SHOAL_SECRET holds 5 bytes, 16 to 4096 are allowed\n".into(),
        ),
    ];
    for (arguments, variables, expected) in cases {
        assert_eq!(complaint(arguments, variables).await, expected);
    }
    let both = complaint(&["--bootstrap", "--vnodes", "100", "--gossip-phi", "0"], &[]).await;
    assert!(both.contains("'100' for vnodes") && both.contains("'0' for gossip_phi"), "{both}");
    let flag = complaint(&["--bootstrap", "--max-memry", "1GiB"], &[]).await;
    assert!(flag.contains("unexpected argument '--max-memry'"), "{flag}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_file_is_named_with_what_is_wrong_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shoal.toml");
    let file = path.display().to_string();
    for (text, expected) in [
        (
            "bootstrap = true\nmax_memry = 5\n",
            format!("error: settings file {file}: unknown setting max_memry\n"),
        ),
        (
            "bootstrap = true\nreplicas = \"many\"\n",
            format!("error: invalid value 'many' for replicas: expected a whole number (from {file})\n"),
        ),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(complaint(&["--config", &file], &[]).await, expected);
    }
    fs::write(&path, "bootstrap = true\nreplicas = = 3\n").unwrap();
    let syntax = complaint(&["--config", &file], &[]).await;
    assert!(syntax.starts_with(&format!("error: settings file {file}, line 2: ")), "{syntax}");
    fs::remove_file(&path).unwrap();
    let missing = complaint(&["--config", &file], &[]).await;
    assert!(missing.starts_with(&format!("error: settings file {file}: No such file")), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_damaged_state_end_the_process_with_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = directory.path().display().to_string();
    let listen = free_addresses();
    let doors = [listen.resp, listen.http, listen.grpc, listen.gossip].map(|address| address.to_string());
    let [resp, http, grpc, gossip] = &doors;
    let arguments = [
        "--bootstrap",
        "--log",
        "error",
        "--state-dir",
        &state_dir,
        "--resp",
        resp,
        "--http",
        http,
        "--grpc",
        grpc,
        "--gossip",
        gossip,
    ];
    let taken = TcpListener::bind(listen.http).unwrap();
    let error = complaint(&arguments, &[]).await;
    assert_eq!(error, format!("error: cannot listen on {http} for HTTP: the port is already in use\n"));
    drop(taken);
    let state = directory.path().join("node.state");
    fs::write(&state, "junk").unwrap();
    let error = complaint(&arguments, &[]).await;
    let expected = format!(
        "error: node {gossip}: state file {} is corrupt (not a state file of this version); \
         restore it, or delete it to start as a new node\n",
        state.display()
    );
    assert_eq!(error, expected);
}
