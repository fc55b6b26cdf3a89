//! Counting requests: the histogram of atomics beside the library's, and a whole turn of a connection.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus_client::metrics::histogram;
use shoal_node::metrics::{DoorName, Histogram, Metrics, Operation};
use shoal_proto::types::{Consistency, Key};
use std::{hint::black_box, time::Duration};

/// Requests that one read from a connection brings.
const TURN: u64 = 16;

fn histograms(criterion: &mut Criterion) {
    let took = Duration::from_micros(30);
    let mut group = criterion.benchmark_group("metrics/histogram");
    group.throughput(Throughput::Elements(TURN));
    let ours = Histogram::default();
    group.bench_function("atomics, once per turn", |b| {
        b.iter(|| ours.observe_many(black_box(took), black_box(TURN)));
    });
    group.bench_function("atomics, once per request", |b| {
        b.iter(|| (0..TURN).for_each(|_| ours.observe_many(black_box(took), 1)));
    });
    // As many buckets as ours.
    let theirs = histogram::Histogram::new(histogram::exponential_buckets(5e-6, 2.0, 20));
    group.bench_function("prometheus_client, once per request", |b| {
        b.iter(|| (0..TURN).for_each(|_| theirs.observe(black_box(took).as_secs_f64())));
    });
    group.finish();
}

fn turn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics/turn");
    group.throughput(Throughput::Elements(TURN));
    let requests = Metrics::default().requests.door(DoorName::Resp);
    let keys: Vec<Key> = (0..TURN).map(|n| Key::new(format!("key:{n:012}")).expect("short")).collect();
    let mut tally = requests.tally();
    group.bench_function("16 reads", |b| {
        b.iter(|| {
            for key in &keys {
                requests.begin(&mut tally, black_box(key));
                tally.answered(Operation::Get, black_box(Consistency::One));
            }
            requests.conclude(&mut tally);
        });
    });
    group.finish();
}

criterion_group!(benches, histograms, turn);
criterion_main!(benches);
