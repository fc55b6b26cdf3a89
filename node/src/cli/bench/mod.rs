//! `shoal bench`: a closed loop over a trace. Latencies are those of a client that waits for its answers; a server
//! that stalls slows the load down with it.

mod payload;
mod summary;
mod trace;
mod worker;

use super::{TROUBLE, key_commands::positive_time, output, settings::ByteSize};
use clap::Args;
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use shoal_proto::types::{Consistency, MAX_VALUE_BYTES};
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use summary::{Report, Summary};
use tokio::time::Instant;
use trace::Format;
use worker::{Work, Worker};

const PROGRESS: &str = "{bar:40} {percent:>3} % {per_sec} {eta} left";

/// `shoal bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// File of key numbers, one per request, packed with gzip or plain
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// What the trace holds per request
    #[arg(long, value_enum, default_value_t = Format::U32)]
    format: Format,
    /// RESP addresses of nodes; workers are spread over them
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:7379")]
    node: Vec<String>,
    /// How many workers, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = between(1, 10_000))]
    concurrency: u64,
    /// Requests each worker has under way at once
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = between(1, 10_000))]
    pipeline: u64,
    /// Size of values where the trace does not tell
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = value_size)]
    value_size: ByteSize,
    /// Consistency level of all requests (`CL LEVEL` on each connection) [default: the node's setting]
    #[arg(long, value_name = "LEVEL")]
    consistency: Option<Consistency>,
    /// Stop after this many requests of the trace
    #[arg(long, value_name = "N", value_parser = between(1, u64::MAX))]
    limit: Option<u64>,
    /// How long values live, such as 60s; until they are evicted when left out
    #[arg(long, value_name = "TIME", value_parser = positive_time)]
    ttl: Option<Duration>,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_time)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let json = self.json;
        let report = replay(self).await?;
        if json {
            output::json(&report)?
        } else {
            report.print()?
        }
        Ok(if report.is_failure() { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
    }
}

async fn replay(bench: Bench) -> anyhow::Result<Report> {
    let limit = bench.limit.map_or(usize::MAX, as_count);
    let requests = trace::read(&bench.trace, bench.format, limit)?;
    let workers = as_count(bench.concurrency).min(requests.len());
    // Hidden by itself when standard error is not a terminal.
    let progress =
        ProgressBar::new(requests.len() as u64).with_style(ProgressStyle::with_template(PROGRESS)?);
    let work = Arc::new(Work {
        requests,
        next: AtomicUsize::new(0),
        nodes: bench.node,
        consistency: bench.consistency,
        pipeline: as_count(bench.pipeline),
        value_bytes: as_count(bench.value_size.0),
        ttl: bench.ttl,
        timeout: bench.timeout,
        progress,
    });
    let connected = try_join_all((0..workers).map(|index| Worker::connect(&work, index))).await?;

    let started = Instant::now();
    let tasks = connected.into_iter().map(|worker| {
        let work = work.clone();
        tokio::spawn(async move { worker.run(&work).await })
    });
    let summaries = try_join_all(tasks.collect::<Vec<_>>()).await?;
    let took = started.elapsed();
    work.progress.finish_and_clear();
    let mut total = Summary::default();
    for summary in summaries {
        total = total.merge(summary?);
    }
    Ok(total.report(took))
}

fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn between(least: u64, most: u64) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(least..=most)
}

fn value_size(text: &str) -> Result<ByteSize, String> {
    let largest = ByteSize(MAX_VALUE_BYTES as u64);
    match text.parse() {
        Ok(size) if size <= largest => Ok(size),
        _ => Err(format!("expected a size such as 100 or 4KiB, up to {largest}")),
    }
}
