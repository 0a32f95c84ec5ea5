//! Hostile inputs four times as large take about four times as long, not sixteen times, and memory within a factor.
use growth::{repeated, Limits};
use mimeparse::{parse, read_structure, search, words, write_structure, TokenOptions};

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// See docs/mime.md: messages made of empty parts take the most.
const LIMITS: Limits = Limits {
    factor: 200,
    constant: 100_000,
};

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
        ("headers", repeated("", "a: b\r\n", size)),
        (
            "continuations",
            repeated("Subject: x\r\n", " y\r\n", size),
        ),
        ("addresses", repeated("From: ", "a@b, ", size)),
        ("open quotes", repeated("From: ", "\"a, ", size)),
        ("open comments", repeated("From: ", "(a, ", size)),
        ("groups", repeated("From: ", "a:", size)),
        (
            "encoded words",
            repeated("Subject: ", "=?utf-8?q?a?= ", size),
        ),
        ("open words", repeated("Subject: ", "=?utf-8?q?", size)),
        (
            "endless words",
            repeated("Subject: ", "=?utf-8?q?a ", size),
        ),
        (
            "words of no encoding",
            [repeated("", "Subject: =?a?x?a ", 17), repeated("", "=?a?x?a ", size), b"?=".to_vec()].concat(),
        ),
        ("word starts", repeated("Subject: ", "=?", size)),
        ("markers", repeated("Subject: ", "[a] re: ", size)),
        ("blobs", repeated("Subject: ", "[a]", size)),
        ("fwd", repeated("Subject: x ", "(fwd) ", size)),
        ("references", repeated("References: ", "<a@b> ", size)),
        (
            "parameters",
            repeated("Content-Type: a/b", "; a*0*=b", size),
        ),
        (
            "open parameters",
            repeated("Content-Type: a/b", "; a=\"", size),
        ),
        ("parts", repeated(MULTIPART, "--x\r\n\r\na\r\n", size)),
        ("false boundaries", repeated(MULTIPART, "--y\r\n", size)),
        ("nesting", nested(size)),
        (
            "messages",
            repeated("", "Content-Type: message/rfc822\r\n\r\n", size),
        ),
        ("long line", repeated("\r\n", "a ", size)),
        ("empty lines", repeated("\r\n", "\r\n", size)),
        ("quotes", repeated("\r\n", "> a\r\nx:\r\n", size)),
        ("dashes", repeated("\r\n", "--\r\n", size)),
        ("tags", repeated(html, "<p>", size)),
        ("open tags", repeated(html, "<a title=\">", size)),
        ("open comment", repeated(html, "<!--", size)),
        ("open scripts", repeated(html, "<script></", size)),
        ("attributes", repeated(html, "<img a=b ", size)),
        ("entities", repeated(html, "&", size)),
        (
            "quoted-printable",
            repeated(
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                "=",
                size,
            ),
        ),
        (
            "base64",
            repeated("Content-Transfer-Encoding: base64\r\n\r\n", "A=", size),
        ),
        (
            "decoded messages",
            repeated("", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", size,
            ),
        ),
        ("open angles", repeated("From: ", "<a ", size)),
        ("quoted parameters", repeated("Content-Type: a/b", "; a=\"\\\"b\"", size)),
        (
            "utf-7",
            repeated("Content-Type: text/plain; charset=utf-7\r\n\r\n", "+", size),
        ),
    ]
}

#[test]
fn time_and_memory_grow_with_the_input() {
    growth::check(inputs, LIMITS, everything);
}

/// All that a delivery does with a message, and a search.
fn everything(data: &[u8]) {
    let parsed = parse(data, &mimeparse::Limits::default());
    let _ = words(data, &parsed.root, &TokenOptions::default());
    if let Some(info) = read_structure(&write_structure(&parsed.root)) {
        let _ = search(data, &info, &["nothing of this kind"], true);
    }
}
