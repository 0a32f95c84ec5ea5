//! Header values, transfer encodings, IMAP names, patterns and sets: the first octet chooses which.
#![no_main]
use imapparse::{decode_utf7, encode_utf7, format_set, list_match, SequenceSet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    match choice % 12 {
        0 => assert!(mimeparse::parse_address_list(data).len() <= data.len()),
        1 => drop(mimeparse::decode_words(data)),
        2 => drop(mimeparse::parse_date(data)),
        3 => drop(mimeparse::references(Some(data), Some(data))),
        4 => drop(mimeparse::base_subject(&String::from_utf8_lossy(data))),
        5 => drop(mimeparse::decode_part(data, "BASE64")),
        6 => drop(mimeparse::decode_part(data, "QUOTED-PRINTABLE")),
        7 => drop(mimeparse::read_structure(data)),
        8 => names(data),
        9 => {
            let text = String::from_utf8_lossy(data);
            let (pattern, name) = text.split_once('\n').unwrap_or((&text, "INBOX/a"));
            let _ = list_match(pattern, name);
            assert!(list_match("*", name) && list_match(&name.replace(['*', '%'], "*"), name));
        }
        10 => set(&String::from_utf8_lossy(data)),
        _ => strings(data),
    }
});

/// Mailbox names in modified UTF-7 are read back; what is read is written the same way.
fn names(data: &[u8]) {
    if let Some(name) = decode_utf7(data) {
        assert_eq!(encode_utf7(&name).as_bytes(), data);
    }
    let name = String::from_utf8_lossy(data);
    assert_eq!(
        decode_utf7(encode_utf7(&name).as_bytes()),
        Some(name.into_owned())
    );
}

fn set(text: &str) {
    let Some(set) = SequenceSet::parse(text) else {
        return;
    };
    let ranges = set.ranges(1000);
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    if let Some(mut numbers) = set.written(1000) {
        numbers.sort_unstable();
        numbers.dedup();
        let back = SequenceSet::parse(&format_set(&numbers)).map(|s| s.ranges(0));
        assert_eq!(back, Some(set.ranges(0)));
    }
}

/// Rendered strings are 7-bit and one quoted string or literal.
fn strings(data: &[u8]) {
    let mut out = Vec::new();
    imapparse::render::string(&mut out, data, false);
    imapparse::render::astring(&mut out, &String::from_utf8_lossy(data), true);
    imapparse::render::mailbox(&mut out, &String::from_utf8_lossy(data), false);
    assert!(out.len() <= 40 + 30 * data.len());
}
