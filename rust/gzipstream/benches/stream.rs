//! Compression levels and decompression (the comparison with Python's zlib is in `benches/test_rust.py`).
#![allow(missing_docs)] // the functions that criterion makes

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use gzipstream::{Deflater, Format, Inflater};

fn benches(c: &mut Criterion) {
    let text: Vec<u8> = (0..20_000)
        .flat_map(|i| format!("* {i} FETCH (UID {} FLAGS (\\Seen))\r\n", i * 3).into_bytes())
        .collect();
    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for level in [1, 6] {
        group.bench_function(format!("deflate {level}"), |b| {
            b.iter(|| {
                let mut deflater = Deflater::new(Format::Raw, level);
                deflater.write(&text).len() + deflater.finish().len()
            });
        });
    }
    let mut deflater = Deflater::new(Format::Raw, 6);
    let mut wire = deflater.write(&text);
    wire.extend(deflater.finish());
    group.bench_function("inflate", |b| {
        b.iter(|| {
            Inflater::new(Format::Raw)
                .feed(&wire, usize::MAX)
                .map(|out| out.len())
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
