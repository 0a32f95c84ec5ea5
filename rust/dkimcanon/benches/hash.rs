//! Body hashes next to SHA-256 of the same octets without canonicalization.
#![allow(missing_docs)] // the functions that criterion makes

use aws_lc_rs::digest;
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use dkimcanon::{hash_bodies, Algorithm, BodySpec, Canon};

fn spec(canon: Canon) -> BodySpec {
    BodySpec {
        canon,
        algorithm: Algorithm::Sha256,
        length: None,
    }
}

fn benches(c: &mut Criterion) {
    let line = b"The quick brown fox jumps over the lazy dog, as it has done for many years.\r\n";
    let flowed =
        b"Lines that end with a blank belong together (RFC 3676), as \r\nthis one.\r\n\r\n";
    let spaced = b"Some text,  indented\tand with  blanks at the end of its lines, as people write. \r\n\r\n";
    for (name, body) in [
        ("text", line.repeat(14_000)),
        ("flowed", flowed.repeat(13_000)),
        ("spaced", spaced.repeat(13_000)),
        ("blanks", b" \t".repeat(500_000)),
    ] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("sha256", |b| {
            b.iter(|| digest::digest(&digest::SHA256, &body));
        });
        for canon in [Canon::Simple, Canon::Relaxed] {
            group.bench_function(format!("{canon:?}"), |b| {
                b.iter(|| hash_bodies(&body, &[spec(canon)]));
            });
        }
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
