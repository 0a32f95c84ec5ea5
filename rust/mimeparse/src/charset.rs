//! Charsets by label, tolerant of wrong ones.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::decode::decode_base64;

/// Labels of mail that the WHATWG's list, which is `encoding_rs`', lacks.
const ALIASES: [(&str, &str); 12] = [
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp1250", "windows-1250"),
    ("cp1251", "windows-1251"),
    ("euc_jp", "euc-jp"),
    ("latin-1", "iso-8859-1"),
    ("ms950", "big5"),
    ("utf8mb4", "utf-8"),
    ("utf_8", "utf-8"),
    ("win-1251", "windows-1251"),
];

fn encoding(label: &str) -> &'static Encoding {
    let known = |name: &str| Encoding::for_label_no_replacement(name.as_bytes());
    known(label)
        .or_else(|| {
            let (_, name) = ALIASES
                .iter()
                .find(|(a, _)| a.eq_ignore_ascii_case(label))?;
            known(name)
        })
        .unwrap_or(UTF_8)
}

/// `data` as text. Unknown labels and US-ASCII with 8-bit octets are taken as UTF-8, else as Windows-1252.
pub(crate) fn to_text<'a>(data: &'a [u8], label: &str) -> Cow<'a, str> {
    // `charset*language` of RFC 2231 §5.
    let label = label.split('*').next().unwrap_or_default().trim();
    if label.eq_ignore_ascii_case("utf-7") || label.eq_ignore_ascii_case("unicode-1-1-utf-7") {
        return utf7_to_text(data).into();
    }
    let is_utf8 = label.eq_ignore_ascii_case("utf-8");
    let is_ascii = label.is_empty() || label.eq_ignore_ascii_case("us-ascii");
    // Looking for a name takes longer than checking a line of text.
    let encoding = if is_utf8 || is_ascii {
        UTF_8
    } else {
        encoding(label)
    };
    // WHATWG maps us-ascii and iso-8859-1 to windows-1252; mislabelled UTF-8 is the commoner case.
    if encoding == UTF_8 {
        return match std::str::from_utf8(data) {
            Ok(text) => text.into(),
            Err(_) if !is_utf8 => WINDOWS_1252.decode_without_bom_handling(data).0,
            Err(_) => String::from_utf8_lossy(data),
        };
    }
    encoding.decode_without_bom_handling(data).0
}

/// UTF-7 (RFC 2152): `+` base64 of UTF-16 `-`; what is broken becomes a replacement character.
fn utf7_to_text(data: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = data;
    while let Some(at) = memchr::memchr(b'+', rest) {
        out.push_str(&String::from_utf8_lossy(&rest[..at]));
        rest = &rest[at + 1..];
        let length = rest
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')))
            .unwrap_or(rest.len());
        let (shifted, after) = rest.split_at(length);
        rest = after.strip_prefix(b"-").unwrap_or(after);
        if shifted.is_empty() {
            out.push('+');
            continue;
        }
        let bytes = decode_base64(shifted);
        let units = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    out.push_str(&String::from_utf8_lossy(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn labels() {
        let cases: &[(&[u8], &str, &str)] = &[
            (b"\xa9", "iso-8859-1", "\u{a9}"),
            (b"\xd0", "iso-8859-5", "\u{430}"),
            ("é".as_bytes(), "us-ascii", "é"),
            (b"\xe9", "us-ascii", "é"),
            (b"\xe9", "", "é"),
            (b"\xe9\xff", "utf-8", "\u{fffd}\u{fffd}"),
            ("é".as_bytes(), "x-unknown", "é"),
            (b"\xe9", "x-unknown", "é"),
            (b"\xc4\xe3", "gb2312", "\u{4f60}"),
            (b"\xc4\xe3", "CP936", "\u{4f60}"),
            (b"\xa4\xa4", "Big5", "\u{4e2d}"),
            (b"\x1b$B$\"\x1b(B", "iso-2022-jp", "\u{3042}"),
            (b"\xcf\xf0", "koi8-r", "\u{43e}\u{41f}"),
            (b"\xe9", "ISO-8859-1*en", "é"),
            (b"a+AOk-b +- c", "utf-7", "aéb + c"),
            (b"+2D3eAA-", "UTF-7", "\u{1f600}"),
        ];
        for (data, label, text) in cases {
            assert_eq!(to_text(data, label), *text, "{label}");
        }
    }
}
