//! A crowd of bad clients before the RESP door: good ones do not notice, and the node's memory stays within its bound.

use crate::{
    child::{Process, shoal},
    cluster::eventually,
    ports::free_addresses,
    raw::{Raw, command, http_get, metric, metric_sum},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinHandle, time::Instant};

const MIB: u64 = 1 << 20;
const MAX_MEMORY: u64 = 64 * MIB;
const CLIENT_MEMORY: u64 = 32 * MIB;
const MAX_CLIENTS: u64 = 600;
/// What a connection takes beside what it holds: its task, and room for a small request and its reply.
const CONNECTION: u64 = 16 * 1024;
/// Values in transit: read, encoded or freed at this moment, by a few threads.
const IN_TRANSIT: u64 = 32 * MIB;

const IDLE: usize = 300;
const SLOW: usize = 40;
const BROKEN: usize = 40;
const LARGE: usize = MIB as usize;
const ROUNDS: usize = 1500;
/// By when they are done, and bad ones were too many.
const DEADLINE: Duration = Duration::from_secs(120);

/// Asks for large values and reads none of them, time and again.
async fn slow(address: SocketAddr) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let _ = stream.write_all(&command(&[b"GET", b"large"]).repeat(8)).await;
        // The node lets go of it sooner or later, and of others before. This is its pace: nothing is waited for.
        while stream.write_all(b"PING\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Leaves half a large request, garbage, or nothing at all behind.
async fn broken(address: SocketAddr) {
    let half = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2097152\r\n".as_slice(), &vec![b'x'; LARGE]].concat();
    let mut open = Vec::new();
    for turn in 0_usize.. {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let bytes = [&half[..], b"*2\r\n$3\r\nGET\r\n", b"*1048576\r\n", b"\xff\xfe\r\n"][turn % 4];
        let _ = stream.write_all(bytes).await;
        open.push(stream);
        if open.len() > 2 {
            let aborted: TcpStream = open.remove(0);
            let _ = aborted.set_zero_linger();
        }
        // Its pace, too: all of them make a few thousand connections a second.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_bad_clients_neither_disturbs_good_ones_nor_fills_the_memory() {
    let listen = free_addresses();
    let directory = tempfile::tempdir().unwrap();
    let mut serve = shoal();
    serve.args(["serve", "--bootstrap", "--replicas", "1", "--log", "error"]);
    serve.args([
        "--max-memory",
        "64MiB",
        "--client-memory",
        "32MiB",
        "--max-clients",
        &MAX_CLIENTS.to_string(),
    ]);
    serve.arg("--state-dir").arg(directory.path());
    let doors = [
        ("--resp", listen.resp),
        ("--http", listen.http),
        ("--grpc", listen.grpc),
        ("--gossip", listen.gossip),
    ];
    for (flag, address) in doors {
        serve.args([flag, &address.to_string()]);
    }
    let _node = Process::start("node", &mut serve);
    eventually("the node is ready", async || http_get(listen.http, "/health/ready").await.0 == 200).await;

    let metrics = async || http_get(listen.http, "/metrics").await.1;
    let at_rest = metric(&metrics().await, "process_resident_memory_bytes");
    let mut good = Raw::connect(listen.resp).await;
    assert_eq!(good.ask(&[b"SET", b"large", &vec![b'v'; LARGE]]).await, "+OK");
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut client = Raw::connect(listen.resp).await;
        assert_eq!(client.ask(&[b"PING"]).await, "+PONG");
        idle.push(client);
    }
    let crowd: Vec<JoinHandle<()>> = (0..SLOW)
        .map(|_| tokio::spawn(slow(listen.resp)))
        .chain((0..BROKEN).map(|_| tokio::spawn(broken(listen.resp))))
        .collect();

    let let_go = |text: &str| metric_sum(text, "shoal_connections_ended_total", r#"reason="client_memory""#);
    let (mut highest, mut round, begun) = (0, 0, Instant::now());
    // Until good clients have had many answers, and bad ones have been too many.
    loop {
        let (key, value) = (format!("key{}", round % 100), format!("value{round}"));
        assert_eq!(good.ask(&[b"SET", key.as_bytes(), value.as_bytes()]).await, "+OK");
        assert_eq!(good.ask(&[b"GET", key.as_bytes()]).await, format!("${}", value.len()));
        assert_eq!(good.line().await, value);
        round += 1;
        assert!(begun.elapsed() < DEADLINE, "{round} rounds, and nobody was let go");
        if round % 100 == 0 {
            let text = metrics().await;
            highest = highest.max(metric(&text, "process_resident_memory_bytes"));
            if round >= ROUNDS && let_go(&text) > 0 {
                break;
            }
        }
    }
    let bound =
        at_rest + MAX_MEMORY + MAX_MEMORY / 10 + CLIENT_MEMORY + MAX_CLIENTS * CONNECTION + IN_TRANSIT;
    eprintln!("{} MiB at rest, {} at most, {} allowed", at_rest / MIB, highest / MIB, bound / MIB);
    assert!(highest <= bound, "{highest} bytes, of {bound}");
    for client in &mut idle {
        assert_eq!(client.ask(&[b"PING"]).await, "+PONG", "an idle client holds nothing and stays");
    }
    crowd.iter().for_each(JoinHandle::abort);
}
