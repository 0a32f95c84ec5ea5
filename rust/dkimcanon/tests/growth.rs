//! Hostile bodies and headers four times as large take about four times as long, and memory within a factor.
use dkimcanon::{hash_bodies, signed_data, split_fields, Algorithm, BodySpec, Canon};
use growth::repeated;

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// Of a header of many fields: where they are and what they are called.
const LIMITS: growth::Limits = growth::Limits {
    factor: 40,
    constant: 100_000,
};

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let header = |piece| [repeated("", piece, size), b"\r\n".to_vec()].concat();
    vec![
        ("fields", header("a: b\r\n")),
        ("continuations", header("a: b\r\n c\r\n")),
        ("long field", repeated("a:", " x", size)),
        ("tags", repeated("DKIM-Signature:", " b=x;", size)),
        ("text", repeated("", "some text\r\n", size)),
        ("blanks", repeated("", " ", size)),
        ("blanks and text", repeated("", "a  ", size)),
        ("blanks before line ends", repeated("", " \r\n", size)),
        ("empty lines", repeated("", "\r\n", size)),
        ("empty lines and text", repeated("", "\r\n\r\na", size)),
        ("CR", repeated("", "\r", size)),
        ("blanks and CR", repeated("", " \r", size)),
    ]
}

fn everything(data: &[u8]) {
    let spec = |canon| BodySpec {
        canon,
        algorithm: Algorithm::Sha256,
        length: Some(data.len() as u64 / 2),
    };
    assert_eq!(
        hash_bodies(data, &[spec(Canon::Simple), spec(Canon::Relaxed)]).len(),
        2
    );
    if let Ok((fields, _)) = split_fields(data) {
        let names = vec!["a"; fields.len()];
        for canon in [Canon::Simple, Canon::Relaxed] {
            assert!(signed_data(data, &names, b"DKIM-Signature: b=", canon).is_ok());
        }
    }
    let signature = data.strip_suffix(b"\r\n").unwrap_or(data);
    assert!(signed_data(b"\r\n", &[], signature, Canon::Relaxed).is_ok());
}

#[test]
fn time_and_memory_grow_with_the_input() {
    growth::check(inputs, LIMITS, everything);
}
