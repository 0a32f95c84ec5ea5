//! A client's commands: the same events however they are cut, and nothing is kept beyond the limits.
#![no_main]
use imapparse::{CommandReader, Event, Limits};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    line: 1000,
    literal: 200,
    literals_total: 500,
    literals: 5,
};

/// Events, and messages as the octets that came for each.
fn read(data: &[u8], size: usize, utf8: bool) -> (Vec<Event>, Vec<u8>, usize) {
    let mut reader = CommandReader::new(LIMITS);
    reader.set_utf8(utf8);
    let (mut events, mut octets) = (Vec::new(), Vec::new());
    for piece in data.chunks(size) {
        reader.feed(piece);
        loop {
            let taken = reader.take_literal(usize::MAX);
            octets.extend_from_slice(&taken);
            match reader.next() {
                Some(event) => {
                    if matches!(&event, Event::Command(c) if c.name == "IDLE" || c.name == "AUTHENTICATE")
                    {
                        reader.expect_line();
                    }
                    events.push(event);
                }
                None if taken.is_empty() => break,
                None => {}
            }
        }
    }
    let waiting = reader.buffered();
    (events, octets, waiting)
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let (size, utf8) = (usize::from(choice >> 1) + 1, choice & 1 == 1);
    let whole = read(data, data.len().max(1), utf8);
    assert_eq!(read(data, size, utf8), whole);
    let fatal = whole
        .0
        .iter()
        .filter(|e| matches!(e, Event::Error { fatal: true, .. }));
    assert!(fatal.count() <= 1);
});
