//! Which of the owners' answers counts, as a coordinator decides for every read.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shoal_node::coordinator::resolve;
use shoal_proto::types::{ReadAnswer, Stamped, Tag, UnixMillis, Value, WriterId};
use std::hint::black_box;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn resolutions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coordinator/resolve");
    group.throughput(Throughput::Elements(1));
    let (old, new) = (entry(1), entry(2));
    let nothing = || ReadAnswer { votes: true, version: None, value: None, ghost: None };
    // Owners that agree with what the coordinator holds itself send the version alone.
    let agreeing = |owner| (owner, ReadAnswer { value: None, ..answer(&new) });
    let cases = [
        ("three agree", vec![(0, answer(&new)), agreeing(1), agreeing(2)]),
        ("one lags", vec![(0, answer(&old)), (1, answer(&new)), (2, answer(&old))]),
        ("nobody holds it", (0..3).map(|owner| (owner, nothing())).collect()),
        ("five agree", [vec![(0, answer(&new))], (1..5).map(agreeing).collect()].concat()),
    ];
    for (name, answers) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| resolve(black_box(&answers), None, NOW).expect("a value was sent"));
        });
    }
    group.finish();
}

fn answer(entry: &Stamped) -> ReadAnswer {
    ReadAnswer { votes: true, version: Some(entry.version()), value: entry.value().cloned(), ghost: None }
}

/// A value of 100 bytes.
fn entry(ticks: u64) -> Stamped {
    let writer = WriterId::member(1).expect("in range");
    let tag = Tag::from_ticks(ticks, writer).expect("in range");
    Stamped::live(tag, 0, Some(UnixMillis::MAX), Value::new(vec![7; 100]).expect("short"))
}

criterion_group!(benches, resolutions);
criterion_main!(benches);
