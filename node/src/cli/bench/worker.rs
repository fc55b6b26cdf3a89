use super::{payload, summary::Summary, trace::Request};
use anyhow::Context as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use indicatif::ProgressBar;
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};
use shoal_proto::types::{Consistency, MAX_VALUE_BYTES};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::{self, Instant};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// A worker whose nodes stay away for this many attempts gives up.
const RECONNECT_ATTEMPTS: usize = 100;

/// The work all workers share.
pub(crate) struct Work {
    /// The trace.
    pub(crate) requests: Vec<Request>,
    /// Which of them is next.
    pub(crate) next: AtomicUsize,
    /// RESP addresses.
    pub(crate) nodes: Vec<String>,
    /// Sent on each connection.
    pub(crate) consistency: Option<Consistency>,
    /// Requests one worker has under way.
    pub(crate) pipeline: usize,
    /// Size of values where the trace does not tell.
    pub(crate) value_bytes: usize,
    /// How long values live.
    pub(crate) ttl: Option<Duration>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// How far the workers are.
    pub(crate) progress: ProgressBar,
}

/// One connection and the requests it has under way.
pub(crate) struct Worker {
    node: usize,
    connection: MultiplexedConnection,
    /// Counts connections, so that many failures of one make only one new.
    connections: usize,
}

impl Worker {
    /// Connects worker `index`: workers are spread evenly over the nodes.
    ///
    /// # Errors
    /// When the node cannot be reached or does not know the consistency level.
    pub(crate) async fn connect(work: &Work, index: usize) -> anyhow::Result<Self> {
        let node = index % work.nodes.len();
        Ok(Self { node, connection: connect(work, node).await?, connections: 0 })
    }

    /// Works until the trace is at its end.
    ///
    /// # Errors
    /// When the connection is lost and no node can be reached any more.
    pub(crate) async fn run(mut self, work: &Work) -> anyhow::Result<Summary> {
        let mut summary = Summary::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < work.pipeline
                && let Some(request) = work.take()
            {
                let number = self.connections;
                let answer = ask(work, self.connection.clone(), request);
                under_way.push(async move { (number, answer.await) });
            }
            let Some((number, answers)) = under_way.next().await else { return Ok(summary) };
            work.progress.inc(1);
            let is_lost = answers.error.as_ref().is_some_and(RedisError::is_unrecoverable_error);
            answers.count(&mut summary);
            if is_lost && number == self.connections {
                self.reconnect(work).await?;
            }
        }
    }

    /// Connects again, to the next node that can be reached.
    async fn reconnect(&mut self, work: &Work) -> anyhow::Result<()> {
        let mut outcome = Err(anyhow::anyhow!("no attempt was made"));
        for attempt in 1..=RECONNECT_ATTEMPTS {
            self.node = (self.node + 1) % work.nodes.len();
            outcome = connect(work, self.node).await;
            if outcome.is_ok() {
                break;
            }
            // A round of all nodes before each pause.
            if attempt.is_multiple_of(work.nodes.len()) {
                time::sleep(RECONNECT_PAUSE).await;
            }
        }
        self.connection = outcome?;
        self.connections += 1;
        Ok(())
    }
}

impl Work {
    fn take(&self) -> Option<Request> {
        self.requests.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

async fn connect(work: &Work, node: usize) -> anyhow::Result<MultiplexedConnection> {
    let node = &work.nodes[node];
    let reach = || format!("cannot reach {node}");
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(work.timeout));
    let client = Client::open(format!("redis://{node}"))
        .with_context(|| format!("'{node}' is not a node's address: expected host:port"))?;
    let mut connection =
        client.get_multiplexed_async_connection_with_config(&config).await.with_context(reach)?;
    if let Some(level) = work.consistency {
        let mut command = redis::cmd("CL");
        command.arg(level.name());
        let set: Result<(), RedisError> = command.query_async(&mut connection).await;
        set.with_context(|| {
            format!("{node} does not take a consistency level (leave out --consistency for Redis)")
        })?;
    }
    Ok(connection)
}

/// What one request of the trace met.
#[derive(Default)]
struct Answers {
    get: Option<(Duration, Found)>,
    set: Option<Duration>,
    error: Option<RedisError>,
}

enum Found {
    Nothing,
    Value { is_whole: bool },
}

impl Answers {
    fn count(self, summary: &mut Summary) {
        match self.get {
            Some((took, Found::Value { is_whole })) => {
                summary.hits.record(took);
                summary.corrupt += u64::from(!is_whole);
            }
            Some((took, Found::Nothing)) => summary.misses.record(took),
            None => {}
        }
        if let Some(took) = self.set {
            summary.sets.record(took);
        }
        if let Some(error) = self.error {
            summary.fail(kind(&error));
        }
    }
}

/// Reads a key and fills a miss, as the user of a cache would.
async fn ask(work: &Work, mut connection: MultiplexedConnection, request: Request) -> Answers {
    let mut answers = Answers::default();
    let key = format!("bench:{}", request.key);
    let asked = Instant::now();
    let value: Option<Vec<u8>> = match redis::cmd("GET").arg(&key).query_async(&mut connection).await {
        Ok(value) => value,
        Err(error) => return Answers { error: Some(error), ..answers },
    };
    let took = asked.elapsed();
    if let Some(value) = value {
        answers.get = Some((took, Found::Value { is_whole: payload::is_of(request.key, &value) }));
        return answers;
    }
    answers.get = Some((took, Found::Nothing));

    let bytes = request.value_bytes.map_or(work.value_bytes, |bytes| bytes as usize).min(MAX_VALUE_BYTES);
    let mut command = redis::cmd("SET");
    command.arg(&key).arg(payload::make(request.key, bytes));
    if let Some(ttl) = work.ttl {
        command.arg("PX").arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1));
    }
    let asked = Instant::now();
    match command.query_async::<()>(&mut connection).await {
        Ok(()) => answers.set = Some(asked.elapsed()),
        Err(error) => answers.error = Some(error),
    }
    answers
}

/// The error code of a server's answer, or what became of the connection.
fn kind(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    error.code().map_or_else(|| error.category().to_owned(), str::to_owned)
}
