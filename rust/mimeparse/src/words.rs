//! Encoded words (RFC 2047), with the common breakages: blanks inside, split characters, missing padding.

use crate::charset::to_text;
use crate::decode::decode_base64;

struct Word<'a> {
    charset: &'a str,
    data: Vec<u8>,
    /// Octets of the input that the word takes.
    len: usize,
}

fn parse_word(text: &[u8]) -> Option<Word<'_>> {
    let inner = text.strip_prefix(b"=?")?;
    let first = memchr::memchr(b'?', inner)?;
    let charset = std::str::from_utf8(&inner[..first])
        .ok()
        .filter(|c| !c.is_empty() && !c.contains(' '))?;
    let encoding = *inner.get(first + 1)?;
    if inner.get(first + 2) != Some(&b'?') {
        return None;
    }
    let body = &inner[first + 3..];
    let end = memchr::memmem::find(body, b"?=")?;
    let data = match encoding {
        b'B' | b'b' => decode_base64(&body[..end]),
        b'Q' | b'q' => q_decode(&body[..end]),
        _ => return None,
    };
    Some(Word {
        charset,
        data,
        len: 2 + first + 3 + end + 2,
    })
}

fn q_decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|&b| if b == b'_' { b' ' } else { b })
        .collect();
    let mut out = crate::decode::decode_quoted_printable(&spaced);
    // A blank at the end is content here, not transport padding.
    let blanks = spaced.len() - spaced.trim_ascii_end().len();
    if blanks > 0 && !out.ends_with(b" ") {
        out.extend(std::iter::repeat_n(b' ', blanks));
    }
    out
}

/// An unfolded header value as text, encoded words decoded. Blanks between two words vanish; neighbours of one
/// charset are joined before decoding, because senders split characters over words.
#[must_use]
pub fn decode_words(value: &[u8]) -> String {
    let mut out = String::new();
    let mut pending: Option<(String, Vec<u8>)> = None;
    let mut at = 0;
    let mut plain = 0;
    while let Some(found) = memchr::memmem::find(&value[at..], b"=?") {
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
                pending = Some((word.charset.to_owned(), word.data));
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

fn flush(pending: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, data)) = pending.take() {
        out.push_str(&to_text(&data, &charset));
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
        ];
        for (input, output) in cases {
            assert_eq!(decode_words(input), *output);
        }
    }
}
