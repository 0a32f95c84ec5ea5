//! Streams four times as long take about four times as long; what has not been asked for takes no memory.
use gzipstream::{accepts_gzip, Deflater, Format, Inflater};

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// The states of compression; of the data only what is fed at once.
const LIMITS: growth::Limits = growth::Limits {
    factor: 3,
    constant: 1_000_000,
};

/// Octets that are asked for at once.
const PIECE: usize = 4096;

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    // A small stream of which a thousand times as much comes out.
    let mut deflater = Deflater::new(Format::Raw, 9);
    let mut bomb = Vec::new();
    while bomb.len() < size / 100 {
        bomb.extend(deflater.write(&[0; 1 << 16]));
    }
    bomb.extend(deflater.finish());
    let noise = (0..size).map(|i| (i.wrapping_mul(i) >> 7) as u8);
    vec![
        ("bomb", bomb),
        ("empty blocks", growth::repeated("", "\0\0\0\u{7f}", size)),
        ("zeros", vec![0; size]),
        ("noise", noise.collect()),
        ("codings", growth::repeated("", "gzip;q=0,", size)),
    ]
}

fn everything(data: &[u8]) {
    let mut hostile = Inflater::new(Format::Raw);
    let mut step = hostile.feed(data, PIECE);
    while let Ok(out) = &step {
        assert!(out.len() <= PIECE);
        if !hostile.has_more() {
            break;
        }
        step = hostile.feed(b"", PIECE);
    }
    let mut deflater = Deflater::new(Format::Raw, 1);
    let mut inflater = Inflater::new(Format::Raw);
    for piece in data.chunks(PIECE) {
        let mut wire = deflater.write(piece);
        wire.extend(deflater.flush());
        assert_eq!(inflater.feed(&wire, PIECE).as_deref(), Ok(piece));
    }
    let _ = accepts_gzip(&String::from_utf8_lossy(data));
}

#[test]
fn time_and_memory_grow_with_the_input() {
    growth::check(inputs, LIMITS, everything);
}
