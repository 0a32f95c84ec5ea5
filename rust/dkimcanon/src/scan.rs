//! How far canonicalization changes nothing, found many bytes at a time.
use crate::body::Canon;

/// Bytes looked at together; the loop over them has no branch, so that it compiles to vector instructions.
const BLOCK: usize = 64;

/// Length of the longest found prefix of `data` that is its own canonical form whatever follows, when it begins with
/// text. Everything from the end of the prefix on needs a closer look.
pub(crate) fn clean_prefix(data: &[u8], canon: Canon) -> usize {
    let pairs = match canon {
        Canon::Simple => scan(data, simple),
        Canon::Relaxed => scan(data, relaxed),
    };
    let mut end = pairs;
    // The bytes before the place may belong to it: white space, or empty lines that are not yet known to be the last.
    while end > 0 && matches!(data[end - 1], b'\r' | b'\n' | b' ' | b'\t') {
        end -= 1;
    }
    end
}

/// Whether a byte and its successor change: only an empty line can.
fn simple(byte: u8, next: u8) -> bool {
    (byte == b'\n') & (next == b'\r')
}

/// Likewise, with white space.
fn relaxed(byte: u8, next: u8) -> bool {
    let space = (byte == b' ') & ((next == b' ') | (next == b'\t') | (next == b'\r'));
    simple(byte, next) | (byte == b'\t') | space
}

/// Index of the first byte that changes together with its successor; the last byte, whose successor is not known,
/// stands for the end.
fn scan(data: &[u8], changes: impl Fn(u8, u8) -> bool) -> usize {
    let mut start = 0;
    while let (Some(bytes), Some(next)) = (
        data.get(start..start + BLOCK),
        data.get(start + 1..start + 1 + BLOCK),
    ) {
        let found = bytes
            .iter()
            .zip(next)
            .fold(false, |found, (a, b)| found | changes(*a, *b));
        if found {
            break;
        }
        start += BLOCK;
    }
    let last = data.len().saturating_sub(1);
    data.get(start..)
        .unwrap_or_default()
        .windows(2)
        .position(|pair| changes(pair[0], pair[1]))
        .map_or(last, |found| start + found)
}
