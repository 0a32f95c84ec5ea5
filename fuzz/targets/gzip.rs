//! Streams of a hostile peer, and round trips.
#![no_main]
use gzipstream::{accepts_gzip, Deflater, Format, Inflater};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut hostile = Inflater::new(Format::Raw);
    let mut step = hostile.feed(data, 1000);
    for _ in 0..100 {
        match step {
            Ok(out) if hostile.has_more() => assert!(out.len() <= 1000),
            _ => break,
        }
        step = hostile.feed(b"", 1000);
    }
    let mut deflater = Deflater::new(Format::Raw, 1);
    let mut wire = deflater.write(data);
    wire.extend(deflater.flush());
    let back = Inflater::new(Format::Raw).feed(&wire, data.len() + 1);
    assert_eq!(back.as_deref(), Ok(data));
    let _ = accepts_gzip(&String::from_utf8_lossy(data));
});
