//! Content transfer encodings (RFC 2045 §6), tolerant: what is not valid is passed over.

use std::borrow::Cow;

use memchr::memchr;

/// Marks characters outside the alphabet; values have 24 bits.
const SKIP: u32 = 1 << 31;

/// Values of the characters at the place where a group of four has them: the first takes the highest bits.
const fn table(shift: u32) -> [u32; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [SKIP; 256];
    let mut i = 0;
    while i < 64 {
        values[alphabet[i] as usize] = (i as u32) << shift;
        i += 1;
    }
    values
}

static FIRST: [u32; 256] = table(18);
static SECOND: [u32; 256] = table(12);
static THIRD: [u32; 256] = table(6);
static FOURTH: [u32; 256] = table(0);

/// Base64; other characters are skipped and padding in the middle starts anew.
#[must_use]
pub fn decode_base64(data: &[u8]) -> Vec<u8> {
    // Long enough: six bits of each character at most.
    let mut out = vec![0; data.len() / 4 * 3 + 3];
    let mut length = 0;
    let (mut bits, mut count) = (0u32, 0u32);
    let mut rest = data;
    while let Some((&byte, after)) = rest.split_first() {
        if count == 0 && !matches!(byte, b'\r' | b'\n') {
            let groups = whole_groups(rest, &mut out[length..]);
            if groups > 0 {
                rest = &rest[4 * groups..];
                length += 3 * groups;
                continue;
            }
        }
        rest = after;
        let value = FOURTH[usize::from(byte)];
        if value == SKIP {
            if byte == b'=' {
                (bits, count) = (0, 0);
            }
            continue;
        }
        bits = (bits << 6 | value) & 0x00ff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out[length] = (bits >> count & 0xff) as u8;
            length += 1;
        }
    }
    out.truncate(length);
    out
}

/// Decodes groups of four characters up to the first other one; their number.
fn whole_groups(data: &[u8], out: &mut [u8]) -> usize {
    let mut groups = 0;
    for (group, three) in data.chunks_exact(4).zip(out.chunks_exact_mut(3)) {
        let value = FIRST[usize::from(group[0])]
            | SECOND[usize::from(group[1])]
            | THIRD[usize::from(group[2])]
            | FOURTH[usize::from(group[3])];
        if value & SKIP != 0 {
            break;
        }
        three.copy_from_slice(&value.to_be_bytes()[1..]);
        groups += 1;
    }
    groups
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|v| v as u8)
}

/// Quoted-printable body; broken escapes stay as they are.
#[must_use]
pub fn decode_quoted_printable(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for line in data.split_inclusive(|&b| b == b'\n') {
        let text = line.trim_ascii_end();
        let ending: &[u8] = if line.ends_with(b"\r\n") {
            b"\r\n"
        } else if line.ends_with(b"\n") {
            b"\n"
        } else {
            b""
        };
        let (text, soft) = match text.strip_suffix(b"=") {
            Some(rest) => (rest, true),
            None if ending.is_empty() => (line, false),
            None => (text, false),
        };
        escapes(text, &mut out);
        if !soft {
            out.extend_from_slice(ending);
        }
    }
    out
}

/// The octet of the two hexadecimal digits at the start.
pub(crate) fn escape(text: &[u8]) -> Option<u8> {
    let (high, low) = (hex(*text.first()?)?, hex(*text.get(1)?)?);
    Some(high << 4 | low)
}

fn escapes(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr(b'=', text) {
        out.extend_from_slice(&text[..at]);
        if let Some(byte) = escape(&text[at + 1..]) {
            out.push(byte);
            text = &text[at + 3..];
        } else {
            out.push(b'=');
            text = &text[at + 1..];
        }
    }
    out.extend_from_slice(text);
}

/// uuencode, between its `begin` and `end` lines; lines with a wrong length give what they have.
fn decode_uuencode(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let lines = data.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    let mut lines = lines.skip_while(|line| !line.starts_with(b"begin "));
    lines.next();
    for line in lines.take_while(|line| *line != b"end") {
        let Some((&length, text)) = line.split_first() else {
            continue;
        };
        let length = usize::from(length.wrapping_sub(b' ') & 0x3f);
        let start = out.len();
        for group in text.chunks(4) {
            let digit = |i: usize| group.get(i).map_or(0, |b| b.wrapping_sub(b' ') & 0x3f);
            let [a, b, c, d] = [0, 1, 2, 3].map(digit);
            out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
        }
        out.truncate(start + length.min(out.len() - start));
    }
    out
}

/// A part's content without its transfer encoding (upper case name), None when the encoding is unknown.
#[must_use]
pub fn decode_part<'a>(data: &'a [u8], encoding: &str) -> Option<Cow<'a, [u8]>> {
    let decode: fn(&[u8]) -> Vec<u8> = match encoding {
        "" | "7BIT" | "8BIT" | "BINARY" => return Some(data.into()),
        "BASE64" => decode_base64,
        "QUOTED-PRINTABLE" => decode_quoted_printable,
        "X-UUENCODE" | "UUENCODE" | "X-UUE" | "UUE" => decode_uuencode,
        _ => return None,
    };
    Some(decode(data).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        assert_eq!(decode_base64(b"aGVs\r\nbG8="), b"hello");
        assert_eq!(decode_base64(b"aGVsbG8"), b"hello");
        assert_eq!(decode_base64(b"aA==aA=="), b"hh");
        assert_eq!(decode_base64(b"a G V s b G 8 ="), b"hello");
    }

    #[test]
    fn base64_in_lines_and_broken_groups() {
        let encoded = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";
        let plain: Vec<u8> = (0..48).collect();
        for width in 1..=64 {
            let lines: Vec<u8> = encoded
                .chunks(width)
                .flat_map(|line| [line, b"\r\n"].concat())
                .collect();
            assert_eq!(decode_base64(&lines), plain, "{width}");
        }
        assert_eq!(decode_base64(b"aG\xffVsbG8=!"), b"hello");
    }

    #[test]
    fn uuencode() {
        let text = b"begin 644 x\r\n#0V%T\r\n\"0V$\r\n`\r\nend\r\nrest";
        assert_eq!(
            decode_part(text, "X-UUENCODE").as_deref(),
            Some(&b"CatCa"[..])
        );
        assert_eq!(decode_part(b"nothing", "UUE").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn quoted_printable() {
        assert_eq!(
            decode_quoted_printable(b"a=3Db=\r\nc \r\nd=zz=\n"),
            b"a=bc\r\nd=zz"
        );
        assert_eq!(decode_quoted_printable(b"=C3=A9"), "é".as_bytes());
    }
}
