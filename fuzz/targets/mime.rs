//! Whole messages: structure, rendering, sections, search, words.
#![no_main]
use libfuzzer_sys::fuzz_target;
use mimeparse::{
    parse, read_structure, search, section_range, words, write_structure, Limits, Section,
    TokenOptions,
};

fuzz_target!(|data: &[u8]| {
    let parsed = parse(data, &Limits::default());
    assert_eq!(parsed.root.end, data.len());
    let info = read_structure(&write_structure(&parsed.root)).expect("what was written is read");
    for numbers in [&[][..], &[1], &[2], &[1, 1], &[1, 1, 1]] {
        for section in [Section::Body, Section::Header, Section::Text, Section::Mime] {
            if let Some((start, end)) = section_range(&info, numbers, section) {
                assert!(start <= end && end <= data.len());
            }
        }
    }
    let _ = search(data, &info, &["word"], true);
    let _ = words(data, &parsed.root, &TokenOptions::default());
});
