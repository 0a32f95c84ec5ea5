//! Messages four times as long take about four times as long; decoding keeps nothing of them.
use growth::repeated;
use smtpdata::{encode_data, BareCrFinder, DataDecoder, LineFixer};

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// For encoding, which gives a whole message; every line may get a dot.
const LIMITS: growth::Limits = growth::Limits {
    factor: 4,
    constant: 10_000,
};

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("text", repeated("", "some text\r\n", size)),
        ("dots", repeated("", "\r\n.", size)),
        ("only dots", repeated("", ".", size)),
        ("LF", repeated("", "\n", size)),
        ("CR", repeated("", "\r", size)),
        ("LF and dots", repeated("", "\n.\n", size)),
        ("almost ends", repeated("", "\r\n.\r", size)),
        ("header", repeated("", "a: b\r\n", size)),
    ]
}

fn everything(data: &[u8]) {
    for size in [1, 1000, data.len()] {
        let (mut decoder, mut fixer) = (DataDecoder::new(), LineFixer::new());
        let mut finder = BareCrFinder::new();
        let mut total = 0;
        for piece in data.chunks(size) {
            finder.feed(piece);
            let _ = decoder.feed(piece, |text| fixer.feed(text, |line| total += line.len()));
        }
        assert!(total <= 2 * data.len());
    }
    let _ = encode_data(data);
}

#[test]
fn time_and_memory_grow_with_the_input() {
    growth::check(inputs, LIMITS, everything);
}
