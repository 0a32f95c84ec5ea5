//! Receiving and sending SMTP DATA.
#![allow(missing_docs)] // the functions that criterion makes

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use smtpdata::{encode_data, DataDecoder, LineFixer};

fn benches(c: &mut Criterion) {
    let content =
        b"The quick brown fox jumps over the lazy dog, as it has done for many years.\r\n..\r\n"
            .repeat(13_000);
    let wire = encode_data(&content).unwrap_or_default();
    let mut group = c.benchmark_group("data");
    group.throughput(Throughput::Bytes(content.len() as u64));
    group.bench_function("receive", |b| {
        b.iter(|| {
            let (mut decoder, mut fixer, mut total) = (DataDecoder::new(), LineFixer::new(), 0);
            for piece in wire.chunks(16 * 1024) {
                decoder.feed(piece, |text| fixer.feed(text, |line| total += line.len()));
            }
            total
        });
    });
    group.bench_function("encode", |b| {
        b.iter(|| encode_data(&content).map(|w| w.len()))
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
