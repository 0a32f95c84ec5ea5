//! Hostile commands four times as long take about four times as long, and memory within a factor.
use growth::repeated;
use imapparse::{decode_utf7, encode_utf7, CommandReader, Limits, MailboxIndex, Row, SequenceSet};

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// A list of flags of one letter takes the most: a value for each two octets.
const LIMITS: growth::Limits = growth::Limits {
    factor: 100,
    constant: 100_000,
};

/// No limits but memory, so that everything is parsed.
const READER: Limits = Limits {
    line: 1 << 30,
    literal: 1 << 30,
    literals_total: 1 << 40,
    literals: 1 << 30,
};

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let line = |start, piece| [repeated(start, piece, size), b"\r\n".to_vec()].concat();
    vec![
        ("commands", repeated("", "a NOOP\r\n", size)),
        ("empty lines", repeated("", "\r\n", size)),
        ("endless line", repeated("a ", "x", size)),
        ("nested keys", line("a SEARCH ", "(")),
        ("negations", line("a SEARCH ", "NOT ")),
        ("alternatives", line("a SEARCH ", "OR ")),
        ("sets", line("a FETCH ", "1,")),
        ("set", line("a UID STORE 1", ",9:8")),
        ("literals", repeated("a LOGIN ", "{1+}\r\nx ", size)),
        (
            "many literals",
            repeated("", "a LOGIN {1+}\r\nx y\r\n", size),
        ),
        ("quoted", line("a LOGIN \"", "\\\"")),
        ("flags", line("a STORE 1 FLAGS (", "x ")),
        ("sections", line("a FETCH 1 (", "BODY[1.1] ")),
        ("part numbers", line("a FETCH 1 BODY[1", ".1")),
        ("field names", line("a FETCH 1 BODY[HEADER.FIELDS (", "a ")),
        ("patterns", line("a LIST \"\" (", "* ")),
        ("messages", repeated("a APPEND x ", "{1+}\r\nx ", size)),
        ("entries", line("a GETMETADATA x (", "/private/a ")),
        ("shifts", line("a SELECT ", "&AOk-")),
    ]
}

/// As a client's bytes, and as the values that commands hold.
fn everything(data: &[u8]) {
    let mut reader = CommandReader::new(READER);
    for piece in data.chunks(1000) {
        reader.feed(piece);
        while reader.next().is_some() || !reader.take_literal(usize::MAX).is_empty() {}
    }
    let text = String::from_utf8_lossy(data);
    for word in text.split(' ') {
        let _ = SequenceSet::parse(word).map(|set| set.ranges(10));
        let _ = decode_utf7(word.as_bytes());
    }
    assert!(encode_utf7(&text).len() >= text.len());
}

/// Octets for a message: 60 in the index, and what its growth needs on the way; 4 in a view that is not shared any more.
fn index_is_small() {
    let count = 1 << 18;
    let row = |uid| Row {
        uid,
        modseq: 1,
        size: 1,
        message_id: 1,
        ..Row::default()
    };
    let mut index = MailboxIndex::new();
    let used = growth::peak(|| index.upsert((1..=count).map(row)));
    assert!(used <= 100 * count as usize, "{used}");
    let used = growth::peak(|| {
        let shared = index.new_view();
        let mut view = index.new_view();
        assert_eq!(view.expunge(&[7]), [7]);
        assert_eq!(shared.uid(count), Some(count));
    });
    assert!(used <= 5 * count as usize, "{used}");
}

// One test, as memory is counted.
#[test]
fn time_and_memory_grow_with_the_input() {
    index_is_small();
    growth::check(inputs, LIMITS, everything);
}
