//! Round trips under any chunking and flushing, hostile streams, bounded output, weights.
use gzipstream::{accepts_gzip, Corrupt, Deflater, Format, Inflater};
use proptest::prelude::*;

const FORMATS: [Format; 2] = [Format::Gzip, Format::Raw];

fn drain(inflater: &mut Inflater, data: &[u8], step: usize) -> Vec<u8> {
    let mut out = inflater.feed(data, step).unwrap();
    while inflater.has_more() {
        let more = inflater.feed(b"", step).unwrap();
        assert!(more.len() <= step);
        out.extend(more);
    }
    out
}

#[test]
fn flush_without_new_data_sends_nothing() {
    for format in FORMATS {
        let mut deflater = Deflater::new(format, 6);
        assert!(deflater.flush().is_empty());
        let mut wire = deflater.write(b"x");
        wire.extend(deflater.flush());
        assert!(deflater.flush().is_empty());
        wire.extend(deflater.finish());
        assert!(deflater.finish().is_empty());
        assert!(deflater.write(b"y").is_empty() && deflater.flush().is_empty());
        let mut inflater = Inflater::new(format);
        assert_eq!(drain(&mut inflater, &wire, 100), b"x");
        assert!(inflater.is_done());
    }
}

#[test]
fn small_input_does_not_become_large_output_unasked() {
    let mut deflater = Deflater::new(Format::Raw, 9);
    let mut wire = deflater.write(&vec![0; 5 << 20]);
    wire.extend(deflater.finish());
    assert!(wire.len() < 10_000);
    let mut inflater = Inflater::new(Format::Raw);
    let mut total = 0;
    let mut data = &wire[..];
    loop {
        let out = inflater.feed(data, 10_000).unwrap();
        data = b"";
        assert!(out.len() <= 10_000);
        total += out.len();
        if !inflater.has_more() {
            break;
        }
    }
    assert_eq!(total, 5 << 20);
}

#[test]
fn bytes_behind_the_end_are_kept() {
    for format in FORMATS {
        let mut deflater = Deflater::new(format, 1);
        let mut wire = deflater.write(b"abc");
        wire.extend(deflater.finish());
        wire.extend(b"tail");
        let mut inflater = Inflater::new(format);
        assert!(inflater.take_unused().is_empty());
        assert_eq!(drain(&mut inflater, &wire, 2), b"abc");
        assert!(inflater.is_done());
        assert_eq!(inflater.feed(b" more", 100).unwrap(), b"");
        assert_eq!(inflater.take_unused(), b"tail more");
    }
}

#[test]
fn broken_streams_stay_broken() {
    let mut inflater = Inflater::new(Format::Raw);
    assert_eq!(inflater.feed(b"\xff\xff\xff\xff", 100), Err(Corrupt));
    assert_eq!(inflater.feed(b"", 100), Err(Corrupt));
    assert!(!inflater.has_more());
    let mut inflater = Inflater::new(Format::Gzip);
    assert_eq!(inflater.feed(b"no gzip at all", 100), Err(Corrupt));
}

#[test]
fn damaged_gzip_checksum_is_noticed() {
    let mut deflater = Deflater::new(Format::Gzip, 6);
    let mut wire = deflater.write(b"abc");
    wire.extend(deflater.finish());
    let place = wire.len() - 6;
    wire[place] ^= 1;
    assert_eq!(Inflater::new(Format::Gzip).feed(&wire, 100), Err(Corrupt));
}

#[test]
fn accept_encoding() {
    for (value, accepted) in [
        ("gzip", true),
        ("GZIP", true),
        ("x-gzip", true),
        ("deflate, gzip;q=1.0, *;q=0.5", true),
        ("br;q=1.0, gzip ; q=0.8", true),
        ("gzip;q=0.001", true),
        ("*", true),
        ("gzip;foo=bar", true),
        ("gzip;q=0, gzip;q=0.3", true),
        ("gzip;q=1, identity;q=1", true),
        ("", false),
        ("identity", false),
        ("gzip;q=0", false),
        ("gzip;q=0.000", false),
        ("gzip;Q=0", false),
        ("*;q=0", false),
        ("gzip;q=0, *;q=1", false),
        ("gzip;q=0.5, identity", false),
        ("gzip;q=abc", false),
        ("gzip;q=2", false),
        ("gzip;q=1.001", false),
        ("gzip;q=0.1234", false),
        ("gzipped", false),
        ("br", false),
    ] {
        assert_eq!(accepts_gzip(value), accepted, "{value}");
    }
}

fn piece() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..40_000).prop_map(|(byte, count)| vec![byte; count]),
        "[a-c ]{0,200}".prop_map(String::into_bytes),
    ];
    (data, any::<bool>())
}

/// Few cases, unless PROPTEST_CASES says otherwise: compression is slow without optimization.
fn few_cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(32),
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn any_chunking_and_flushing_round_trips(
        pieces in proptest::collection::vec(piece(), 0..12), level in 0u32..12, step in 1usize..5000, cut in 1usize..5000
    ) {
        for format in FORMATS {
            let mut deflater = Deflater::new(format, level);
            let mut inflater = Inflater::new(format);
            let (mut sent, mut got) = (Vec::new(), Vec::new());
            for (data, flush) in &pieces {
                let mut wire = deflater.write(data);
                sent.extend(data);
                if *flush {
                    wire.extend(deflater.flush());
                }
                for part in wire.chunks(cut) {
                    got.extend(drain(&mut inflater, part, step.max(64)));
                }
                if *flush {
                    prop_assert_eq!(&got, &sent);
                }
            }
            got.extend(drain(&mut inflater, &deflater.finish(), step.max(64)));
            prop_assert_eq!(&got, &sent);
            prop_assert!(inflater.is_done());
        }
    }

    #[test]
    fn any_bytes_are_survived(data: Vec<u8>, text: String, max in 0usize..1000) {
        for format in FORMATS {
            let mut inflater = Inflater::new(format);
            for part in data.chunks(7) {
                match inflater.feed(part, max) {
                    Ok(out) => prop_assert!(out.len() <= max),
                    Err(Corrupt) => break,
                }
            }
        }
        accepts_gzip(&text);
    }
}
