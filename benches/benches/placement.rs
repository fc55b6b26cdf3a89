//! From a key to its owners, as every request is placed: 1,024 vnodes of 100 nodes, three owners each.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shoal_membership::ring::{
    slot,
    table::{found, slot_ranges},
    vnode_of,
};
use shoal_proto::types::{Member, NodeId, WriterId};
use std::hint::black_box;

const NODES: u16 = 100;
const REPLICAS: usize = 3;
const VNODES: u16 = 1_024;
const KEYS: usize = 4_096;

fn placement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("placement");
    group.throughput(Throughput::Elements(1));
    let plain: Vec<String> = (0..KEYS).map(|n| format!("{n:016}")).collect();
    let tagged: Vec<String> = (0..KEYS).map(|n| format!("{{user:{n}}}:profile:of:that:user")).collect();
    for (name, keys) in [("slot of 16 bytes", &plain), ("slot of a tag", &tagged)] {
        let mut next = cycle(keys);
        group.bench_function(name, |bencher| bencher.iter(|| slot(black_box(next()).as_bytes())));
    }
    let table = found(&members(), REPLICAS, VNODES).expect("a hundred members can own everything");
    let mut next = cycle(&plain);
    group.bench_function("owners of a key", |bencher| {
        bencher.iter(|| table.row(vnode_of(black_box(next()).as_bytes(), table.vnodes()))[0]);
    });
    group.throughput(Throughput::Elements(u64::from(VNODES)));
    group.bench_function("slot ranges for cluster clients", |bencher| {
        bencher.iter(|| slot_ranges(black_box(&table)));
    });
    group.finish();
}

fn cycle<'a>(keys: &'a [String]) -> impl FnMut() -> &'a str {
    let mut at = 0;
    move || {
        at = (at + 1) % keys.len();
        &keys[at]
    }
}

fn members() -> Vec<Member> {
    let member = |i: u16| Member {
        node_id: NodeId::new(&format!("node-{i}")).expect("short"),
        generation_floor: 0,
        writer_id: WriterId::member(i + 1).expect("in range"),
        zone: format!("zone-{}", i % 3),
        capacity: 100,
        peer_address: String::new(),
    };
    (0..NODES).map(member).collect()
}

criterion_group!(benches, placement);
criterion_main!(benches);
