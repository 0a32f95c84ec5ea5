//! Commands a second through the reader and the grammar, and the mailbox index at a million messages.

#![allow(missing_docs)] // criterion's macros make public functions

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use imapparse::{CommandReader, HotItem, Limits, MailboxIndex, Row, SearchKey, SequenceSet};

const COMMANDS: [(&str, &str); 4] = [
    ("simple", "a1 NOOP\r\n"),
    ("select", "a1 SELECT INBOX (CONDSTORE)\r\n"),
    (
        "fetch",
        "a1 UID FETCH 1:100,200 (UID FLAGS BODY.PEEK[HEADER.FIELDS (date from subject)])\r\n",
    ),
    (
        "search",
        "a1 UID SEARCH UNSEEN OR FROM alice NOT SINCE 1-Jan-2026\r\n",
    ),
];

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("commands");
    for (name, text) in COMMANDS {
        let wire = text.repeat(1000);
        group.throughput(Throughput::Elements(1000));
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || CommandReader::new(Limits::default()),
                |reader| {
                    reader.feed(wire.as_bytes());
                    std::iter::from_fn(|| reader.next()).count()
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn row(uid: u32) -> Row {
    Row {
        uid,
        flags: uid % 4,
        modseq: u64::from(uid),
        size: 2048,
        message_id: u64::from(uid),
        ..Row::default()
    }
}

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    group.sample_size(10);
    for count in [1_000, 1_000_000] {
        let mut index = MailboxIndex::new();
        index.upsert((1..=count).map(row));
        let view = imapparse::SessionView::new(index.live_uids());
        group.bench_function(format!("view of {count}"), |b| {
            b.iter(|| imapparse::SessionView::new(index.live_uids()));
        });
        group.bench_function(format!("flags of one of {count}"), |b| {
            b.iter(|| index.render(&view, &[count / 2], &[HotItem::Flags], false));
        });
        group.bench_function(format!("search flags of {count}"), |b| {
            b.iter(|| index.search(&view, &SearchKey::Flag(1)).0.len());
        });
        let set = SequenceSet::parse("5:9,*").unwrap();
        group.bench_function(format!("resolve in {count}"), |b| {
            b.iter(|| view.resolve(&set, true, false));
        });
    }
    group.finish();
}

criterion_group!(benches, commands, index);
criterion_main!(benches);
