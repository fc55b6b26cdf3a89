//! The RESP door's pure parts: a pipeline of 64 commands parsed, and its replies encoded.

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shoal_node::frontend::resp::{Output, Parsed, Parser, Protocol, Writer};
use std::hint::black_box;

const PIPELINE: u64 = 64;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resp/parse");
    group.throughput(Throughput::Elements(PIPELINE));
    let get = |i| format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{i:012}\r\n");
    let set = |i| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{i:012}\r\n$100\r\n{}\r\n", "v".repeat(100));
    let pipelines = [
        ("get", (0..PIPELINE).map(get).collect::<String>()),
        ("set", (0..PIPELINE).map(set).collect::<String>()),
    ];
    for (name, pipeline) in pipelines {
        group.bench_function(name, |bencher| {
            let (mut parser, mut buffer) = (Parser::new(), BytesMut::new());
            bencher.iter(|| {
                // As a connection does: the buffer is filled again once its requests are gone.
                buffer.reserve(16 * 1024);
                buffer.extend_from_slice(pipeline.as_bytes());
                let mut bytes = 0;
                while let Ok(Some(Parsed::Request(request))) = parser.next(&mut buffer) {
                    bytes += black_box(request.argument(0)).len() + request.shared(1).len();
                }
                bytes
            });
        });
    }
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resp/write");
    group.throughput(Throughput::Elements(PIPELINE));
    let value = [b'v'; 100];
    group.bench_function("bulk", |bencher| {
        bencher.iter_batched_ref(
            || {
                let mut output = Output::default();
                output.reserve(16 * 1024);
                output
            },
            |output| {
                let mut writer = Writer::new(output, Protocol::Resp2);
                (0..PIPELINE).for_each(|_| writer.bulk(black_box(&value)));
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
