//! Encoded words (RFC 2047), with the common breakages: blanks inside, split characters, missing padding.

use memchr::memchr;

use crate::charset::to_text;
use crate::decode::{decode_base64, escape};

struct Word<'a> {
    charset: &'a str,
    data: Vec<u8>,
    /// Octets of the input that the word takes.
    len: usize,
}

fn parse_word(text: &[u8]) -> Option<Word<'_>> {
    let inner = text.strip_prefix(b"=?")?;
    let first = memchr(b'?', inner)?;
    let charset = std::str::from_utf8(&inner[..first])
        .ok()
        .filter(|c| !c.is_empty() && !c.contains(' '))?;
    // Known before the end is looked for: what is no word must not take the time of one.
    let is_base64 = match inner.get(first + 1..first + 3)? {
        [b'B' | b'b', b'?'] => true,
        [b'Q' | b'q', b'?'] => false,
        _ => return None,
    };
    let body = &inner[first + 3..];
    let end = find_pair(body, *b"?=")?;
    let body = &body[..end];
    let data = if is_base64 {
        decode_base64(body)
    } else {
        q_decode(body)
    };
    // Octets that should have been encoded: UTF-8 is never anything else by chance.
    let is_raw_utf8 = !body.is_ascii() && std::str::from_utf8(body).is_ok();
    Some(Word {
        charset: if is_raw_utf8 { "utf-8" } else { charset },
        data,
        len: 2 + first + 3 + end + 2,
    })
}

/// Index of two octets next to each other. Words are short: a general search costs more than it finds.
fn find_pair(text: &[u8], pair: [u8; 2]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(pair[0], text.get(from..)?)?;
        if text.get(at + 1) == Some(&pair[1]) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn q_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'_' => out.push(b' '),
            b'=' => match escape(after) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = &after[2..];
                }
                // At the end it is a soft line break that does not belong here.
                None if after.is_empty() => {}
                None => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    out
}

/// An unfolded header value as text, encoded words decoded. Blanks between two words vanish; neighbours of one
/// charset are joined before decoding, because senders split characters over words.
#[must_use]
pub fn decode_words(value: &[u8]) -> String {
    let last_end = match find_pair(value, *b"=?") {
        Some(_) => value.windows(2).rposition(|pair| pair == b"?="),
        None => None,
    };
    let Some(last_end) = last_end else {
        return to_text(value, "").into_owned();
    };
    let mut out = String::with_capacity(value.len());
    let mut pending: Option<(&str, Vec<u8>)> = None;
    let (mut at, mut plain) = (0, 0);
    // Behind the last `?=` no word ends: without this, starts of words would take quadratic time.
    while let Some(found) = find_pair(&value[at..], *b"=?").filter(|found| at + found < last_end) {
        let start = at + found;
        let Some(word) = parse_word(&value[start..]) else {
            at = start + 2;
            continue;
        };
        let between = &value[plain..start];
        let joins = pending.is_some() && between.iter().all(u8::is_ascii_whitespace);
        if !joins {
            flush(&mut pending, &mut out);
            out.push_str(&to_text(between, ""));
        }
        match &mut pending {
            // Each word of a stateful charset begins and ends in its initial state (RFC 2047 §3).
            Some((charset, data))
                if charset.eq_ignore_ascii_case(word.charset) && !is_stateful(charset) =>
            {
                data.extend_from_slice(&word.data);
            }
            _ => {
                flush(&mut pending, &mut out);
                pending = Some((word.charset, word.data));
            }
        }
        at = start + word.len;
        plain = at;
    }
    flush(&mut pending, &mut out);
    out.push_str(&to_text(&value[plain..], ""));
    out
}

fn is_stateful(charset: &str) -> bool {
    charset
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("iso-2022"))
}

fn flush(pending: &mut Option<(&str, Vec<u8>)>, out: &mut String) {
    if let Some((charset, data)) = pending.take() {
        out.push_str(&to_text(&data, charset));
    }
}

#[cfg(test)]
mod tests {
    use super::decode_words;

    #[test]
    fn table() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            (b"=?utf-8?q?a_b=C3=A9?= c", "a bé c"),
            (b"=?utf-8?b?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
            (b"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "é"),
            (b"=?iso-8859-2?q?Ond=F8ej?=", "Ondřej"),
            (
                b"=?iso-2022-jp?b?GyRCJUYbKEI=?= =?iso-2022-jp?b?GyRCJUYbKEI=?=",
                "\u{30c6}\u{30c6}",
            ),
            (b"=?broken", "=?broken"),
            (b"a =?x?z?y?= b", "a =?x?z?y?= b"),
            (b"=?utf-8?q?a_?= b", "a  b"),
            (b"=?utf-8?q?a=?=", "a"),
            (b"=?iso-8859-1?q?J\xfcrgen?=", "J\u{fc}rgen"),
            ("=?iso-8859-1?q?J\u{fc}rgen?=".as_bytes(), "J\u{fc}rgen"),
            (b"=?utf-8?q?a=zb ?=", "a=zb "),
            (b"=?utf-8?q?a =?utf-8?q?b?= ?= =?", "a =?utf-8?q?b ?= =?"),
            (b"=?=?utf-8?q?a?=", "=?a"),
        ];
        for (input, output) in cases {
            assert_eq!(decode_words(input), *output);
        }
    }
}
