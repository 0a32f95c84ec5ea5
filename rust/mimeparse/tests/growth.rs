//! Hostile inputs four times as large take about four times as long, not sixteen times.
use std::time::{Duration, Instant};

use mimeparse::{parse, read_structure, search, words, write_structure, Limits, TokenOptions};

/// Octets of the smaller inputs.
const STEP: usize = if cfg!(debug_assertions) {
    20_000
} else {
    100_000
};

fn repeat(piece: &str, size: usize) -> Vec<u8> {
    piece.repeat(size / piece.len()).into_bytes()
}

fn with_prefix(prefix: &str, piece: &str, size: usize) -> Vec<u8> {
    [prefix.as_bytes(), &repeat(piece, size)].concat()
}

fn nested(size: usize) -> Vec<u8> {
    let level =
        |i: usize| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n");
    let mut text = String::new();
    for i in 0..size / level(1000).len() {
        text += &level(i);
    }
    text.into_bytes()
}

const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=x\r\n\r\n";

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let html = "Content-Type: text/html\r\n\r\n";
    vec![
        ("headers", repeat("a: b\r\n", size)),
        (
            "continuations",
            with_prefix("Subject: x\r\n", " y\r\n", size),
        ),
        ("addresses", with_prefix("From: ", "a@b, ", size)),
        ("open quotes", with_prefix("From: ", "\"a, ", size)),
        ("open comments", with_prefix("From: ", "(a, ", size)),
        ("groups", with_prefix("From: ", "a:", size)),
        (
            "encoded words",
            with_prefix("Subject: ", "=?utf-8?q?a?= ", size),
        ),
        ("open words", with_prefix("Subject: ", "=?utf-8?q?", size)),
        (
            "endless words",
            with_prefix("Subject: ", "=?utf-8?q?a ", size),
        ),
        (
            "words of no encoding",
            [repeat("Subject: =?a?x?a ", 17), repeat("=?a?x?a ", size), b"?=".to_vec()].concat(),
        ),
        ("word starts", with_prefix("Subject: ", "=?", size)),
        ("markers", with_prefix("Subject: ", "[a] re: ", size)),
        ("blobs", with_prefix("Subject: ", "[a]", size)),
        ("fwd", with_prefix("Subject: x ", "(fwd) ", size)),
        ("references", with_prefix("References: ", "<a@b> ", size)),
        (
            "parameters",
            with_prefix("Content-Type: a/b", "; a*0*=b", size),
        ),
        (
            "open parameters",
            with_prefix("Content-Type: a/b", "; a=\"", size),
        ),
        ("parts", with_prefix(MULTIPART, "--x\r\n\r\na\r\n", size)),
        ("false boundaries", with_prefix(MULTIPART, "--y\r\n", size)),
        ("nesting", nested(size)),
        (
            "messages",
            repeat("Content-Type: message/rfc822\r\n\r\n", size),
        ),
        ("long line", with_prefix("\r\n", "a ", size)),
        ("empty lines", with_prefix("\r\n", "\r\n", size)),
        ("quotes", with_prefix("\r\n", "> a\r\nx:\r\n", size)),
        ("dashes", with_prefix("\r\n", "--\r\n", size)),
        ("tags", with_prefix(html, "<p>", size)),
        ("open tags", with_prefix(html, "<a title=\">", size)),
        ("open comment", with_prefix(html, "<!--", size)),
        ("open scripts", with_prefix(html, "<script></", size)),
        ("attributes", with_prefix(html, "<img a=b ", size)),
        ("entities", with_prefix(html, "&", size)),
        (
            "quoted-printable",
            with_prefix(
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                "=",
                size,
            ),
        ),
        (
            "base64",
            with_prefix("Content-Transfer-Encoding: base64\r\n\r\n", "A=", size),
        ),
        (
            "decoded messages",
            repeat(
                "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
                size,
            ),
        ),
        ("open angles", with_prefix("From: ", "<a ", size)),
        ("quoted parameters", with_prefix("Content-Type: a/b", "; a=\"\\\"b\"", size)),
        (
            "utf-7",
            with_prefix("Content-Type: text/plain; charset=utf-7\r\n\r\n", "+", size),
        ),
    ]
}

fn time(data: &[u8]) -> Duration {
    (0..3)
        .map(|_| {
            let start = Instant::now();
            everything(data);
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[test]
fn time_grows_with_the_input() {
    let (small, large) = (inputs(STEP), inputs(4 * STEP));
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        // A busy machine may spoil one measurement, not five.
        assert!(
            (0..5).any(|_| is_linear(small, large)),
            "{name}: time grows faster than the input"
        );
    }
}

/// What takes less than a few milliseconds is not slow, whatever the clock says of the ratio.
fn is_linear(small: &[u8], large: &[u8]) -> bool {
    time(large) < time(small).max(Duration::from_millis(3)) * 10
}

/// All that a delivery does with a message, and a search.
fn everything(data: &[u8]) {
    let parsed = parse(data, &Limits::default());
    let _ = words(data, &parsed.root, &TokenOptions::default());
    if let Some(info) = read_structure(&write_structure(&parsed.root)) {
        let _ = search(data, &info, &["nothing of this kind"], true);
    }
}
