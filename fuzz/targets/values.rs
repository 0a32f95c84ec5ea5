//! Header values and transfer encodings, the first octet choosing which.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    match choice % 8 {
        0 => assert!(mimeparse::parse_address_list(data).len() <= data.len()),
        1 => drop(mimeparse::decode_words(data)),
        2 => drop(mimeparse::parse_date(data)),
        3 => drop(mimeparse::references(Some(data), Some(data))),
        4 => drop(mimeparse::base_subject(&String::from_utf8_lossy(data))),
        5 => drop(mimeparse::decode_part(data, "BASE64")),
        6 => drop(mimeparse::decode_part(data, "QUOTED-PRINTABLE")),
        _ => drop(mimeparse::read_structure(data)),
    }
});
