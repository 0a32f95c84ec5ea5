//! Parses one of the fixed messages a hundred times: to be run under callgrind, which counts instructions.
use mimeparse::{parse, Limits};

mod inputs;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let data = match name.as_str() {
        "plain" => inputs::plain(),
        "newsletter" => inputs::newsletter(),
        "attachment" => inputs::attachment(),
        _ => return,
    };
    let lengths: usize = (0..100)
        .map(|_| parse(&data, &Limits::default()).bodystructure.len())
        .sum();
    // Used, so that no parsing is left out.
    assert!(lengths > 0 && inputs::all().len() == 3);
}
