//! How many requests of recorded traces each eviction policy of the store answers, as it ships, beside libraries and
//! what is possible at best; and whether that is as many as it should be.
//!
//! The traces are read from the folder that `SHOAL_TRACES` names; without them there is nothing to tell. A word after
//! `--` picks the traces whose names contain it; goals are judged over all of them alone.

mod belady;
mod cache;
mod goals;
mod trace;

use cache::{Cache, Foyer, Moka, OVERHEAD, QuickCache, Shoal};
use shoal_node::store::EvictionPolicy::{Lfu, Lru, S3Fifo, WTinyLfu};
use shoal_proto::types::MAX_VALUE_BYTES;
use std::{fmt::Display, path::PathBuf, process::ExitCode};
use trace::{Cell, Recorded, TRACES, Trace};

/// What is compared, in the order of the columns.
const COLUMNS: [&str; 7] = ["wtinylfu", "s3fifo", "lru", "lfu", "quick_cache", "moka", "foyer-memory"];
/// Bytes of a value where only objects count: so many that what a shard takes for many counts for less than one.
const OBJECT_BYTES: u64 = 480;
/// Where bytes count, sizes are scaled until a cache has this many, as many as a shard has at least.
const LEAST_BYTES: u64 = 24 << 20;
const MOST_BYTES: u64 = 512 << 20;

/// What was measured of one trace at one size, column by column.
struct Row<T> {
    cell: &'static Cell,
    columns: Vec<T>,
}

/// Percent of requests, and of their bytes, that hit.
#[derive(Clone, Copy)]
struct Hits {
    objects: f64,
    bytes: f64,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::var_os("SHOAL_TRACES").map(PathBuf::from) else {
        println!("no traces, no table: SHOAL_TRACES names the folder they are in");
        return ExitCode::SUCCESS;
    };
    println!("{}", shoal_benches::machine::facts());
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut read = Vec::new();
    for recorded in TRACES.iter().filter(|recorded| recorded.name.contains(&wanted)) {
        match Trace::read(&folder, recorded.name) {
            Ok(trace) => read.push((recorded, trace)),
            Err(error) => println!("{} cannot be read from {}: {error}", recorded.name, folder.display()),
        }
    }
    let (by_objects, by_bytes) = (by_objects(&read), by_bytes(&read));
    if read.len() < TRACES.len() {
        println!("\n{} of {} traces: the goals are about all of them", read.len(), TRACES.len());
        return ExitCode::SUCCESS;
    }
    println!();
    if goals::are_met(&by_objects, &by_bytes) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Traces = [(&'static Recorded, Trace)];

fn by_objects(traces: &Traces) -> Vec<Row<f64>> {
    println!("\nObject hits, percent. The size of a cache is a part of the trace's keys.\n");
    println!("| trace | % | {} | OPT |\n|---|---|{}---|", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut rows: Vec<Row<f64>> = Vec::new();
    for (recorded, trace) in traces.iter().filter(|(recorded, _)| recorded.by_objects) {
        for cell in recorded.cells {
            let objects = ((trace.keys as f64 * cell.percent / 100.0).round() as u64).max(1);
            let mut columns = Vec::new();
            for policy in [WTinyLfu, S3Fifo, Lru, Lfu] {
                let mut cache = Shoal::with_objects(policy, objects, OBJECT_BYTES);
                columns.push(run(trace, &mut cache, |_| OBJECT_BYTES).objects);
            }
            columns.push(run(trace, &mut QuickCache::new(objects, objects), |_| 1).objects);
            columns.push(run(trace, &mut Moka::new(objects), |_| 1).objects);
            columns.push(run(trace, &mut Foyer::new(objects), |_| 1).objects);
            columns.push(belady::hits(trace, objects as usize));
            print(recorded.name, cell.percent, columns.iter().map(|hits| format!("{hits:.2}")));
            rows.push(Row { cell, columns });
        }
    }
    print("mean", "", (0..=COLUMNS.len()).map(|column| format!("{:.2}", mean(&rows, column, |hits| *hits))));
    rows
}

fn by_bytes(traces: &Traces) -> Vec<Row<Hits>> {
    println!(
        "\nObject hits / byte hits, percent. The size of a cache is a part of the bytes of all values.\n"
    );
    println!("| trace | % | {} |\n|---|---|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut rows: Vec<Row<Hits>> = Vec::new();
    for (recorded, trace) in traces {
        for cell in recorded.cells {
            let part = (trace.bytes + trace.keys * OVERHEAD) as f64 * cell.percent / 100.0;
            let scale = (LEAST_BYTES as f64 / part).max(1.0).min(MOST_BYTES as f64 / part);
            let limit = (part * scale) as u64;
            let size = |bytes: u64| ((bytes as f64 * scale) as u64).clamp(1, MAX_VALUE_BYTES as u64);
            let mut columns = Vec::new();
            for policy in [WTinyLfu, S3Fifo, Lru, Lfu] {
                let mut cache = Shoal::with_bytes(policy, limit + Shoal::empty_bytes(policy));
                columns.push(run(trace, &mut cache, size));
            }
            let charge = |bytes| size(bytes) + OVERHEAD;
            let objects = (trace.keys as f64 * cell.percent / 100.0) as u64 + 1;
            columns.push(run(trace, &mut QuickCache::new(objects, limit), charge));
            columns.push(run(trace, &mut Moka::new(limit), charge));
            columns.push(run(trace, &mut Foyer::new(limit), charge));
            let both = columns.iter().map(|hits| format!("{:.2} / {:.2}", hits.objects, hits.bytes));
            print(recorded.name, cell.percent, both);
            rows.push(Row { cell, columns });
        }
    }
    let means = (0..COLUMNS.len()).map(|column| {
        let (objects, bytes) =
            (mean(&rows, column, |hits| hits.objects), mean(&rows, column, |hits| hits.bytes));
        format!("{objects:.2} / {bytes:.2}")
    });
    print("mean", "", means);
    rows
}

/// Runs a trace. A miss is filled, as the cache's user would.
fn run(trace: &Trace, cache: &mut dyn Cache, size: impl Fn(u64) -> u64) -> Hits {
    let (mut hits, mut hit_bytes, mut all_bytes) = (0, 0, 0);
    for request in &trace.requests {
        let bytes = size(request.bytes);
        all_bytes += bytes;
        if cache.get(request.key) {
            hits += 1;
            hit_bytes += bytes;
        } else {
            cache.put(request.key, bytes);
        }
    }
    let percent = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
    Hits { objects: percent(hits, trace.requests.len() as u64), bytes: percent(hit_bytes, all_bytes) }
}

fn mean<T>(rows: &[Row<T>], column: usize, part: impl Fn(&T) -> f64) -> f64 {
    rows.iter().map(|row| part(&row.columns[column])).sum::<f64>() / rows.len().max(1) as f64
}

fn print(name: &str, percent: impl Display, cells: impl Iterator<Item = String>) {
    println!("| {name} | {percent} | {} |", cells.collect::<Vec<_>>().join(" | "));
}
