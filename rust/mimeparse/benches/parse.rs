//! Parsing next to the `mail-parser` crate: both find the parts, understand their headers and decode every leaf. Ours
//! also renders ENVELOPE and BODYSTRUCTURE and makes the preview, which is part of its work at delivery.
#![allow(missing_docs)] // the functions that criterion makes

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use mimeparse::{decode_part, parse, Limits, Part};

#[path = "../examples/inputs/mod.rs"]
mod inputs;

fn decode_all(data: &[u8], part: &Part) -> usize {
    if part.children.is_empty() {
        return decode_part(part.body(data), &part.encoding).map_or(0, |content| content.len());
    }
    part.children.iter().map(|c| decode_all(data, c)).sum()
}

fn benches(c: &mut Criterion) {
    for (name, data) in inputs::all() {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_function("mimeparse", |b| {
            b.iter(|| decode_all(&data, &parse(&data, &Limits::default()).root));
        });
        group.bench_function("mail-parser", |b| {
            b.iter(|| {
                mail_parser::MessageParser::default()
                    .parse(&data)
                    .map(|m| m.parts.len())
            });
        });
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
