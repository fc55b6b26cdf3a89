//! Requests at QUORUM whose answers are checked while they come.

use crate::cluster::at;
use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use shoal_proto::types::Consistency;
use std::{net::SocketAddr, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::Instant};

const QUORUM: Consistency = Consistency::Quorum;
const KEYS_PER_CONNECTION: usize = 10;
/// Longer than a node takes to answer, whatever happens to the others.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a key that one connection alone writes, with ever larger values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    key: String,
    /// The last value written, acknowledged or not.
    tried: u64,
    /// The least value a read may return: acknowledged, or read before.
    floor: u64,
}

impl Cell {
    pub(crate) async fn write(&mut self, client: &mut MultiplexedConnection) -> RedisResult<()> {
        self.tried += 1;
        let () = at(QUORUM, "SET").arg(&self.key).arg(self.tried).query_async(client).await?;
        self.floor = self.tried;
        Ok(())
    }

    /// Reads and checks that nothing acknowledged is missing and nothing is made up.
    pub(crate) async fn read(&mut self, client: &mut MultiplexedConnection) -> RedisResult<()> {
        let value: Option<u64> = at(QUORUM, "GET").arg(&self.key).query_async(client).await?;
        let value = value.unwrap_or(0);
        assert!((self.floor..=self.tried).contains(&value), "{self:?} was read as {value}");
        self.floor = value;
        Ok(())
    }

    pub(crate) fn was_acknowledged(&self) -> bool {
        self.floor > 0
    }
}

/// Connections at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    workers: JoinSet<Seen>,
}

/// What they saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) cells: Vec<Cell>,
    pub(crate) requests: usize,
    pub(crate) errors: Vec<(Instant, String)>,
}

impl Load {
    /// Connects `connections` times, to each door in turn. One request in `write_every` is a write.
    pub(crate) fn start(doors: &[SocketAddr], connections: usize, write_every: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut workers = JoinSet::new();
        for (worker, door) in doors.iter().cycle().take(connections).enumerate() {
            workers.spawn(work(worker, *door, write_every, stopped.clone()));
        }
        Self { stop, workers }
    }

    pub(crate) async fn stop(self) -> Seen {
        self.stop.send(true).unwrap();
        let mut all = Seen::default();
        for seen in self.workers.join_all().await {
            all.cells.extend(seen.cells);
            all.requests += seen.requests;
            all.errors.extend(seen.errors);
        }
        all.errors.sort();
        all
    }
}

async fn work(worker: usize, door: SocketAddr, write_every: usize, stop: watch::Receiver<bool>) -> Seen {
    let cells = (0..KEYS_PER_CONNECTION)
        .map(|n| Cell { key: format!("key {worker} {n}"), ..Cell::default() })
        .collect();
    let mut seen = Seen { cells, ..Seen::default() };
    while !*stop.borrow() {
        // Over and over, while the node is away.
        let error = match connect(door).await {
            Ok(mut client) => match requests(&mut seen, &mut client, write_every, &stop).await {
                Ok(()) => break,
                Err(error) => error,
            },
            Err(error) => error,
        };
        seen.errors.push((Instant::now(), error.to_string()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

/// Works until stopped or disconnected.
async fn requests(
    seen: &mut Seen,
    client: &mut MultiplexedConnection,
    write_every: usize,
    stop: &watch::Receiver<bool>,
) -> RedisResult<()> {
    while !*stop.borrow() {
        seen.requests += 1;
        let round = seen.requests / write_every;
        let result = if seen.requests.is_multiple_of(write_every) {
            seen.cells[round % KEYS_PER_CONNECTION].write(client).await
        } else {
            seen.cells[(seen.requests + round) % KEYS_PER_CONNECTION].read(client).await
        };
        match result {
            Err(error) if error.is_io_error() || error.is_connection_dropped() => return Err(error),
            Err(error) => seen.errors.push((Instant::now(), error.to_string())),
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn connect(door: SocketAddr) -> RedisResult<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    Client::open(format!("redis://{door}/"))?.get_multiplexed_async_connection_with_config(&patient).await
}
