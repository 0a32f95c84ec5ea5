//! SMTP DATA in pieces: the end is found where it is found in one piece, and what is stored has only CRLF.
#![no_main]
use libfuzzer_sys::fuzz_target;
use smtpdata::{encode_data, DataDecoder, LineFixer};

fn receive(data: &[u8], size: usize) -> (Vec<u8>, usize, bool, bool) {
    let mut decoder = DataDecoder::new();
    let mut fixer = LineFixer::new();
    let mut out = Vec::new();
    let (mut consumed, mut done) = (0, false);
    for piece in data.chunks(size) {
        let progress = decoder.feed(piece, |text| {
            fixer.feed(text, |line| out.extend_from_slice(line));
        });
        consumed += progress.consumed;
        done = progress.done;
        if done {
            break;
        }
    }
    (out, consumed, done, decoder.suspicious())
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let whole = receive(data, data.len().max(1));
    assert_eq!(receive(data, usize::from(size) + 1), whole);
    let (out, _, done, suspicious) = whole;
    if done && !suspicious {
        if let Ok(wire) = encode_data(&out) {
            assert_eq!(receive(&wire, wire.len()), (out, wire.len(), true, false));
        }
    }
});
