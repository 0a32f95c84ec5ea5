//! Header fields: splitting, choosing, canonical form.
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memmem};

use crate::body::Canon;

/// The header section is none that can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of the line.
    pub offset: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.why, self.offset)
    }
}

impl std::error::Error for Malformed {}

/// One field of a header section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, without the white space that may precede the colon.
    pub name: Range<usize>,
    /// All of it with its last CRLF.
    pub raw: Range<usize>,
}

/// Splits a header section, which ends with an empty line or with the data, into fields (RFC 5322 §2.2).
///
/// Returns the fields and the offset behind the empty line.
///
/// # Errors
/// A line that begins neither a field nor continues one, an empty name or one with other than printable ASCII, and a
/// section without its empty line.
pub fn split_fields(header: &[u8]) -> Result<(Vec<Field>, usize), Malformed> {
    let mut fields: Vec<Field> = Vec::new();
    let mut offset = 0;
    loop {
        let rest = header.get(offset..).unwrap_or_default();
        let end = offset
            + line_length(rest).ok_or(Malformed {
                offset,
                why: "no empty line after the header",
            })?;
        match (rest, fields.last_mut()) {
            ([b'\r', b'\n', ..], _) => return Ok((fields, end)),
            ([b' ' | b'\t', ..], Some(field)) => field.raw.end = end,
            ([b' ' | b'\t', ..], None) => {
                return Err(Malformed {
                    offset,
                    why: "continuation without a field",
                })
            }
            _ => fields.push(Field {
                name: field_name(header, offset..end)?,
                raw: offset..end,
            }),
        }
        offset = end;
    }
}

/// The body of a message: what follows its first empty line; nothing when there is none.
pub fn body_of(message: &[u8]) -> &[u8] {
    match message.strip_prefix(b"\r\n") {
        Some(body) => body,
        None => memmem::find(message, b"\r\n\r\n")
            .and_then(|end| message.get(end + 4..))
            .unwrap_or_default(),
    }
}

/// Length of the first line with its CRLF.
fn line_length(data: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let found = start + memchr(b'\n', data.get(start..)?)?;
        if found > 0 && data[found - 1] == b'\r' {
            return Some(found + 1);
        }
        start = found + 1;
    }
}

fn field_name(header: &[u8], line: Range<usize>) -> Result<Range<usize>, Malformed> {
    let bad = |why| Malformed {
        offset: line.start,
        why,
    };
    let text = &header[line.clone()];
    let colon = memchr(b':', text).ok_or_else(|| bad("line without a colon"))?;
    let name = text[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(bad("broken field name"));
    }
    Ok(line.start..line.start + name.len())
}

/// One field in canonical form (RFC 6376 §3.4.1, §3.4.2). A CRLF at its end is kept, and none is added.
///
/// ```
/// use dkimcanon::{canon_header, Canon};
///
/// assert_eq!(canon_header(b"SUBJect : a\r\n \tb \r\n", Canon::Relaxed), b"subject:a b\r\n");
/// ```
pub fn canon_header(field: &[u8], canon: Canon) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    append_canonical(field, canon, &mut out);
    out
}

fn append_canonical(field: &[u8], canon: Canon, out: &mut Vec<u8>) {
    if canon == Canon::Simple {
        out.extend_from_slice(field);
        return;
    }
    let (text, end) = match field.strip_suffix(b"\r\n") {
        Some(text) => (text, &b"\r\n"[..]),
        None => (field, &b""[..]),
    };
    let colon = memchr(b':', text).unwrap_or(text.len());
    let (name, value) = text.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    if let Some((colon, value)) = value.split_first() {
        out.push(*colon);
        append_relaxed_value(value, out);
    }
    out.extend_from_slice(end);
}

/// Unfolded, runs of white space made one space, none at the ends.
fn append_relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut white = false;
    let mut bytes = value.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' if bytes.peek() == Some(&&b'\n') => {
                bytes.next();
            }
            b' ' | b'\t' => white = true,
            _ => {
                if white && out.len() > start {
                    out.push(b' ');
                }
                white = false;
                out.push(*byte);
            }
        }
    }
}

/// The octets that a signature signs (RFC 6376 §3.7, §5.4.2): for each of `names` the lowest instance not yet taken,
/// nothing for those that are missing, and then `signature`, the DKIM-Signature field, without the value of its `b=`
/// and without CRLF at its end.
///
/// # Errors
/// As [`split_fields`].
pub fn signed_data(
    header: &[u8],
    names: &[&str],
    signature: &[u8],
    canon: Canon,
) -> Result<Vec<u8>, Malformed> {
    let (fields, _) = split_fields(header)?;
    // The instances of each name, the lowest last.
    let mut instances: HashMap<Vec<u8>, Vec<&Field>> = HashMap::new();
    for field in &fields {
        let name = header[field.name.clone()].to_ascii_lowercase();
        instances.entry(name).or_default().push(field);
    }
    let mut out = Vec::new();
    for name in names {
        let left = instances.get_mut(name.to_ascii_lowercase().as_bytes());
        if let Some(field) = left.and_then(Vec::pop) {
            append_canonical(&header[field.raw.clone()], canon, &mut out);
        }
    }
    let signature = without_signature_value(signature);
    append_canonical(
        signature.strip_suffix(b"\r\n").unwrap_or(&signature),
        canon,
        &mut out,
    );
    Ok(out)
}

/// A signature field without the value of its `b=` tag, white space around the value included (RFC 6376 §3.5).
pub fn without_signature_value(field: &[u8]) -> Vec<u8> {
    let (text, end) = match field.strip_suffix(b"\r\n") {
        Some(text) => (text, &b"\r\n"[..]),
        None => (field, &b""[..]),
    };
    let Some(colon) = memchr(b':', text) else {
        return field.to_vec();
    };
    let mut out = text[..=colon].to_vec();
    for (index, tag) in text[colon + 1..].split(|b| *b == b';').enumerate() {
        if index > 0 {
            out.push(b';');
        }
        match memchr(b'=', tag) {
            Some(equals) if tag[..equals].trim_ascii() == b"b" => {
                out.extend_from_slice(&tag[..=equals]);
            }
            _ => out.extend_from_slice(tag),
        }
    }
    out.extend_from_slice(end);
    out
}
