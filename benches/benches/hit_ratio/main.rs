//! How many requests of recorded traces each eviction policy of the store answers, as it ships, beside libraries and
//! what is possible at best.
//!
//! The traces are read from the folder that `SHOAL_TRACES` names; without them there is nothing to tell. A word after
//! `--` picks the traces whose names contain it.

mod belady;
mod cache;
mod trace;

use cache::{Cache, Moka, OVERHEAD, QuickCache, Shoal};
use shoal_node::store::EvictionPolicy::{Lfu, Lru, S3Fifo, WTinyLfu};
use shoal_proto::types::MAX_VALUE_BYTES;
use std::{fmt::Display, path::PathBuf};
use trace::{BYTES_ALONE, OBJECTS_ALONE, TRACES, Trace};

const COLUMNS: [&str; 6] = ["wtinylfu", "s3fifo", "lru", "lfu", "quick_cache", "moka"];
/// Bytes of a value where only objects count: so many that what a shard takes for many counts for less than one.
const OBJECT_BYTES: u64 = 480;
/// Where bytes count, sizes are scaled until a cache has this many, as many as a shard has at least.
const LEAST_BYTES: u64 = 24 << 20;
const MOST_BYTES: u64 = 512 << 20;

fn main() {
    let Some(folder) = std::env::var_os("SHOAL_TRACES").map(PathBuf::from) else {
        println!("no traces, no table: SHOAL_TRACES names the folder they are in");
        return;
    };
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let traces = TRACES.iter().filter(|(name, _)| name.contains(&wanted));
    let mut read = Vec::new();
    for (name, percents) in traces {
        match Trace::read(&folder, name) {
            Ok(trace) => read.push((*name, trace, *percents)),
            Err(error) => println!("{name} cannot be read from {}: {error}", folder.display()),
        }
    }
    if read.iter().any(|(name, ..)| *name != BYTES_ALONE) {
        by_objects(&read);
    }
    if read.iter().any(|(name, ..)| !OBJECTS_ALONE.contains(name)) {
        by_bytes(&read);
    }
}

type Cells = [(&'static str, Trace, &'static [f64])];

fn by_objects(traces: &Cells) {
    println!("\nObject hits, percent. The size of a cache is a part of the trace's keys.\n");
    println!("| trace | % | {} | OPT |\n|---|---|{}---|", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut rows = Vec::new();
    for (name, trace, percents) in traces.iter().filter(|(name, ..)| *name != BYTES_ALONE) {
        for percent in *percents {
            let objects = ((trace.keys as f64 * percent / 100.0).round() as u64).max(1);
            let shoal =
                [WTinyLfu, S3Fifo, Lru, Lfu].map(|p| Box::new(Shoal::with_objects(p, objects, OBJECT_BYTES)));
            let mut row = Vec::new();
            for mut cache in shoal {
                row.push(run(trace, &mut *cache, |_| OBJECT_BYTES).0);
            }
            row.push(run(trace, &mut QuickCache::new(objects, objects), |_| 1).0);
            row.push(run(trace, &mut Moka::new(objects), |_| 1).0);
            row.push(belady::hits(trace, objects as usize));
            print(name, *percent, row.iter().map(|hits| format!("{hits:.2}")));
            rows.push(row);
        }
    }
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len().max(1) as f64;
    print("mean", "", (0..=COLUMNS.len()).map(|column| format!("{:.2}", mean(column))));
}

fn by_bytes(traces: &Cells) {
    println!(
        "\nObject hits / byte hits, percent. The size of a cache is a part of the bytes of all values.\n"
    );
    println!("| trace | % | {} |\n|---|---|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut rows: Vec<Vec<(f64, f64)>> = Vec::new();
    for (name, trace, percents) in traces.iter().filter(|(name, ..)| !OBJECTS_ALONE.contains(name)) {
        for percent in *percents {
            let part = (trace.bytes + trace.keys * OVERHEAD) as f64 * percent / 100.0;
            let scale = (LEAST_BYTES as f64 / part).max(1.0).min(MOST_BYTES as f64 / part);
            let limit = (part * scale) as u64;
            let size = |bytes: u64| ((bytes as f64 * scale) as u64).clamp(1, MAX_VALUE_BYTES as u64);
            let mut row = Vec::new();
            for policy in [WTinyLfu, S3Fifo, Lru, Lfu] {
                let mut cache = Shoal::with_bytes(policy, limit + Shoal::empty_bytes(policy));
                row.push(run(trace, &mut cache, size));
            }
            let charge = |bytes| size(bytes) + OVERHEAD;
            let objects = (trace.keys as f64 * percent / 100.0) as u64 + 1;
            row.push(run(trace, &mut QuickCache::new(objects, limit), charge));
            row.push(run(trace, &mut Moka::new(limit), charge));
            print(name, *percent, row.iter().map(|(hits, bytes)| format!("{hits:.2} / {bytes:.2}")));
            rows.push(row);
        }
    }
    let mean = |column: usize| {
        let sum = |part: fn(&(f64, f64)) -> f64| rows.iter().map(|row| part(&row[column])).sum::<f64>();
        let count = rows.len().max(1) as f64;
        format!("{:.2} / {:.2}", sum(|hits| hits.0) / count, sum(|hits| hits.1) / count)
    };
    print("mean", "", (0..COLUMNS.len()).map(mean));
}

/// Percent of requests, and of their bytes, that hit. A miss is filled, as the cache's user would.
fn run(trace: &Trace, cache: &mut dyn Cache, size: impl Fn(u64) -> u64) -> (f64, f64) {
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
    (percent(hits, trace.requests.len() as u64), percent(hit_bytes, all_bytes))
}

fn print(name: &str, percent: impl Display, cells: impl Iterator<Item = String>) {
    println!("| {name} | {percent} | {} |", cells.collect::<Vec<_>>().join(" | "));
}
