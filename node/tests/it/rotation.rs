//! Secrets and files that change while nodes serve.

use crate::{
    certificates::Authority,
    child::{Process, shoal},
    cluster::{TestCluster, at, connect, eventually},
    ports::free_addresses,
    stranger,
};
use shoal_membership::Secrets;
use shoal_proto::types::Consistency;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

const OLD: &str = "the secret before";
const NEW: &str = "the secret from now on";
/// Longer than a stream may go on whose secret was dropped.
const OUTLIVED: Duration = Duration::from_secs(12);

/// Requests that need every owner, and so every stream.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    workers: JoinSet<Vec<String>>,
}

impl Load {
    fn start(cluster: &TestCluster) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut workers = JoinSet::new();
        for worker in 0..6 {
            let door = cluster.resp(worker % cluster.nodes.len());
            workers.spawn(work(worker, door, stop.clone(), done.clone()));
        }
        Self { stop, done, workers }
    }

    /// Waits until that many more were answered.
    async fn goes_on(&self) {
        let before = self.done.load(Relaxed);
        eventually("requests are answered", async || self.done.load(Relaxed) > before + 200).await;
    }

    /// Ends it. Returns what failed.
    async fn failures(self) -> Vec<String> {
        self.stop.store(true, Relaxed);
        self.workers.join_all().await.concat()
    }
}

async fn work(worker: usize, door: SocketAddr, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Vec<String> {
    let (mut client, mut failed) = (connect(door).await, Vec::new());
    for n in 0_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let key = format!("{worker} {}", n % 20);
        let written: redis::RedisResult<()> =
            at(Consistency::All, "SET").arg(&key).arg(n).query_async(&mut client).await;
        let read: redis::RedisResult<u64> =
            at(Consistency::All, "GET").arg(&key).query_async(&mut client).await;
        match (written, read) {
            (Ok(()), Ok(value)) if value == n => done.fetch_add(2, Relaxed),
            other => {
                failed.push(format!("{key}: {other:?}"));
                0
            }
        };
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_replaced_under_load_and_nothing_fails() {
    // A secret of its own per node, as in processes.
    let cluster = TestCluster::start_with(3, |config| config.secrets = Secrets::new([OLD])).await;
    let load = Load::start(&cluster);
    load.goes_on().await;
    for step in [vec![OLD, NEW], vec![NEW, OLD], vec![NEW]] {
        for node in &cluster.nodes {
            assert!(node.config.secrets.replace(step.clone()));
            load.goes_on().await;
        }
        // What an operator waits for before the next step: gossip flows, and all streams stand.
        for i in 0..3 {
            let heard = cluster.metric(i, "shoal_gossip_received_total");
            eventually("gossip flows", async || {
                cluster.metric(i, "shoal_gossip_received_total") > heard + 10
            })
            .await;
            assert_eq!(cluster.metric(i, "shoal_peers_up"), 2, "{step:?}");
        }
    }
    // No stream is closed later on for what was proven on it before.
    let ends = Instant::now() + OUTLIVED;
    while Instant::now() < ends {
        load.goes_on().await;
    }
    assert_eq!(load.failures().await, Vec::<String>::new());
    for i in 0..3 {
        assert_eq!(cluster.metric(i, "shoal_peer_streams_refused_total"), 0);
        assert_eq!(cluster.metric(i, r#"shoal_gossip_refused_total{reason="bad_seal"}"#), 0);
    }
    // The old secret is worth nothing, in gossip and on streams.
    let config = &cluster.nodes[0].config;
    assert!(stranger::shake_hands(config, &[NEW], None).await.is_ok());
    // Proves the first, and takes the node's own proof for good.
    let refused = stranger::shake_hands(config, &[OLD, NEW], None).await.unwrap_err();
    assert!(refused.contains("does not know this cluster's secret"), "{refused}");
    assert_eq!(cluster.metric(0, "shoal_peer_streams_refused_total"), 1);
    stranger::gossip(config, OLD).await;
    eventually("the datagram is refused", async || {
        cluster.metric(0, r#"shoal_gossip_refused_total{reason="bad_seal"}"#) == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_does_not_outlive_its_secret_for_long() {
    let cluster = TestCluster::start_with(1, |config| config.secrets = Secrets::new([OLD, NEW])).await;
    let config = &cluster.nodes[0].config;
    let mut outdated = stranger::shake_hands(config, &[OLD], None).await.unwrap();
    let mut current = stranger::shake_hands(config, &[NEW, OLD], None).await.unwrap();
    assert!(outdated.is_served().await && current.is_served().await);
    config.secrets.replace([NEW]);
    eventually("its stream is closed", async || !outdated.is_served().await).await;
    assert!(current.is_served().await);
}

/// A node that keeps all it is told in files.
struct Served {
    directory: tempfile::TempDir,
    process: Process,
    resp: SocketAddr,
}

fn write(directory: &Path, authority: &Authority) {
    let signed = authority.sign(crate::certificates::LOOPBACK);
    fs::write(directory.join("cert.pem"), signed.certificate).unwrap();
    fs::write(directory.join("key.pem"), signed.key).unwrap();
}

impl Served {
    async fn start(authority: &Authority) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        authority.write(directory.path());
        write(directory.path(), authority);
        fs::write(path("secret"), OLD).unwrap();
        fs::write(path("tokens"), "app write the-token-of-app\n").unwrap();
        let listen = free_addresses();
        let mut command = shoal();
        command.args(["serve", "--bootstrap"]);
        for (flag, value) in [
            ("--resp", listen.resp.to_string()),
            ("--http", listen.http.to_string()),
            ("--grpc", listen.grpc.to_string()),
            ("--gossip", listen.gossip.to_string()),
            ("--state-dir", path("state")),
            ("--secret-file", path("secret")),
            ("--tokens-file", path("tokens")),
            ("--tls-cert-file", path("cert.pem")),
            ("--tls-key-file", path("key.pem")),
            ("--tls-ca-file", path("ca.pem")),
        ] {
            command.args([flag, &value]);
        }
        let process = Process::start("node", &mut command);
        let served = Self { directory, process, resp: listen.resp };
        served.says("ready", 1).await;
        served
    }

    /// Waits until it has said something that often.
    async fn says(&self, what: &str, times: usize) {
        eventually(what, async || self.process.stderr().matches(what).count() >= times).await;
    }

    async fn is_trusted(&self, authority: &Authority) -> bool {
        crate::tls::dial(self.resp, crate::tls::trusting(authority)).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_again_when_a_signal_asks_and_when_they_change() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let node = Served::start(&before).await;
    let path = |name: &str| node.directory.path().join(name);
    assert!(node.is_trusted(&before).await);

    fs::write(path("secret"), format!("{OLD}\n{NEW}\n")).unwrap();
    fs::write(path("tokens"), "app write the-token-of-app\nprobe read another-token-of-probe\n").unwrap();
    write(node.directory.path(), &after);
    node.process.signal("HUP");
    for what in ["cluster secret", "password and tokens", "TLS"] {
        node.says(&format!("read anew what=\"{what}\""), 1).await;
    }
    assert!(node.is_trusted(&after).await && !node.is_trusted(&before).await);

    // Nobody asks; what cannot be used changes nothing, and is complained of once.
    write(node.directory.path(), &before);
    node.says("read anew what=\"TLS\"", 2).await;
    assert!(node.is_trusted(&before).await);
    let key = fs::read(path("key.pem")).unwrap();
    fs::write(path("key.pem"), "no key").unwrap();
    fs::write(path("secret"), "short").unwrap();
    fs::write(path("tokens"), "").unwrap();
    let complaints = [
        format!("tls_key_file {}: it holds no private key", path("key.pem").display()),
        format!("{} holds 5 bytes, 16 to 4096 are allowed", path("secret").display()),
        "none is left, with which everybody would be let in".to_owned(),
    ];
    for complaint in &complaints {
        node.says(complaint, 1).await;
    }
    assert!(node.is_trusted(&before).await);
    // Another poll has come and gone when this has been seen.
    fs::write(path("key.pem"), key).unwrap();
    write(node.directory.path(), &after);
    node.says("read anew what=\"TLS\"", 3).await;
    for complaint in &complaints {
        node.says(complaint, 1).await;
        assert_eq!(node.process.stderr().matches(complaint.as_str()).count(), 1, "{complaint}");
    }
}
