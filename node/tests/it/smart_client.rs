//! The client that routes by itself, against real processes.

use crate::{cluster::TestCluster, cluster::eventually, processes::Processes};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Consistency, Key, Source, Value};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

const WORKERS: usize = 16;
const KEYS_PER_WORKER: usize = 8;
/// One call in so many is a write.
const WRITE_EVERY: usize = 5;
/// How long after a kill a call at QUORUM may still fail.
const NOTICED: Duration = Duration::from_secs(1);
/// Longer than any attempt is waited for.
const FROZEN: Duration = Duration::from_millis(1_500);
/// Calls made under load before the kill, and after it.
const CALLS: usize = 4_000;

async fn connect(addresses: &[String]) -> Client {
    let config = ClientConfig { timeout: Duration::from_secs(5), ..ClientConfig::default() };
    Client::connect(addresses, config).await.unwrap()
}

fn key(text: String) -> Key {
    Key::new(text).unwrap()
}

/// Calls at one level, checked while they come.
struct Load {
    calls: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    workers: JoinSet<Vec<(Instant, ClientError)>>,
}

impl Load {
    fn start(client: &Client, level: Consistency) -> Self {
        let (calls, (stop, stopped)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let client = client.with_consistency(level);
            workers.spawn(work(worker, client, level, calls.clone(), stopped.clone()));
        }
        Self { calls, stop, workers }
    }

    /// Waits until `more` further calls have ended.
    async fn goes_on(&self, more: usize) {
        let enough = self.calls.load(Ordering::Relaxed) + more;
        eventually("calls are made", async || self.calls.load(Ordering::Relaxed) >= enough).await;
    }

    /// The calls that failed.
    async fn stop(self) -> Vec<(Instant, ClientError)> {
        self.stop.send(true).unwrap();
        self.workers.join_all().await.concat()
    }
}

/// Writes ever larger numbers to keys of its own, and reads them back.
async fn work(
    worker: usize,
    client: Client,
    level: Consistency,
    calls: Arc<AtomicUsize>,
    stop: watch::Receiver<bool>,
) -> Vec<(Instant, ClientError)> {
    let options = CallOptions::default();
    let mut acknowledged = [0; KEYS_PER_WORKER];
    let mut failures = Vec::new();
    for call in 1.. {
        if *stop.borrow() {
            break;
        }
        let at = call / WRITE_EVERY % KEYS_PER_WORKER;
        let key = key(format!("{level} {worker} {at}"));
        let failure = if call % WRITE_EVERY == 0 {
            let stored = client.set(key, Value::new(call.to_string()).unwrap(), None, &options).await;
            stored.map(|_| acknowledged[at] = call).err()
        } else {
            match client.get(key, &options).await {
                Ok(found) => {
                    let read = found.value.map_or(0, |value| {
                        std::str::from_utf8(value.as_bytes()).unwrap().parse::<usize>().unwrap()
                    });
                    let is_fresh = read >= acknowledged[at] || level == Consistency::One;
                    assert!(is_fresh && read <= call, "{read} after {} was acknowledged", acknowledged[at]);
                    None
                }
                Err(error) => Some(error),
            }
        };
        failures.extend(failure.map(|error| (Instant::now(), error)));
        calls.fetch_add(1, Ordering::Relaxed);
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_fails_no_call_at_one_and_none_at_quorum_for_long() {
    let mut processes = Processes::start();
    processes.all_ready().await;
    for i in 0..3 {
        processes.connected(i).await;
    }
    let seed = processes.listen[0].grpc.to_string();
    let client = connect(&[seed]).await;
    let (one, quorum) = (Load::start(&client, Consistency::One), Load::start(&client, Consistency::Quorum));
    one.goes_on(CALLS).await;
    quorum.goes_on(CALLS).await;
    let topology = client.topology().current.expect("the client knows the ring");
    assert_eq!((topology.nodes.len(), topology.table.as_ref().unwrap().replicas()), (3, 3));

    // The one whose topology the client follows, so that it has to find another.
    processes.running[0].kill();
    let killed = Instant::now();
    one.goes_on(CALLS).await;
    quorum.goes_on(CALLS).await;
    eventually("the client has seen a second pass", async || killed.elapsed() > NOTICED).await;
    quorum.goes_on(CALLS).await;
    let (one, quorum) = (one.stop().await, quorum.stop().await);
    let stats = client.stats();
    let last = quorum.iter().map(|(at, _)| at.saturating_duration_since(killed)).max();
    eprintln!("{stats:?}; {} failures at ONE, {} at QUORUM, last {last:?}", one.len(), quorum.len());
    assert!(one.is_empty(), "{one:?}");
    assert!(last.is_none_or(|last| last < NOTICED), "{quorum:?}");
    assert!(stats.breaker_openings >= 1 && stats.budget_exhausted == 0, "{stats:?}");

    eventually("the client learns of the death from another node", async || {
        let current = client.topology().current.unwrap();
        current.nodes.iter().filter(|node| node.live).count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_fails_no_call_at_one() {
    let processes = Processes::start();
    processes.all_ready().await;
    let client = connect(&[processes.listen[1].grpc.to_string()]).await;
    let load = Load::start(&client, Consistency::One);
    load.goes_on(CALLS).await;
    processes.running[2].signal("STOP");
    let frozen = Instant::now();
    load.goes_on(CALLS).await;
    // What had been sent to it is answered by others meanwhile.
    eventually("it stays away", async || frozen.elapsed() > FROZEN).await;
    let before = client.stats().calls;
    processes.running[2].signal("CONT");
    assert!(before > 2 * CALLS as u64, "{before} calls");
    let failures = load.stop().await;
    eprintln!("{:?}", client.stats());
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_many_read_through_its_expiry_is_loaded_a_few_times() {
    const READERS: usize = 32;
    const TTL: Duration = Duration::from_millis(400);
    const LOAD: Duration = Duration::from_millis(20);
    const EXPIRIES: u64 = 4;
    let cluster = TestCluster::start(3).await;
    let client = connect(&[cluster.nodes[0].config.listen.grpc.to_string()]).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let read = |_| {
        let (client, loads) = (client.clone(), loads.clone());
        tokio::spawn(async move {
            let mut waited = 0;
            while begun.elapsed() < TTL * EXPIRIES as u32 {
                let loads = loads.clone();
                let load = move || async move {
                    tokio::time::sleep(LOAD).await;
                    let count = loads.fetch_add(1, Ordering::Relaxed);
                    std::io::Result::Ok(Value::new(count.to_string()).unwrap())
                };
                let options = CallOptions::default();
                let got = client.get_or_load(key("hot".into()), Some(TTL), &options, load).await.unwrap();
                waited += usize::from(!matches!(got.source, Source::Cache(_)));
            }
            waited
        })
    };
    let readers: Vec<JoinHandle<usize>> = (0..READERS).map(read).collect();
    let mut waited = 0;
    for reader in readers {
        waited += reader.await.unwrap();
    }
    let (loads, stats) = (loads.load(Ordering::Relaxed), client.stats());
    eprintln!("{} reads, {loads} loads, {waited} calls that waited for one: {stats:?}", stats.calls);
    // One at first, and one a little before each expiry: the value never lives its whole time.
    assert!((2..=4 * EXPIRIES as usize).contains(&loads), "{loads} loads");
    assert_eq!(stats.loads as usize, loads);
}
