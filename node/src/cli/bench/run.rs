//! One run: keys written first, a warm-up, the measurement.

use super::{
    doors::Doors,
    feed::Feed,
    marks::{MAX_MARKS, Mark, Tail},
    options::Plan,
    recorder::Recorder,
    schedule::{Extent, Schedule},
    worker::{Recorders, Work, Worker},
    workload::Workload,
};
use anyhow::Context as _;
use futures::{
    future::try_join_all,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{path::Path, pin::pin, sync::Arc, time::Duration};
use tokio::{
    signal::ctrl_c,
    time::{self, MissedTickBehavior},
};

const PROGRESS_OF_REQUESTS: &str = "{prefix} {bar:40} {percent:>3} % {per_sec} {msg} {eta} left";
const PROGRESS_OF_TIME: &str = "{prefix} {bar:40} {elapsed} of {len} s {msg}";
/// How often progress is shown and marks are looked for.
const TICK: Duration = Duration::from_millis(50);
/// Connections that are opened at once: fewer than a listener's usual backlog.
const CONNECTING: usize = 64;

/// What a run has shown.
pub(crate) struct Run {
    /// How long it took, from the end of the warm-up to the last answer.
    pub(crate) took: Duration,
    pub(crate) met: Recorder,
    /// Requests that were due and never sent, because the others did not end in time.
    pub(crate) never_sent: u64,
    pub(crate) marks: Vec<Mark>,
}

impl Run {
    /// Runs what is planned.
    ///
    /// # Errors
    /// When nodes cannot be reached, or keys cannot be written first.
    pub(crate) async fn measure(
        plan: &Arc<Plan>,
        marks: Vec<Mark>,
        marks_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let tail = marks_file.map(Tail::open).transpose().with_context(|| {
            format!("cannot read marks from {}", marks_file.unwrap_or(Path::new("")).display())
        })?;
        let doors = Doors::open(plan).await?;
        if let Some(load) = &plan.preload {
            preload(plan, &doors, load).await?;
        }
        let schedule = match plan.rate {
            None => Schedule::closed(plan.extent),
            Some(rate) => Schedule::open(plan.extent, plan.arrivals, rate as f64, plan.seed),
        };
        phase("measuring", plan, &doors, &plan.workload, schedule, Watch { marks, tail }).await
    }
}

/// Writes every key once.
async fn preload(plan: &Arc<Plan>, doors: &Doors, load: &Arc<Workload>) -> anyhow::Result<()> {
    let schedule = Schedule::closed(Extent { available: load.len(), ..Extent::default() });
    let watch = Watch { marks: Vec::new(), tail: None };
    let run = phase("preloading", plan, doors, load, schedule, watch).await?;
    let written = run.met.sets.latency.count();
    if let Some((kind, errors)) = run.met.errors.iter().max_by_key(|(_, errors)| errors.count) {
        anyhow::bail!(
            "--preload: only {written} of {} keys could be written, most of them because of {kind} ({} times)",
            load.len().unwrap_or_default(),
            errors.count
        );
    }
    Ok(())
}

/// Lets workers go through a workload.
async fn phase(
    name: &'static str,
    plan: &Arc<Plan>,
    doors: &Doors,
    workload: &Arc<Workload>,
    schedule: Schedule,
    mut watch: Watch,
) -> anyhow::Result<Run> {
    let extent = schedule.extent();
    let most = extent.available.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let connecting = (0..plan.concurrency.min(most)).map(|index| Worker::connect(plan, doors, index));
    let workers: Vec<Worker> = stream::iter(connecting).buffered(CONNECTING).try_collect().await?;

    // Requests that wait at the end are sent for as long as an answer may take, and counted after that.
    let patience = extent.duration.filter(|_| schedule.is_open());
    let patience = patience.map(|duration| extent.warmup + duration + plan.timeout);
    let (feed, pacer) = Feed::start(schedule, workers.len());
    let work = Arc::new(Work {
        plan: plan.clone(),
        doors: doors.clone(),
        workload: workload.clone(),
        feed,
        recorders: Recorders::default(),
    });
    let tasks = workers.into_iter().map(|worker| {
        let work = work.clone();
        tokio::spawn(async move { worker.run(&work).await })
    });
    let mut workers = try_join_all(tasks.collect::<Vec<_>>());
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut interrupt = pin!(ctrl_c());
    let (mut never_sent, mut is_over) = (None, false);
    let bar = Bar::new(name, extent)?;
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut workers => break outcome,
            _ = &mut interrupt, if !is_over => {
                is_over = true;
                work.feed.abandon();
            }
            _ = ticks.tick() => {
                let now = work.feed.now();
                bar.show(now, work.recorders.progress());
                watch.look(now.saturating_sub(extent.warmup))?;
                if never_sent.is_none() && patience.is_some_and(|patience| now >= patience) {
                    never_sent = Some(work.feed.abandon());
                }
            }
        }
    };
    let took = work.feed.now().saturating_sub(extent.warmup);
    work.feed.abandon();
    bar.finish();
    for ended in outcome? {
        ended?;
    }
    if let Some(pacer) = pacer {
        pacer.await?;
    }
    Ok(Run { took, met: work.recorders.total(), never_sent: never_sent.unwrap_or(0), marks: watch.marks })
}

/// Marks, and where further ones come from.
struct Watch {
    marks: Vec<Mark>,
    tail: Option<Tail>,
}

impl Watch {
    fn look(&mut self, now: Duration) -> anyhow::Result<()> {
        let Some(tail) = &mut self.tail else { return Ok(()) };
        let lines = tail.lines().context("cannot read marks")?;
        self.marks.extend(lines.iter().map(|line| Mark::new(now, line)));
        self.marks.truncate(MAX_MARKS);
        Ok(())
    }
}

/// Hidden by itself when standard error is not a terminal.
struct Bar {
    bar: ProgressBar,
    /// Whether it shows time rather than requests.
    is_of_time: bool,
}

impl Bar {
    fn new(name: &'static str, extent: Extent) -> anyhow::Result<Self> {
        let requests = extent.requests.into_iter().chain(extent.available).min();
        let time = extent.duration.map(|duration| (extent.warmup + duration).as_secs());
        let template = if time.is_some() { PROGRESS_OF_TIME } else { PROGRESS_OF_REQUESTS };
        let bar = ProgressBar::new(time.or(requests).unwrap_or(0))
            .with_style(ProgressStyle::with_template(template)?)
            .with_prefix(name);
        Ok(Self { bar, is_of_time: time.is_some() })
    }

    fn show(&self, now: Duration, (done, failed): (u64, u64)) {
        self.bar.set_position(if self.is_of_time { now.as_secs() } else { done });
        self.bar.set_message(format!("{done} answers, {failed} errors"));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
