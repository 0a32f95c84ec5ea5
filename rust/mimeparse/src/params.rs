//! `value; name=value` fields: Content-Type and Content-Disposition with RFC 2231 parameters, and common breakages.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::{memchr, memchr2};

use crate::charset::to_text;
use crate::header::unfold;
use crate::words::decode_words;

/// More parameters than this are ignored.
const MAX_PARAMS: usize = 200;

/// A field's main value (not changed in case) and its parameters by lower-case name, in order, first one wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parametrised {
    pub(crate) value: String,
    pub(crate) params: Vec<(String, String)>,
}

struct RawParam<'a> {
    name: String,
    value: Cow<'a, [u8]>,
}

pub(crate) fn parse(field_value: &[u8]) -> Parametrised {
    let text = unfold(field_value);
    let pieces: Vec<Cow<'_, [u8]>> = split(&text).collect();
    let (main, rest) = pieces
        .split_first()
        .map_or((&[][..], &[][..]), |(main, rest)| (main, rest));
    let raw = rest.iter().filter_map(|p| raw_param(p)).take(MAX_PARAMS);
    let mut value = to_text(main.trim_ascii(), "").into_owned();
    if value.ends_with(char::is_whitespace) || value.starts_with(char::is_whitespace) {
        value = value.trim().to_owned();
    }
    Parametrised {
        value,
        params: join_continuations(raw.collect()),
    }
}

/// Pieces between semicolons, with comments removed and quoted strings kept whole.
fn split(text: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> + '_ {
    let is_simple = memchr2(b'(', b'\\', text).is_none();
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let (piece, taken) = if is_simple {
            let end = simple_end(rest);
            (rest[..end].into(), end + 1)
        } else {
            let (piece, taken) = careful_piece(rest);
            (piece.into(), taken)
        };
        at += taken;
        Some(piece)
    })
}

/// Where the first piece ends in text without comments and escapes.
fn simple_end(text: &[u8]) -> usize {
    let mut quoted = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b';' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// The first piece without its comments, and how much of the text it takes with its semicolon.
fn careful_piece(text: &[u8]) -> (Vec<u8>, usize) {
    let (mut piece, mut quoted, mut depth) = (Vec::new(), false, 0usize);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' if quoted || depth > 0 => {
                if let (true, Some(&next)) = (quoted, text.get(at)) {
                    piece.extend_from_slice(&[byte, next]);
                }
                at += 1;
            }
            b'"' if depth == 0 => {
                quoted = !quoted;
                piece.push(byte);
            }
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => depth -= 1,
            b';' if !quoted && depth == 0 => return (piece, at),
            _ if depth == 0 => piece.push(byte),
            _ => {}
        }
    }
    (piece, text.len() + 1)
}

fn raw_param(piece: &[u8]) -> Option<RawParam<'_>> {
    let equals = memchr(b'=', piece)?;
    let name = std::str::from_utf8(piece[..equals].trim_ascii())
        .ok()?
        .to_ascii_lowercase();
    if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace() || c == '"') {
        return None;
    }
    Some(RawParam {
        name,
        value: unquote(piece[equals + 1..].trim_ascii()),
    })
}

/// A quoted string's content, or the text as it is.
fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        return text.into();
    };
    match memchr2(b'"', b'\\', inner) {
        Some(at) if inner[at] == b'\\' => unescape(inner).into(),
        end => inner[..end.unwrap_or(inner.len())].into(),
    }
}

fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

/// RFC 2231 §3 and §4: `name*0*=charset'lang'..`, `name*1=..`, `name*=charset'lang'..`.
fn join_continuations(raw: Vec<RawParam<'_>>) -> Vec<(String, String)> {
    if raw.iter().all(|p| !p.name.contains('*')) {
        let mut out: Vec<(String, String)> = Vec::with_capacity(raw.len());
        for RawParam { name, value } in raw {
            if !out.iter().any(|(n, _)| *n == name) {
                out.push((name, decode_words(&value)));
            }
        }
        return out;
    }
    struct Pieces {
        charset: String,
        encoded: bool,
        parts: Vec<(u32, Vec<u8>)>,
    }
    let mut order: Vec<String> = Vec::new();
    let mut plain: HashMap<String, Vec<u8>> = HashMap::new();
    let mut pieces: HashMap<String, Pieces> = HashMap::new();
    for RawParam { name, value } in raw {
        let value = value.into_owned();
        let (base, number, encoded) = star_name(&name);
        if !order.iter().any(|n| n == base) {
            order.push(base.to_owned());
        }
        let Some(number) = number else {
            plain.entry(base.to_owned()).or_insert(value);
            continue;
        };
        let entry = pieces.entry(base.to_owned()).or_insert_with(|| Pieces {
            charset: String::new(),
            encoded: false,
            parts: Vec::new(),
        });
        let mut data = value;
        if encoded {
            entry.encoded = true;
            if number == 0 {
                if let Some((charset, rest)) = charset_prefix(&data) {
                    entry.charset = charset;
                    data = rest;
                }
            }
            data = percent_decode(&data);
        }
        if !entry.parts.iter().any(|(n, _)| *n == number) {
            entry.parts.push((number, data));
        }
    }
    let mut out = Vec::with_capacity(order.len());
    for name in order {
        if let Some(mut found) = pieces.remove(&name) {
            found.parts.sort_by_key(|(n, _)| *n);
            let data: Vec<u8> = found.parts.into_iter().flat_map(|(_, d)| d).collect();
            let text = if found.encoded {
                to_text(&data, &found.charset).into_owned()
            } else {
                decode_words(&data)
            };
            out.push((name, text));
        } else if let Some(value) = plain.remove(&name) {
            out.push((name, decode_words(&value)));
        }
    }
    out
}

/// `name*3*` -> (name, Some(3), true); `name*` -> (name, Some(0), true).
fn star_name(name: &str) -> (&str, Option<u32>, bool) {
    let (rest, encoded) = name.strip_suffix('*').map_or((name, false), |r| (r, true));
    match rest.rsplit_once('*') {
        Some((base, number)) => match number.parse() {
            Ok(number) if !base.is_empty() => (base, Some(number), encoded),
            _ => (name, None, false),
        },
        None if encoded => (rest, Some(0), true),
        None => (name, None, false),
    }
}

fn charset_prefix(data: &[u8]) -> Option<(String, Vec<u8>)> {
    let first = memchr(b'\'', data)?;
    let second = first + 1 + memchr(b'\'', &data[first + 1..])?;
    Some((
        String::from_utf8_lossy(&data[..first]).into_owned(),
        data[second + 1..].to_vec(),
    ))
}

fn percent_decode(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while at < data.len() {
        let digit = |i: usize| data.get(i).and_then(|&b| char::from(b).to_digit(16));
        match (data[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn table() {
        type Case = (
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
        );
        let cases: &[Case] = &[
            (
                "text/plain; charset=utf-8",
                "text/plain",
                &[("charset", "utf-8")],
            ),
            ("text/html;;", "text/html", &[]),
            (
                "a/b; x=\"q;\\\"r\" (note; z=1); y=2",
                "a/b",
                &[("x", "q;\"r"), ("y", "2")],
            ),
            (
                "a/b; name*0=\"one \"; name*1=two",
                "a/b",
                &[("name", "one two")],
            ),
            ("a/b; name*=utf-8'en'%C3%A9", "a/b", &[("name", "é")]),
            (
                "a/b; name*1*=%A9; name*0*=utf-8''%C3",
                "a/b",
                &[("name", "é")],
            ),
            ("a/b; name=\"=?utf-8?q?=C3=A9?=\"", "a/b", &[("name", "é")]),
            ("a/b; x=1; x=2", "a/b", &[("x", "1")]),
            ("a/b; x=\"unclosed", "a/b", &[("x", "unclosed")]),
            ("a/b; x=\"a;b\" ; y=c;", "a/b", &[("x", "a;b"), ("y", "c")]),
            ("a/b; x=\"\\\"a\"b", "a/b", &[("x", "\"a")]),
            (" a/b ; x = 1)", "a/b", &[("x", "1)")]),
        ];
        for (input, value, params) in cases {
            let got = parse(input.as_bytes());
            let shown: Vec<(&str, &str)> = got
                .params
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            assert_eq!(
                (got.value.as_str(), shown.as_slice()),
                (*value, *params),
                "{input}"
            );
        }
    }
}
