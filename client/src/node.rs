//! One node as the client talks to it.

use crate::breaker::Breaker;
use crate::call::Job;
use crate::config::{ClientConfig, QUEUED_CALLS};
use crate::driver;
use crate::heard::Heard;
use crate::link::{Dialler, Manner};
use crate::router::Experience;
use crate::stats::Counters;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A node's streams, how much is in flight on them, and whether it is worth asking. Dropping it ends the streams once
/// what was sent is answered.
pub(crate) struct Node {
    pub(crate) address: String,
    streams: Vec<OnceLock<mpsc::Sender<Job>>>,
    turn: AtomicUsize,
    room: Arc<Semaphore>,
    // Held for a few instructions; never across an await.
    breaker: Mutex<Breaker>,
    manner: Manner,
    heard: Arc<Heard>,
    counters: Arc<Counters>,
}

/// The right to have one more call in flight to a node.
pub(crate) type Room = OwnedSemaphorePermit;

impl Node {
    pub(crate) fn new(
        address: String,
        config: &ClientConfig,
        heard: Arc<Heard>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            address,
            streams: (0..config.streams()).map(|_| OnceLock::new()).collect(),
            turn: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(config.in_flight())),
            breaker: Mutex::default(),
            manner: config.into(),
            heard,
            counters,
        }
    }

    /// Takes room for a call, if there is any.
    pub(crate) fn try_room(&self) -> Option<Room> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Waits for room for a call.
    pub(crate) async fn room(&self) -> Option<Room> {
        self.room.clone().acquire_owned().await.ok()
    }

    /// Hands a job to a stream; false, and the job is dropped, when too many wait there.
    pub(crate) fn try_submit(&self, job: Job) -> bool {
        self.stream().try_send(job).is_ok()
    }

    /// Hands a job to a stream once fewer wait there.
    pub(crate) async fn submit(&self, job: Job) {
        // Should the stream's task be gone, the job is dropped and its ticket says so.
        let _ = self.stream().send(job).await;
    }

    /// The next stream in turn. Its task is started by the first job.
    fn stream(&self) -> &mpsc::Sender<Job> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.streams[turn % self.streams.len()].get_or_init(|| {
            let (jobs, queue) = mpsc::channel(QUEUED_CALLS);
            let dialler = Dialler::within(self.heard.clone(), self.address.clone(), self.manner.clone());
            self.counters.streams_opened.count();
            tokio::spawn(driver::run(dialler, None, queue, self.heard.clone()));
            jobs
        })
    }

    /// What calls to it have come to of late.
    pub(crate) fn experience(&self) -> Experience {
        let (breaker, now) = (self.breaker.lock(), self.heard.now());
        if breaker.is_open(now) {
            Experience::Bad
        } else if breaker.is_answering(now) {
            Experience::Good
        } else {
            Experience::None
        }
    }

    pub(crate) fn on_call(&self) {
        self.breaker.lock().on_call(self.heard.now());
    }

    pub(crate) fn on_success(&self) {
        self.breaker.lock().on_success(self.heard.now());
    }

    pub(crate) fn on_failure(&self) {
        let opened = self.breaker.lock().on_failure(self.heard.now());
        self.opened(opened);
    }

    pub(crate) fn on_unreachable(&self) {
        let opened = self.breaker.lock().on_unreachable(self.heard.now());
        self.opened(opened);
    }

    fn opened(&self, opened: bool) {
        if opened {
            tracing::debug!(address = self.address, "breaker opened");
            self.counters.breaker_openings.count();
        }
    }
}
