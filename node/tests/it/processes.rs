//! Real processes: found, kill, restart, stop.

use crate::{
    child::{Process, shoal},
    cluster::{connect, eventually},
    load::{Cell, Load},
    ports::free_addresses,
    raw::{Raw, command, http_get, metric},
};
use shoal_node::config::ListenAddresses;
use shoal_proto::wire::kv::v1::{Consistency, GetRequest, kv_client::KvClient};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const CONNECTIONS: usize = 8;
/// One request in so many is a write.
const WRITE_EVERY: usize = 20;
const BEFORE_KILL: Duration = Duration::from_secs(1);
const AFTER_KILL: Duration = Duration::from_millis(3500);
const FROZEN: Duration = Duration::from_secs(3);
/// From then on nobody may notice that a node is missing.
const NOTICED: Duration = Duration::from_millis(2500);

/// Three processes on ports of their own, with state directories that outlive them.
pub(crate) struct Processes {
    pub(crate) listen: Vec<ListenAddresses>,
    directory: TempDir,
    pub(crate) running: Vec<Process>,
}

impl Processes {
    pub(crate) fn start() -> Self {
        let listen: Vec<ListenAddresses> = (0..3).map(|_| free_addresses()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut processes = Self { listen, directory, running: Vec::new() };
        for i in 0..3 {
            let process = processes.serve(i);
            processes.running.push(process);
        }
        processes
    }

    pub(crate) fn serve(&self, i: usize) -> Process {
        let seeds: Vec<String> = self.listen.iter().map(|listen| listen.gossip.to_string()).collect();
        let listen = &self.listen[i];
        let doors = [
            ("--resp", listen.resp),
            ("--http", listen.http),
            ("--grpc", listen.grpc),
            ("--gossip", listen.gossip),
        ];
        let mut command = shoal();
        command.args(["serve", "--seed", &seeds.join(","), "--state-dir"]);
        command.arg(self.directory.path().join(i.to_string()));
        command.env("SHOAL_SECRET", "a secret of these tests");
        for (flag, address) in doors {
            command.args([flag, &address.to_string()]);
        }
        Process::start(format!("node {i}"), &mut command)
    }

    pub(crate) async fn ready(&self, i: usize) {
        eventually(&format!("node {i} is ready"), async || {
            http_get(self.listen[i].http, "/health/ready").await.0 == 200
        })
        .await;
    }

    /// Waits until node `i` has streams to both others; it may be ready with one.
    pub(crate) async fn connected(&self, i: usize) {
        eventually(&format!("node {i} reaches the others"), async || {
            let (status, metrics) = http_get(self.listen[i].http, "/metrics").await;
            status == 200 && metric(&metrics, "shoal_peers_up") == 2
        })
        .await;
    }

    pub(crate) async fn all_ready(&self) {
        for i in 0..3 {
            self.ready(i).await;
        }
    }
}

/// Reads every key through a node.
async fn check(cells: &mut [Cell], processes: &Processes, door: usize) {
    let mut client = connect(processes.listen[door].resp).await;
    for cell in cells {
        cell.read(&mut client).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_costs_no_acknowledged_write_and_comes_back() {
    let started = Instant::now();
    let mut processes = Processes::start();
    processes.all_ready().await;
    eprintln!("three processes ready after {:?}", started.elapsed());

    let survivors = [processes.listen[0].resp, processes.listen[1].resp];
    let load = Load::start(&survivors, CONNECTIONS, WRITE_EVERY);
    tokio::time::sleep(BEFORE_KILL).await;
    processes.running[2].kill();
    let killed = Instant::now();
    tokio::time::sleep(AFTER_KILL).await;
    let mut seen = load.stop().await;
    let last = seen.errors.last().map(|(at, _)| at.duration_since(killed));
    eprintln!(
        "{} requests, {} errors, the last one {last:?} after the kill",
        seen.requests,
        seen.errors.len()
    );
    for (at, error) in seen.errors.iter().take(5) {
        eprintln!("  {:?} after the kill: {error}", at.duration_since(killed));
    }
    assert!(last.is_none_or(|last| last < NOTICED), "still errors {last:?} after the kill");
    assert!(seen.cells.iter().all(Cell::was_acknowledged), "too few requests: {}", seen.requests);
    check(&mut seen.cells, &processes, 0).await;
    check(&mut seen.cells, &processes, 1).await;

    let restarted = Instant::now();
    processes.running[2] = processes.serve(2);
    processes.ready(2).await;
    eprintln!("the killed process is ready {:?} after its restart", restarted.elapsed());
    check(&mut seen.cells, &processes, 2).await;
    let mut own_door = connect(processes.listen[2].resp).await;
    for cell in &mut seen.cells {
        cell.write(&mut own_door).await.unwrap();
    }
    check(&mut seen.cells, &processes, 0).await;

    for mut process in processes.running {
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_holds_nobody_up_and_catches_up() {
    let processes = Processes::start();
    processes.all_ready().await;
    let others = [processes.listen[0].resp, processes.listen[1].resp];
    let load = Load::start(&others, CONNECTIONS, WRITE_EVERY);
    tokio::time::sleep(BEFORE_KILL).await;
    processes.running[2].signal("STOP");
    tokio::time::sleep(FROZEN).await;
    processes.running[2].signal("CONT");
    let mut seen = load.stop().await;
    eprintln!("{} requests with a frozen process, {} errors", seen.requests, seen.errors.len());
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    assert!(seen.cells.iter().all(Cell::was_acknowledged), "too few requests: {}", seen.requests);
    // It has slept through writes and does not know it.
    processes.connected(2).await;
    check(&mut seen.cells, &processes, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_leaves_its_row_of_the_status_blank() {
    let processes = Processes::start();
    processes.all_ready().await;
    processes.connected(0).await;
    processes.running[2].signal("STOP");
    let grpc = processes.listen[0].grpc.to_string();
    let frozen = processes.listen[2].gossip.to_string();
    eventually("the frozen process no longer reports, the others do", async || {
        let output = shoal().args(["status", "--json", "--node", &grpc]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let nodes = status["nodes"].as_array().unwrap();
        let silent: Vec<&str> =
            nodes.iter().filter(|n| n["report"].is_null()).map(|n| n["node_id"].as_str().unwrap()).collect();
        nodes.len() == 3 && silent == [&frozen]
    })
    .await;
    processes.running[2].signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_told_to_stop_answers_what_it_has_begun() {
    let mut processes = Processes::start();
    processes.all_ready().await;
    processes.connected(0).await;
    // Nobody answers: the request takes its whole time.
    processes.running[1].signal("STOP");
    processes.running[2].signal("STOP");
    let mut client = Raw::connect(processes.listen[0].resp).await;
    let both = [command(&[b"PING"]), command(&[b"CL", b"ALL", b"GET", b"k"])].concat();
    client.send(&both).await;
    assert_eq!(client.line().await, "+PONG");
    processes.running[0].signal("TERM");
    let answer = client.rest().await;
    assert!(answer.starts_with("-TIMEOUT ALL needs 3 owners, "), "{answer:?}");
    assert_eq!(processes.running[0].ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_call_ends_when_its_client_no_longer_waits() {
    let processes = Processes::start();
    processes.all_ready().await;
    processes.connected(0).await;
    processes.running[1].signal("STOP");
    processes.running[2].signal("STOP");
    let mut client = KvClient::connect(format!("http://{}", processes.listen[0].grpc)).await.unwrap();
    let consistency = Consistency::Quorum.into();
    let mut request = tonic::Request::new(GetRequest { key: "k".into(), consistency, deadline_ms: 0 });
    // Longer than the node would take by itself, and over before it gives the silent streams up.
    request.set_timeout(Duration::from_millis(2_500));
    let status = client.get(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status:?}");
    // The node's own word, not that of a library that cut it off.
    assert!(status.message().starts_with("QUORUM needs 2 owners, 1 answered within 2"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_request_runs_to_its_end_when_its_client_hangs_up() {
    let processes = Processes::start();
    processes.all_ready().await;
    processes.connected(0).await;
    processes.running[1].signal("STOP");
    processes.running[2].signal("STOP");
    let http = processes.listen[0].http;
    let mut client = Raw::connect(http).await;
    let request = "PUT /cache/k?consistency=quorum HTTP/1.1\r\nhost: a\r\n\
         content-type: application/octet-stream\r\ncontent-length: 1\r\n\r\nv";
    client.send(request.as_bytes()).await;
    // Once it has begun, which is when the node's own copy is written.
    eventually("the write has begun", async || {
        metric(&http_get(http, "/metrics").await.1, "shoal_store_entries") == 1
    })
    .await;
    drop(client);
    eventually("the write has waited for the others to its end", async || {
        let metrics = http_get(http, "/metrics").await.1;
        let timeouts = metrics.lines().filter(|line| line.starts_with("shoal_coordinator_timeouts_total"));
        timeouts.filter(|line| line.ends_with(" 1")).count() == 1
    })
    .await;
}
