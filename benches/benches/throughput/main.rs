//! Operations per second of processor time, and how long single ones take: the store beside libraries, 95 % reads of
//! keys drawn by Zipf's law, a miss filled.
//!
//! Caches take turns round by round, so that what else the machine does meets all of them; a table shows the median of
//! the rounds. A word after `--` picks the caches whose names contain it, numbers after it are rounds and operations of
//! each.

mod cache;

use cache::{Cache, foyer, moka, quick_cache, shoal};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Zipf};
use rustix::time::{ClockId, clock_gettime};
use shoal_node::store::EvictionPolicy::{Lru, S3Fifo, WTinyLfu};
use std::{sync::Barrier, thread};

/// Keys of 16 bytes, each in the order in which it is asked for most.
const KEYS: usize = 500_000;
/// Bytes of a value.
const VALUE: usize = 100;
const EXPONENT: f64 = 0.99;
/// One operation in so many writes.
const WRITES: u32 = 20;
/// One operation in so many is timed, in rounds of their own: to read the clock takes as long as an operation.
const TIMED: usize = 8;
/// Against whom the others are measured.
const RIVAL: &str = "quick_cache";

/// What is done with a value that is found.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    /// It is copied.
    Copied,
    /// It is looked at where it lies.
    Seen,
}

/// What one cache did in one round.
#[derive(Clone, Copy, Default)]
struct Round {
    nanos: u64,
    operations: u64,
    hits: u64,
    reads: u64,
}

impl Round {
    /// Millions of operations per second of processor time.
    fn speed(&self) -> f64 {
        1_000.0 * self.operations as f64 / self.nanos as f64
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut numbers = words.iter().filter_map(|word| word.parse::<usize>().ok());
    let (rounds, operations) = (numbers.next().unwrap_or(7), numbers.next().unwrap_or(1_000_000));
    let wanted = words.iter().find(|word| word.parse::<usize>().is_err()).cloned().unwrap_or_default();
    let draws = Draws::new(rounds, operations);
    for (held, objects) in [("all keys", 2 * KEYS), ("30 % of the keys", KEYS * 3 / 10)] {
        let caches: Vec<(&str, Box<dyn Cache>)> = makers()
            .into_iter()
            .filter(|(name, _)| name.contains(&wanted) || *name == RIVAL)
            .map(|(name, make)| (name, make(objects)))
            .collect();
        for (_, cache) in &caches {
            (0..KEYS).for_each(|key| cache.put(key));
        }
        for reads in [Reads::Copied, Reads::Seen] {
            for threads in [1, 2] {
                let what = if reads == Reads::Copied { "copied out" } else { "looked at in place" };
                println!("\nRoom for {held}, values {what}, threads: {threads}\n");
                compare(&caches, &draws, threads, reads);
            }
        }
    }
}

type Make = fn(usize) -> Box<dyn Cache>;

fn makers() -> Vec<(&'static str, Make)> {
    vec![
        (RIVAL, |objects| Box::new(quick_cache(objects))),
        ("wtinylfu", |objects| Box::new(shoal(WTinyLfu, objects))),
        ("s3fifo", |objects| Box::new(shoal(S3Fifo, objects))),
        ("lru", |objects| Box::new(shoal(Lru, objects))),
        ("foyer-memory", |objects| Box::new(foyer(objects))),
        ("moka", |objects| Box::new(moka(objects))),
    ]
}

fn compare(caches: &[(&str, Box<dyn Cache>)], draws: &Draws, threads: usize, reads: Reads) {
    let mut all = vec![Vec::new(); caches.len()];
    let mut times = vec![Vec::new(); caches.len()];
    for round in 0..draws.rounds {
        let draws: Vec<_> = (0..threads).map(|thread| draws.of(thread, round)).collect();
        for (number, (_, cache)) in caches.iter().enumerate() {
            all[number].push(run(&**cache, &draws, reads, None));
        }
        for (number, (_, cache)) in caches.iter().enumerate() {
            run(&**cache, &draws, reads, Some(&mut times[number]));
        }
    }
    println!("| cache | million per second of processor time | of {RIVAL}'s | hits | p50 ns | p99 | p99.9 |");
    println!("|---|---|---|---|---|---|---|");
    let rival = caches.iter().position(|(name, _)| *name == RIVAL).unwrap_or(0);
    for (number, (name, _)) in caches.iter().enumerate() {
        let (rounds, times) = (&all[number], &mut times[number]);
        times.sort_unstable();
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let speed = spread(rounds.iter().map(Round::speed));
        let ratio = spread(rounds.iter().zip(&all[rival]).map(|(own, rival)| own.speed() / rival.speed()));
        let (hits, reads): (u64, u64) =
            rounds.iter().fold((0, 0), |(hits, reads), round| (hits + round.hits, reads + round.reads));
        println!(
            "| {name} | {:.2} ({:.2} to {:.2}) | {:.2} ({:.2} to {:.2}) | {:.1} % | {} | {} | {} |",
            speed[1],
            speed[0],
            speed[2],
            ratio[1],
            ratio[0],
            ratio[2],
            100.0 * hits as f64 / reads as f64,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
        );
    }
}

/// The least, the median and the most.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Has as many threads as there are `draws` use the cache; where `times` are wanted, adds how long some took.
fn run(cache: &dyn Cache, draws: &[&[u32]], reads: Reads, times: Option<&mut Vec<u64>>) -> Round {
    let (timed, start) = (times.is_some(), Barrier::new(draws.len()));
    let (start, mut sum, mut all) = (&start, Round::default(), Vec::new());
    thread::scope(|scope| {
        let threads: Vec<_> = draws
            .iter()
            .map(|draws| {
                scope.spawn(move || {
                    start.wait();
                    if timed {
                        timed_round(cache, draws, reads)
                    } else {
                        (round(cache, draws, reads), vec![])
                    }
                })
            })
            .collect();
        for thread in threads {
            let (round, times) = thread.join().expect("no cache panics");
            sum.nanos += round.nanos;
            sum.operations += round.operations;
            sum.hits += round.hits;
            sum.reads += round.reads;
            all.extend(times);
        }
    });
    if let Some(times) = times {
        times.extend(all);
    }
    sum
}

fn round(cache: &dyn Cache, draws: &[u32], reads: Reads) -> Round {
    let mut round = Round::default();
    let began = cpu_nanos();
    for draw in draws {
        step(cache, *draw, reads, &mut round);
    }
    round.nanos = cpu_nanos() - began;
    round
}

fn timed_round(cache: &dyn Cache, draws: &[u32], reads: Reads) -> (Round, Vec<u64>) {
    let (mut round, mut times) = (Round::default(), Vec::with_capacity(draws.len() / TIMED + 1));
    for draws in draws.chunks(TIMED) {
        let began = cpu_nanos();
        step(cache, draws[0], reads, &mut round);
        times.push(cpu_nanos() - began);
        draws[1..].iter().for_each(|draw| step(cache, *draw, reads, &mut round));
    }
    (round, times)
}

fn step(cache: &dyn Cache, draw: u32, reads: Reads, round: &mut Round) {
    let (key, write) = ((draw >> 1) as usize, draw & 1 == 1);
    round.operations += 1;
    if !write {
        round.reads += 1;
        let found = if reads == Reads::Copied { cache.get(key) } else { cache.see(key) };
        if found {
            round.hits += 1;
            return;
        }
    }
    cache.put(key);
}

/// What threads ask for: twice the number of a key, plus one for a write. No two rounds are alike.
struct Draws {
    threads: [Vec<u32>; 2],
    rounds: usize,
    operations: usize,
}

impl Draws {
    fn new(rounds: usize, operations: usize) -> Self {
        let threads = [0, 1].map(|thread| draw(thread, rounds * operations));
        Self { threads, rounds, operations }
    }

    fn of(&self, thread: usize, round: usize) -> &[u32] {
        &self.threads[thread][round * self.operations..][..self.operations]
    }
}

fn draw(seed: u64, count: usize) -> Vec<u32> {
    let mut random = SmallRng::seed_from_u64(seed);
    let zipf = Zipf::new(KEYS as f64, EXPONENT).expect("in range");
    // Neighbours in popularity do not lie next to each other.
    let key = |rank: f64| (rank as usize - 1).wrapping_mul(2_654_435_761) % KEYS;
    let mut draw = || {
        let key = key(zipf.sample(&mut random)) as u32;
        key << 1 | u32::from(random.random_range(0..WRITES) == 0)
    };
    (0..count).map(|_| draw()).collect()
}

/// Processor time of this thread.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
