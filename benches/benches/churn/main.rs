//! Resident memory of a store at its limit while the sizes of values drift: an hour of writes, expiries and deletions, and
//! then the limit is lowered and raised while they go on.
//!
//! `cargo bench -p shoal-benches --bench churn`; `-- --plot FILE` draws it as an SVG.

mod plot;

use clap::Parser;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use shoal_benches::{
    goal, is_quick,
    load::{self, START},
    machine, usage,
};
use shoal_node::store::{EvictionPolicy, Store};
use shoal_proto::types::{Cause, MAX_VALUE_BYTES, UnixMillis, Value};
use std::{f64::consts::TAU, path::PathBuf, process::ExitCode, time::Duration};

const LIMIT: u64 = 256 << 20;
/// How much of resident memory there may be, as a multiple of the limit.
const MOST: f64 = 1.05;
/// How much may be charged, where many small values make room for large ones step by step.
const MOST_CHARGED: f64 = 1.035;
/// What all writes are spread over.
const KEYS: u64 = 20_000_000;
const HOUR: Duration = Duration::from_secs(3600);
/// Sizes of values, on the mean: from 10 bytes to 10 KB and back, so many times in an hour.
const CYCLES: f64 = 2.0;
/// How often expiry comes round, in milliseconds of the store's time, and how much it does.
const EXPIRE_EVERY: u64 = 100;
const EXPIRE_STEPS: usize = 20_000;
/// One write in so many is a deletion; one in so many expires, after up to ten minutes.
const DELETED: u32 = 50;
const EXPIRING: u32 = 4;
/// The limits of the second act, a sixth of its writes each, as parts of the first.
const LIMITS: [f64; 6] = [1.0, 0.5, 0.5, 1.5, 1.5, 0.25];
/// In the second act memory has so many of 100 parts of each stretch to follow the limit before it is looked at.
const TO_FOLLOW: u64 = 25;

#[derive(Parser)]
struct Options {
    /// Writes of the first act; the second has half as many
    #[arg(long, default_value_t = if is_quick() { 200_000 } else { 10_000_000 })]
    writes: u64,
    /// Where to draw it
    #[arg(long)]
    plot: Option<PathBuf>,
    #[arg(long, hide = true)]
    quick: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// How it stood at one moment.
struct Sample {
    writes: u64,
    mean_size: f64,
    limit: u64,
    resident: u64,
    charged: u64,
    /// Long enough after a change of the limit to be judged.
    settled: bool,
}

/// Writes without end.
struct Churn {
    store: Store,
    random: StdRng,
    writes: u64,
    per_hour: u64,
    value: bytes::Bytes,
    /// What the process took before there was a store.
    base: u64,
}

impl Churn {
    fn mean_size(&self) -> f64 {
        let angle = TAU * CYCLES * self.writes as f64 / self.per_hour as f64;
        10_f64.powf(2.5 - 1.5 * angle.cos())
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(START.0 + self.writes * HOUR.as_millis() as u64 / self.per_hour)
    }

    fn write(&mut self) {
        let before = self.now().0 / EXPIRE_EVERY;
        self.writes += 1;
        let now = self.now();
        if now.0 / EXPIRE_EVERY > before {
            self.store.expire(now, EXPIRE_STEPS);
        }
        // Exponentially distributed around the mean.
        let draw: f64 = self.random.random();
        let size = ((-(1.0 - draw).ln() * self.mean_size()) as usize).min(MAX_VALUE_BYTES);
        let (vnode, key) = load::place(self.random.random_range(0..KEYS));
        let expires = self.random.random_range(0..EXPIRING) == 0;
        let expires_at = expires.then(|| UnixMillis(now.0 + self.random.random_range(1_000..600_000)));
        let entry = if self.random.random_range(0..DELETED) == 0 {
            load::tombstone(self.writes)
        } else {
            load::live(self.writes, expires_at, Value::new(self.value.slice(..size)).expect("short"))
        };
        self.store.put(vnode, &key, entry, Cause::User, now);
    }

    fn sample(&self, settled: bool) -> anyhow::Result<Sample> {
        let stats = self.store.stats();
        Ok(Sample {
            writes: self.writes,
            mean_size: self.mean_size(),
            limit: stats.max_bytes,
            resident: usage::resident(None)?.saturating_sub(self.base),
            charged: stats.bytes + stats.marker_bytes + stats.overhead_bytes,
            settled,
        })
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    println!("{}", machine::facts());
    println!(
        "{} writes in an hour at a limit of {} MiB, then half as many while it changes\n",
        options.writes,
        LIMIT >> 20
    );
    let value = bytes::Bytes::from(vec![7; MAX_VALUE_BYTES]);
    let base = usage::resident(None)?;
    let store = load::store(EvictionPolicy::default(), LIMIT);
    let mut churn =
        Churn { store, random: StdRng::seed_from_u64(1), writes: 0, per_hour: options.writes, value, base };
    let steady = first_act(&mut churn)?;
    let changing = second_act(&mut churn)?;
    table(&steady, &changing);
    println!();
    let most = |samples: &[Sample], bytes: fn(&Sample) -> u64| {
        let settled = samples.iter().filter(|sample| sample.settled);
        settled.map(|sample| bytes(sample) as f64 / sample.limit as f64).fold(0.0, f64::max)
    };
    let resident = most(&steady, |sample| sample.resident);
    let charged = most(&changing, |sample| sample.charged);
    let goals = [
        goal(resident <= MOST, &format!("at most {resident:.3} times the limit was resident, {MOST} may be")),
        goal(
            charged <= MOST_CHARGED,
            &format!(
                "at most {charged:.3} times the limit was charged after a change of it, {MOST_CHARGED} may be"
            ),
        ),
    ];
    let above =
        changing.iter().filter(|sample| sample.settled).map(|s| s.resident.saturating_sub(s.limit)).max();
    println!(
        "     resident memory was at most {} MiB above a limit that had been changed",
        above.unwrap_or(0) >> 20
    );
    if let Some(path) = options.plot {
        std::fs::write(&path, plot::draw(&steady, &changing)?)?;
        println!("drawn to {}", path.display());
    }
    Ok(if goals == [true, true] || is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An hour at one limit.
fn first_act(churn: &mut Churn) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for _ in 0..240 {
        (0..churn.per_hour / 240).for_each(|_| churn.write());
        samples.push(churn.sample(true)?);
    }
    Ok(samples)
}

/// Half an hour in which the limit changes.
fn second_act(churn: &mut Churn) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for part in LIMITS {
        let limit = (LIMIT as f64 * part) as u64;
        if churn.store.stats().max_bytes != limit {
            churn.store.set_max_bytes(limit);
        }
        for step in 0..100 {
            (0..churn.per_hour / 2 / LIMITS.len() as u64 / 100).for_each(|_| churn.write());
            if step % 5 == 4 {
                samples.push(churn.sample(step >= TO_FOLLOW)?);
            }
        }
    }
    Ok(samples)
}

fn table(steady: &[Sample], changing: &[Sample]) {
    println!(
        "| writes | mean size | limit MiB | resident MiB | charged MiB | resident / limit |\n|---|---|---|---|---|---|"
    );
    for sample in steady.iter().skip(9).step_by(10).chain(changing.iter().skip(3).step_by(4)) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "| {} | {:.0} | {:.0} | {:.1} | {:.1} | {:.3} |",
            sample.writes,
            sample.mean_size,
            mib(sample.limit),
            mib(sample.resident),
            mib(sample.charged),
            sample.resident as f64 / sample.limit as f64
        );
    }
}
