//! Servers in processes of their own, spoken to through a socket in a folder that nobody else sees.

use crate::Load;
use anyhow::{Context as _, ensure};
use shoal_benches::{load, usage};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// Requests that are sent before their answers are read.
const AT_ONCE: u64 = 1_000;
/// How long values live that expire, in seconds.
const LIVES: u64 = 10_000;
/// How often a server is looked at, and how often at most.
const GLANCE: Duration = Duration::from_millis(500);
const GLANCES: usize = 60;

#[derive(Clone, Copy)]
pub(crate) enum Server {
    Redis,
    Memcached,
}

impl Server {
    pub(crate) const ALL: [Self; 2] = [Self::Redis, Self::Memcached];

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Memcached => "memcached",
        }
    }

    /// Name and version; `None` where it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let output = Command::new(self.program()).arg("--version").output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |word: &&str| word.trim_start_matches("v=").starts_with(|c: char| c.is_ascii_digit());
        let version = said.split_whitespace().find(number)?;
        Some(format!("{} {}", self.program(), version.trim_start_matches("v=")))
    }

    /// By how many bytes the server grows as it takes the load.
    pub(crate) fn growth(self, load: Load) -> anyhow::Result<u64> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let server = Running(self.start(folder.path(), &socket)?);
        let mut stream = connect(&socket).with_context(|| format!("{} does not answer", self.program()))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let before = settled(server.0.id())?;
        let value = vec![b'v'; load.value_size];
        let mut batch = Vec::new();
        for first in (0..load.entries).step_by(AT_ONCE as usize) {
            batch.clear();
            let end = load.entries.min(first + AT_ONCE);
            (first..end).for_each(|number| self.encode(&mut batch, number, &value, load.expiring));
            stream.write_all(&batch)?;
            let stored: &[u8] = if matches!(self, Self::Redis) { b"+OK\r\n" } else { b"STORED\r\n" };
            let mut said = vec![0; stored.len() * (end - first) as usize];
            answers.read_exact(&mut said)?;
            ensure!(said.chunks_exact(stored.len()).all(|answer| answer == stored), "a value was refused");
        }
        let after = settled(server.0.id())?;
        let held = self.held(&mut stream, &mut answers)?;
        ensure!(held == load.entries, "{} holds {held}", self.program());
        Ok(after - before)
    }

    fn start(self, folder: &Path, socket: &Path) -> std::io::Result<Child> {
        let mut command = Command::new(self.program());
        match self {
            Self::Redis => {
                command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
                command.arg(socket).arg("--dir").arg(folder);
            }
            Self::Memcached => {
                command.args(["-m", "8192", "-u", "root", "-s"]).arg(socket);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    fn encode(self, batch: &mut Vec<u8>, number: u64, value: &[u8], expiring: bool) {
        let (key, len) = (load::key_bytes(number), value.len());
        match self {
            Self::Redis => {
                let words = if expiring { 5 } else { 3 };
                batch.extend_from_slice(format!("*{words}\r\n$3\r\nSET\r\n$16\r\n").as_bytes());
                batch.extend_from_slice(&key);
                batch.extend_from_slice(format!("\r\n${len}\r\n").as_bytes());
                batch.extend_from_slice(value);
                if expiring {
                    let lives = LIVES.to_string();
                    batch
                        .extend_from_slice(format!("\r\n$2\r\nEX\r\n${}\r\n{lives}", lives.len()).as_bytes());
                }
            }
            Self::Memcached => {
                batch.extend_from_slice(b"set ");
                batch.extend_from_slice(&key);
                let lives = if expiring { LIVES } else { 0 };
                batch.extend_from_slice(format!(" 0 {lives} {len}\r\n").as_bytes());
                batch.extend_from_slice(value);
            }
        }
        batch.extend_from_slice(b"\r\n");
    }

    /// How many entries it says it has.
    fn held(self, stream: &mut UnixStream, answers: &mut BufReader<UnixStream>) -> anyhow::Result<u64> {
        let (request, before) = match self {
            Self::Redis => ("DBSIZE\r\n", ":"),
            Self::Memcached => ("stats\r\n", "STAT curr_items "),
        };
        stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        while answers.read_line(&mut line)? > 0 {
            if let Some(number) = line.strip_prefix(before) {
                return Ok(number.trim().parse()?);
            }
            line.clear();
        }
        anyhow::bail!("{} says nothing", self.program())
    }
}

/// Ends with what it stands for.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let mut tries = 0;
    loop {
        match UnixStream::connect(socket) {
            Err(_) if tries < GLANCES => sleep(GLANCE),
            done => return done,
        }
        tries += 1;
    }
}

/// Resident memory once it stays as it is: tables that grow do so a while longer.
fn settled(process: u32) -> anyhow::Result<u64> {
    let mut last = usage::resident(Some(process))?;
    for _ in 0..GLANCES {
        sleep(GLANCE);
        let next = usage::resident(Some(process))?;
        if next == last {
            break;
        }
        last = next;
    }
    Ok(last)
}
