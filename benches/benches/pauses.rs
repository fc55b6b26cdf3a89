//! How long single operations take of their thread's processor time, and whether any takes too long: while the store
//! grows from nothing, and while writes displace others.
//!
//! What takes long on a machine that others use, too, need not be the store's doing. So each load is run several times, the
//! same to the byte, and an operation counts with the least it took: what the store does, it does every time. Beside it
//! stand what single runs saw, and a loop that does nothing of the kind.

use clap::Parser;
use hdrhistogram::Histogram;
use shoal_benches::{
    goal, is_quick,
    load::{self, START},
    machine, usage,
};
use shoal_node::store::{EvictionPolicy, Store};
use shoal_proto::types::{Cause, Value};
use std::{hint::black_box, process::ExitCode, time::Duration};
use xxhash_rust::xxh3::xxh3_64;

/// What an operation may take, and what a value may take more for each of its MiB.
const MOST: Duration = Duration::from_millis(1);
const MIB: usize = 1 << 20;
/// What is told apart at most.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    /// Loads whose names contain this
    wanted: Option<String>,
    /// How often each load is run
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[arg(long, hide = true)]
    quick: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Puts that are made one after another, all of new keys.
struct Load {
    name: &'static str,
    limit: u64,
    puts: u64,
    /// Bytes of a value, by its number.
    size: fn(u64) -> usize,
}

/// Small values that come between two large ones, about as many as a large one displaces.
const SMALL_TO_64_KIB: u64 = 400;
const SMALL_TO_MIBS: u64 = 30_000;

const LOADS: [Load; 4] = [
    Load { name: "100 B, growing from nothing", limit: 2 << 30, puts: 10_000_000, size: |_| 100 },
    Load { name: "64 KiB at the limit", limit: 256 << 20, puts: 200_000, size: |_| 64 << 10 },
    Load {
        name: "64 KiB among 100 B at the limit",
        limit: 256 << 20,
        puts: 8_000_000,
        size: |number| if number % SMALL_TO_64_KIB == 0 { 64 << 10 } else { 100 },
    },
    Load {
        name: "1 to 8 MiB among 100 B at the limit",
        limit: 256 << 20,
        puts: 8_000_000,
        size: |number| {
            let turn = number / SMALL_TO_MIBS;
            if number % SMALL_TO_MIBS == 0 { (1 + turn as usize % 8) * MIB } else { 100 }
        },
    },
];

/// What a value of this size may take.
fn allowed(size: usize) -> Duration {
    MOST + Duration::from_millis((size / MIB) as u64)
}

/// What was seen of operations.
struct Seen {
    histogram: Histogram<u64>,
    over: u64,
    /// The one nearest to what it may take, or furthest beyond.
    worst: Option<(u64, Duration)>,
}

impl Seen {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("in range");
        Self { histogram, over: 0, worst: None }
    }

    fn note(&mut self, number: u64, took: Duration, allowed: Duration) {
        self.histogram.saturating_record(took.as_nanos() as u64);
        self.over += u64::from(took > allowed);
        if self.worst.is_none_or(|(_, worst)| took > worst) {
            self.worst = Some((number, took));
        }
    }

    fn print(&self, name: &str) {
        let at = |quantile| micros(Duration::from_nanos(self.histogram.value_at_quantile(quantile)));
        let cells = [0.5, 0.99, 0.999, 0.9999].map(at).join(" | ");
        let (number, worst) = self.worst.unwrap_or_default();
        let (count, over) = (self.histogram.len(), self.over);
        println!("| {name} | {count} | {cells} | {} (no. {number}) | {over} |", micros(worst));
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    println!("{}\n", machine::facts());
    println!(
        "Microseconds of the thread's processor time. Over: took more than 1 ms, and 1 ms for each whole MiB.\n"
    );
    println!(
        "| load | operations | p50 | p99 | p99.9 | p99.99 | max | over |\n|---|---|---|---|---|---|---|---|"
    );
    nothing();
    let mut over = 0;
    let wanted = options.wanted.as_deref().unwrap_or_default();
    for load in LOADS.iter().filter(|load| load.name.contains(wanted)) {
        over += measure(load, options.runs.max(1));
    }
    println!();
    let is_met = goal(over == 0, &format!("{over} operations took too long every time, none may"));
    if is_met || is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The machine alone: hashes that take a while, no memory, no store.
fn nothing() {
    let text = vec![7_u8; 16 << 10];
    let mut seen = Seen::new();
    for number in 0..if is_quick() { 10_000 } else { 2_000_000 } {
        let (_, took) = timed(|| black_box(xxh3_64(black_box(&text))));
        seen.note(number, took, MOST);
    }
    seen.print("nothing but hashing 16 KiB");
}

/// Runs a load several times. Returns how many operations took too long every time.
fn measure(load: &Load, runs: usize) -> u64 {
    let puts = if is_quick() { load.puts / 100 } else { load.puts };
    let mut least = vec![u32::MAX; puts as usize];
    let largest = (0..puts).map(load.size).max().unwrap_or_default();
    let bytes = bytes::Bytes::from(vec![7_u8; largest]);
    for run in 1..=runs {
        let store = load::store(EvictionPolicy::default(), load.limit);
        let (mut seen, faults) = (Seen::new(), usage::page_faults().unwrap_or_default());
        for number in 0..puts {
            let size = (load.size)(number);
            let value = bytes.slice(..size);
            let took = put(&store, number, value);
            seen.note(number, took, allowed(size));
            let slot = &mut least[number as usize];
            *slot = (*slot).min(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
        }
        let faults = usage::page_faults().unwrap_or_default() - faults;
        seen.print(&format!("{}, run {run}, {:.3} page faults each", load.name, faults as f64 / puts as f64));
    }
    let mut seen = Seen::new();
    for (number, nanos) in (0..).zip(least) {
        seen.note(number, Duration::from_nanos(nanos.into()), allowed((load.size)(number)));
    }
    seen.print(&format!("**{}, every time**", load.name));
    seen.over
}

/// Puts a value and says how long that took.
fn put(store: &Store, number: u64, value: bytes::Bytes) -> Duration {
    let (vnode, key) = load::place(number);
    let entry = load::live(number, None, Value::new(value).expect("short"));
    timed(|| store.put(vnode, &key, entry, Cause::User, START)).1
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = usage::thread_time();
    let done = work();
    (done, usage::thread_time() - began)
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_nanos() as f64 / 1e3)
}
