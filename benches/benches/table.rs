//! How long the proposer of a membership change computes: a cluster of 100 nodes in three zones or one.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use shoal_membership::ring::table::{Previous, edit, found, places};
use shoal_proto::types::{Member, NodeId, WriterId};
use std::{hint::black_box, time::Duration};

const NODES: u16 = 100;
const REPLICAS: usize = 3;
const VNODES: u16 = 1_024;

fn members(zones: u16) -> Vec<Member> {
    let member = |i: u16| Member {
        node_id: NodeId::new(&format!("node-{i}")).unwrap(),
        generation_floor: 0,
        writer_id: WriterId::member(i + 1).unwrap(),
        zone: format!("zone-{}", i % zones),
        capacity: 100,
        peer_address: String::new(),
    };
    (0..=NODES).map(member).collect()
}

fn table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for zones in [1, 3] {
        let after = members(zones);
        let before = &after[..usize::from(NODES)];
        let old = found(before, REPLICAS, VNODES).unwrap();
        let joined = places(before, &after);
        let left = places(before, &before[1..]);
        group.bench_function(BenchmarkId::new("found", zones), |bench| {
            bench.iter(|| found(black_box(before), REPLICAS, VNODES));
        });
        group.bench_function(BenchmarkId::new("join", zones), |bench| {
            bench.iter(|| edit(Previous { table: &old, places: &joined }, black_box(&after), REPLICAS));
        });
        group.bench_function(BenchmarkId::new("leave", zones), |bench| {
            bench.iter(|| edit(Previous { table: &old, places: &left }, black_box(&before[1..]), REPLICAS));
        });
    }
    group.finish();
}

criterion_group!(benches, table);
criterion_main!(benches);
