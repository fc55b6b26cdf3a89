//! Hands the requests of a schedule to the workers when they are due.
//!
//! A permit is a request that is due. In an open loop a thread of its own releases them, because tokio's timers tell
//! whole milliseconds only, longer than many an answer takes. Requests that nobody is free to send wait as a number of
//! permits, which costs no memory; what they are stands in the schedule.

use super::schedule::{Due, Schedule};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

/// How long the pacer sleeps at most before it looks whether the run is over.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The requests of one run.
pub(crate) struct Feed {
    started: Instant,
    schedule: Mutex<Schedule>,
    due: Semaphore,
    is_over: AtomicBool,
}

/// What there is to do now.
pub(crate) enum Next {
    /// Send this.
    Due(Due),
    /// Wait.
    Later,
    /// Stop.
    Over,
}

impl Feed {
    /// Starts to hand out requests to that many workers.
    pub(crate) fn start(schedule: Schedule, workers: usize) -> (Arc<Self>, Option<JoinHandle<()>>) {
        let pace = schedule.is_open().then(|| schedule.clone());
        // In a closed loop everything is due at once.
        let permits = if pace.is_some() { 0 } else { Semaphore::MAX_PERMITS };
        let feed = Arc::new(Self {
            started: Instant::now(),
            schedule: Mutex::new(schedule),
            due: Semaphore::new(permits),
            is_over: AtomicBool::new(false),
        });
        let pacer = pace.map(|pace| {
            let feed = feed.clone();
            spawn_blocking(move || feed.release(pace, workers))
        });
        (feed, pacer)
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for the next request; `None` once the run is over.
    pub(crate) async fn next(&self) -> Option<Due> {
        self.due.acquire().await.ok()?.forget();
        self.take()
    }

    /// The next request if it is due.
    pub(crate) fn try_next(&self) -> Next {
        match self.due.try_acquire() {
            Ok(permit) => {
                permit.forget();
                self.take().map_or(Next::Over, Next::Due)
            }
            Err(_) => Next::Later,
        }
    }

    /// Ends the run and returns how many requests were still to be handed out.
    pub(crate) fn abandon(&self) -> u64 {
        let left = self.schedule.lock().abandon();
        self.is_over.store(true, Ordering::Relaxed);
        left
    }

    fn take(&self) -> Option<Due> {
        self.schedule.lock().next(self.now())
    }

    /// Releases every request when it is due. `pace` hands out the same requests as the schedule.
    fn release(&self, mut pace: Schedule, workers: usize) {
        let mut next = pace.next(Duration::ZERO);
        while let Some(due) = next {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let now = self.now();
            if due.at > now {
                thread::sleep((due.at - now).min(LONGEST_SLEEP));
                continue;
            }
            let mut released = 0;
            while next.is_some_and(|due| due.at <= now) {
                released += 1;
                next = pace.next(Duration::ZERO);
            }
            self.due.add_permits(released);
        }
        // Whoever waits is told that there is nothing left.
        self.due.add_permits(workers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::schedule::{Arrivals, Extent};

    #[tokio::test]
    async fn every_request_is_handed_out_once_it_is_due_and_every_worker_learns_the_end() {
        const WORKERS: usize = 3;
        let extent = Extent { requests: Some(1_000), ..Extent::default() };
        let (feed, pacer) = Feed::start(Schedule::open(extent, Arrivals::Poisson, 20_000.0, 1), WORKERS);
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let feed = feed.clone();
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    while let Some(due) = feed.next().await {
                        assert!(due.at <= feed.now(), "{due:?} came early");
                        taken.push(due.index);
                    }
                    taken
                })
            })
            .collect();
        let mut taken = Vec::new();
        for worker in workers {
            taken.extend(worker.await.unwrap());
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..1_000).collect::<Vec<u64>>());
        pacer.unwrap().await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_when_a_run_is_abandoned_is_counted() {
        let extent = Extent { requests: Some(1_000), ..Extent::default() };
        let (feed, pacer) = Feed::start(Schedule::open(extent, Arrivals::Constant, 1_000_000.0, 1), 1);
        assert!(feed.next().await.is_some());
        assert_eq!(feed.abandon(), 999);
        assert!(feed.next().await.is_none());
        pacer.unwrap().await.unwrap();
    }
}
