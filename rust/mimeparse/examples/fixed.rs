//! Parses one of the fixed messages a hundred times, with this crate or with `mail-parser`: to be run under callgrind,
//! which counts instructions.
use mimeparse::{decode_part, parse, Limits, Part};

mod inputs;

/// Octets of all decoded leaves, as `mail-parser` decodes them.
fn decode_all(data: &[u8], part: &Part) -> usize {
    if part.children.is_empty() {
        return decode_part(part.body(data), &part.encoding).map_or(0, |content| content.len());
    }
    part.children.iter().map(|c| decode_all(data, c)).sum()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let work = args.next().unwrap_or_default();
    let data = match name.as_str() {
        "plain" => inputs::plain(),
        "newsletter" => inputs::newsletter(),
        "attachment" => inputs::attachment(),
        _ => return,
    };
    let once = || match work.as_str() {
        "mail-parser" => mail_parser::MessageParser::default()
            .parse(&data)
            .map_or(0, |m| m.parts.len()),
        "nothing" => 1,
        "decode" => decode_all(&data, &parse(&data, &Limits::default()).root),
        _ => parse(&data, &Limits::default()).bodystructure.len(),
    };
    let total: usize = (0..100).map(|_| once()).sum();
    // Used, so that no parsing is left out.
    assert!(total > 0 && inputs::all().len() == 3);
}
