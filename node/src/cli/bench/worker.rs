use super::{
    doors::{Connection, Doors, Failure},
    feed::{Feed, Next},
    options::Plan,
    payload,
    recorder::{Kind, Recorder, Times},
    schedule::Due,
    workload::{Action, Request, Workload},
};
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{self, timeout};

const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// A worker whose nodes stay away for this many attempts gives up.
const RECONNECT_ATTEMPTS: usize = 100;
/// Recorders; workers share them, because each takes a megabyte.
const RECORDERS: usize = 4;

/// The work all workers share.
pub(crate) struct Work {
    pub(crate) plan: Arc<Plan>,
    pub(crate) doors: Doors,
    pub(crate) workload: Arc<Workload>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) recorders: Recorders,
}

/// What all workers have met.
#[derive(Default)]
pub(crate) struct Recorders {
    recorders: [Mutex<Recorder>; RECORDERS],
    /// Requests that are done, those of the warm-up included.
    done: AtomicU64,
    failed: AtomicU64,
}

impl Recorders {
    /// How many requests are done and how many of those have failed.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// All of it together.
    pub(crate) fn total(&self) -> Recorder {
        let mut total = Recorder::default();
        for recorder in &self.recorders {
            total.merge(&recorder.lock());
        }
        total
    }
}

/// One connection and the requests it has under way.
pub(crate) struct Worker {
    index: usize,
    node: usize,
    connection: Arc<Connection>,
    /// Counts connections, so that many failures of one make only one new.
    connections: usize,
}

impl Worker {
    /// Connects worker `index`: workers are spread evenly over the nodes.
    ///
    /// # Errors
    /// When the node cannot be reached or does not know the consistency level.
    pub(crate) async fn connect(plan: &Plan, doors: &Doors, index: usize) -> anyhow::Result<Self> {
        let node = index % plan.nodes.len();
        let connection = Arc::new(doors.connect(node).await?);
        Ok(Self { index, node, connection, connections: 0 })
    }

    /// Works until the run is over.
    ///
    /// # Errors
    /// When the connection is lost and no node can be reached any more.
    pub(crate) async fn run(mut self, work: &Work) -> anyhow::Result<()> {
        let mut under_way = FuturesUnordered::new();
        let mut is_over = false;
        loop {
            let start = |due| {
                let (connections, connection) = (self.connections, self.connection.clone());
                async move { (connections, due, ask(work, &connection, due).await) }
            };
            while !is_over && under_way.len() < work.plan.pipeline {
                match work.feed.try_next() {
                    Next::Due(due) => under_way.push(start(due)),
                    Next::Over => is_over = true,
                    Next::Later => break,
                }
            }
            if is_over && under_way.is_empty() {
                return Ok(());
            }
            let has_room = !is_over && under_way.len() < work.plan.pipeline;
            let (connections, due, answers) = tokio::select! {
                biased;
                Some(answered) = under_way.next() => answered,
                never = self.connection.drive() => match never {},
                next = work.feed.next(), if has_room => {
                    match next {
                        Some(due) => under_way.push(start(due)),
                        None => is_over = true,
                    }
                    continue;
                }
            };
            let is_lost = answers.error.as_ref().is_some_and(|(failure, _)| failure.is_lost);
            self.count(work, due, answers);
            if is_lost && connections == self.connections {
                self.reconnect(work).await?;
            }
        }
    }

    fn count(&self, work: &Work, due: Due, answers: Answers) {
        let all = &work.recorders;
        all.done.fetch_add(1, Ordering::Relaxed);
        all.failed.fetch_add(u64::from(answers.error.is_some()), Ordering::Relaxed);
        if due.counts {
            let warmup = work.plan.extent.warmup;
            answers.count(&mut all.recorders[self.index % RECORDERS].lock(), due.at, warmup);
        }
    }

    /// Connects again, to the next node that can be reached.
    async fn reconnect(&mut self, work: &Work) -> anyhow::Result<()> {
        self.connection.abandon();
        let mut outcome = Err(anyhow::anyhow!("no attempt was made"));
        for attempt in 1..=RECONNECT_ATTEMPTS {
            self.node = (self.node + 1) % work.plan.nodes.len();
            outcome = work.doors.connect(self.node).await;
            if outcome.is_ok() {
                break;
            }
            // A round of all nodes before each pause.
            if attempt.is_multiple_of(work.plan.nodes.len()) {
                time::sleep(RECONNECT_PAUSE).await;
            }
        }
        self.connection = Arc::new(outcome?);
        self.connections += 1;
        Ok(())
    }
}

/// What one request met.
#[derive(Default)]
struct Answers {
    /// When it was sent.
    sent: Duration,
    /// When a read was answered, and how.
    get: Option<(Duration, Found)>,
    /// When a write was sent and answered.
    set: Option<(Duration, Duration)>,
    /// Whether what was written had to be loaded.
    is_load: bool,
    error: Option<(Failure, Duration)>,
}

enum Found {
    Nothing,
    Value { is_whole: bool },
}

impl Answers {
    /// Adds them to what was met before. Times are shifted so that they count from the end of the warm-up.
    fn count(self, recorder: &mut Recorder, due: Duration, warmup: Duration) {
        let times = |due: Duration, sent: Duration, done: Duration| Times {
            due: due.saturating_sub(warmup),
            sent: sent.saturating_sub(warmup),
            done: done.saturating_sub(warmup),
        };
        recorder.wait(self.sent.saturating_sub(due));
        match self.get {
            Some((done, Found::Value { is_whole })) => {
                recorder.answer(Kind::Hit, times(due, self.sent, done));
                recorder.corrupt += u64::from(!is_whole);
            }
            Some((done, Found::Nothing)) => {
                recorder.answer(Kind::Miss, times(due, self.sent, done));
                if let Some((sent, filled)) = self.set {
                    // Whoever fills a miss does so when it likes.
                    recorder.answer(Kind::Fill, times(sent, sent, filled));
                    if self.is_load {
                        recorder.answer(Kind::Load, times(due, self.sent, filled));
                    }
                }
            }
            None => {
                if let Some((sent, done)) = self.set {
                    recorder.answer(Kind::Set, times(due, sent, done));
                }
            }
        }
        if let Some((failure, at)) = self.error {
            recorder.error(&failure.kind, at.saturating_sub(warmup));
        }
    }
}

/// Makes a request. A miss is loaded and filled if that is planned, as the user of a cache would.
async fn ask(work: &Work, connection: &Connection, due: Due) -> Answers {
    let Some(request) = work.workload.request(due.index) else { return Answers::default() };
    let key = format!("bench:{}", request.key);
    let mut answers = Answers { sent: work.feed.now(), ..Answers::default() };
    if request.action == Action::Get {
        match within(work, connection.get(&key)).await {
            Ok(Some(value)) => {
                let is_whole = payload::is_of(request.key, &value);
                answers.get = Some((work.feed.now(), Found::Value { is_whole }));
                return answers;
            }
            Ok(None) => answers.get = Some((work.feed.now(), Found::Nothing)),
            Err(failure) => return Answers { error: Some((failure, work.feed.now())), ..answers },
        }
        if !work.plan.fill {
            return answers;
        }
        if let Some(delay) = work.plan.load_delay {
            time::sleep(delay).await;
            answers.is_load = true;
        }
    }
    let sent = if request.action == Action::Set { answers.sent } else { work.feed.now() };
    match store(work, connection, &key, request).await {
        Ok(()) => answers.set = Some((sent, work.feed.now())),
        Err(failure) => answers.error = Some((failure, work.feed.now())),
    }
    answers
}

async fn store(work: &Work, connection: &Connection, key: &str, request: Request) -> Result<(), Failure> {
    let value = payload::make(request.key, request.value_bytes);
    within(work, connection.set(key, value, work.plan.ttl)).await
}

async fn within<T>(work: &Work, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(work.plan.timeout, answer).await.unwrap_or_else(|_| Err(Failure::timeout()))
}
