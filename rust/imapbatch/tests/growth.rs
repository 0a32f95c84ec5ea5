//! Threading four times as many messages takes about four times as long, and memory within a factor.
use growth::{repeated, Limits};
use imapbatch::{Algorithm, Cell, Column, Stored, Threader};
use imapparse::Row;

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// Nodes with an id each, also for messages that are only referred to.
const LIMITS: Limits = Limits {
    factor: 200,
    constant: 100_000,
};

/// Messages as lines: id, subject, references.
fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let numbered = |line: fn(usize) -> String| {
        let mut text = Vec::new();
        for i in 0.. {
            text.extend(line(i).into_bytes());
            if text.len() > size {
                break;
            }
        }
        text
    };
    vec![
        ("strangers", numbered(|i| format!("{i}@x;{i};\n"))),
        ("one subject", numbered(|i| format!("{i}@x;Re: a;\n"))),
        (
            "chain",
            numbered(|i| format!("{i}@x;a;<{}@x>\n", i.wrapping_sub(1))),
        ),
        (
            "chain from its end",
            numbered(|i| format!("{i}@x;a;<{}@x>\n", i + 1)),
        ),
        ("star", numbered(|i| format!("{i}@x;a;<0@x>\n"))),
        (
            "long references",
            numbered(|i| format!("{i}@x;a;{}\n", format!("<{}@x>", i / 2).repeat(90))),
        ),
        (
            "all absent",
            numbered(|i| format!("{i}@x;{i};<a{i}@x> <b{i}@x> <c{i}@x>\n")),
        ),
        ("same ids", repeated("", "0@x;a;<0@x>\n", size)),
    ]
}

fn everything(data: &[u8]) {
    for algorithm in [Algorithm::OrderedSubject, Algorithm::References] {
        let mut threader = Threader::new(algorithm);
        for (uid, line) in (1..).zip(String::from_utf8_lossy(data).lines()) {
            let mut parts = line.split(';');
            let mut next = || parts.next().unwrap_or_default();
            let (id, subject, references) = (next(), next(), next());
            add(
                &mut threader,
                uid,
                id,
                &format!("Subject: {subject}\r\nReferences: {references}\r\n\r\n"),
            );
        }
        assert!(!threader.finish(&|uid| uid).is_empty());
    }
}

fn add(threader: &mut Threader, uid: u32, id: &str, header: &str) {
    let row = Stored {
        uid,
        size: 1,
        columns: &[Column::Header, Column::HeaderSize, Column::MessageRef],
        cells: &[
            Cell::Bytes(header.as_bytes()),
            Cell::Int(header.len() as i64),
            Cell::Bytes(id.as_bytes()),
        ],
        path: None,
    };
    let facts = Row {
        uid,
        modseq: 1,
        size: 1,
        message_id: 1,
        ..Row::default()
    };
    threader.add(&row, &facts);
}

#[test]
fn time_and_memory_grow_with_the_input() {
    growth::check(inputs, LIMITS, everything);
}
