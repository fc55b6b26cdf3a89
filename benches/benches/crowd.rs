//! A crowd of bad clients before the RESP door of one node: some that say nothing, some that ask for large values and
//! hardly read them, some that send garbage, leave requests unfinished and break off. Goes on until it is ended, and says
//! on its standard output when everyone is there. `benches/crowd.sh` measures what others notice of it.

use bytes::BytesMut;
use clap::Parser;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
};

/// Connections that are made at the same time.
const CONNECTING: usize = 64;
/// How long a client that was let go waits before it comes back.
const PAUSE: Duration = Duration::from_secs(1);
/// What slow readers ask for: so many of these values, one after another, before they read anything.
const LARGE: usize = 1 << 20;
const ASKED: usize = 32;
const KEYS: usize = 8;
/// As little as a client that means harm would take at once.
const RECEIVE_BUFFER: u32 = 4096;

#[derive(Parser)]
struct Options {
    /// The node's RESP door
    address: SocketAddr,
    /// Clients that say nothing
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Clients that ask for large values and read a byte a second
    #[arg(long, default_value_t = 100)]
    slow: usize,
    /// Clients that send what is no request, or half of one, and break off
    #[arg(long, default_value_t = 100)]
    broken: usize,
    /// How long a broken client waits between two attempts, in milliseconds
    #[arg(long, default_value_t = 100)]
    pause: u64,
    /// Broken clients ask for 8 MiB each before they break off, too: about 1 GB/s of replies
    #[arg(long)]
    hungry: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Default)]
struct Counts {
    idle: AtomicU64,
    let_go: AtomicU64,
    broken: AtomicU64,
}

fn main() -> io::Result<()> {
    // Without an address there is nothing to do, which is how `cargo bench` runs all benches.
    let Ok(options) = Options::try_parse() else {
        println!("usage: crowd ADDRESS [--idle N] [--slow N] [--broken N]");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> io::Result<()> {
    let (counts, connecting) = (Arc::<Counts>::default(), Arc::new(Semaphore::new(CONNECTING)));
    let address = options.address;
    store_large(address).await?;
    for _ in 0..options.slow {
        tokio::spawn(slow(address, counts.clone()));
    }
    for number in 0..options.broken {
        let pause = Duration::from_millis(options.pause);
        tokio::spawn(broken(address, number, options.hungry, pause, counts.clone()));
    }
    for _ in 0..options.idle {
        tokio::spawn(idle(address, connecting.clone(), counts.clone()));
    }
    while counts.idle.load(Relaxed) < options.idle as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("ready");
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let Counts { idle, let_go, broken } = &*counts;
        eprintln!("idle {idle:?}, slow readers let go {let_go:?}, broken connections {broken:?}");
    }
}

async fn store_large(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    for key in 0..KEYS {
        let mut request = format!("*3\r\n$3\r\nSET\r\n$7\r\ncrowd:{key}\r\n${LARGE}\r\n").into_bytes();
        request.resize(request.len() + LARGE, b'x');
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        stream.read_exact(&mut [0; 5]).await?;
    }
    Ok(())
}

/// Is there, and says nothing once it was served.
async fn idle(address: SocketAddr, connecting: Arc<Semaphore>, counts: Arc<Counts>) {
    loop {
        let permit = connecting.acquire().await;
        let connected = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"PING\r\n").await?;
            stream.read_exact(&mut [0; 7]).await?;
            io::Result::Ok(stream)
        }
        .await;
        drop(permit);
        if let Ok(mut stream) = connected {
            counts.idle.fetch_add(1, Relaxed);
            let _ = stream.read(&mut [0]).await;
            counts.idle.fetch_sub(1, Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks for much and reads a byte a second.
async fn slow(address: SocketAddr, counts: Arc<Counts>) {
    loop {
        let _ = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
            let mut stream = socket.connect(address).await?;
            for turn in 0..ASKED {
                stream.write_all(format!("GET crowd:{}\r\n", turn % KEYS).as_bytes()).await?;
            }
            while stream.read(&mut [0]).await? > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            io::Result::Ok(())
        }
        .await;
        counts.let_go.fetch_add(1, Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Does something wrong, and then something else.
async fn broken(address: SocketAddr, number: usize, hungry: bool, pause: Duration, counts: Arc<Counts>) {
    for turn in number.. {
        let _ = misbehave(address, turn, hungry).await;
        counts.broken.fetch_add(1, Relaxed);
        tokio::time::sleep(pause).await;
    }
}

async fn misbehave(address: SocketAddr, turn: usize, hungry: bool) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let half = |value: usize| {
        let mut request = BytesMut::from(&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"[..]);
        request.extend_from_slice(format!("${value}\r\n").as_bytes());
        request.resize(request.len() + value / 2, b'x');
        request
    };
    match turn % 8 {
        0 => stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00garbage\xff\xfe\r\n\r\n").await?,
        1 => stream.write_all(b"*1048577\r\n").await?,
        2 => stream.write_all(b"*1048576\r\n$3\r\nGET\r\n").await?,
        3 => stream.write_all(&half(1 << 20)).await?,
        4 => stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").await?,
        5 => {
            for byte in b"*2\r\n$3\r\nGET\r\n$1\r\n" {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        6 => {
            stream
                .write_all(format!("GET {}\r\n", if hungry { "crowd:0" } else { "k" }).repeat(8).as_bytes())
                .await?
        }
        // Connects, and that is all.
        _ => {}
    }
    // Half of them break off without a goodbye: what they have not read is lost.
    if turn.is_multiple_of(2) {
        stream.set_zero_linger()?;
    }
    Ok(())
}
