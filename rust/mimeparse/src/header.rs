//! Header sections: finding their end, walking and filtering fields (RFC 5322 §2.2).

use std::borrow::Cow;

use memchr::{memchr, memchr3};

/// A header field as it stands in the message.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Name, without the colon and without blanks before it.
    pub name: &'a [u8],
    /// Text after the colon, with folding and the final line end.
    pub value: &'a [u8],
    /// The whole field.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// The field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Length of the first line of `data` with its line end.
pub(crate) fn line_len(data: &[u8]) -> usize {
    memchr(b'\n', data).map_or(data.len(), |at| at + 1)
}

/// The line is only a line end.
pub(crate) fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

/// Offset after the empty line that ends the header section, or the length of `data` when there is none.
#[must_use]
pub fn header_end(data: &[u8]) -> usize {
    let mut at = 0;
    while at < data.len() {
        let len = line_len(&data[at..]);
        if is_empty_line(&data[at..at + len]) {
            return at + len;
        }
        at += len;
    }
    data.len()
}

/// The fields of a header section, malformed lines left out.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    raw_fields(header).filter_map(|raw| {
        let colon = memchr(b':', raw)?;
        let name = raw[..colon].trim_ascii_end();
        let valid = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic());
        valid.then(|| Field {
            name,
            value: &raw[colon + 1..],
            raw,
        })
    })
}

/// Every field or malformed line, each with its continuation lines.
fn raw_fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        if start >= header.len() {
            return None;
        }
        at += line_len(&header[start..]);
        if is_empty_line(&header[start..at]) {
            at = header.len();
            return None;
        }
        while at < header.len() && matches!(header[at], b' ' | b'\t') {
            at += line_len(&header[at..]);
        }
        Some(&header[start..at])
    })
}

/// A field's value with folding removed and blanks trimmed.
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0;
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|b| !blank(b))
        .map_or(start, |at| at + 1);
    let mut rest = &value[start..end];
    let Some(mut at) = memchr3(b'\r', b'\n', 0, rest) else {
        return rest.into();
    };
    let mut out = Vec::with_capacity(rest.len());
    loop {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match memchr3(b'\r', b'\n', 0, rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out.into()
}

/// Fields with one of `names` (or all others with `exclude`) as they stand, and an empty line (RFC 9051 §6.4.5).
#[must_use]
pub fn filter_fields(header: &[u8], names: &[&[u8]], exclude: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(header) {
        if names
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
            != exclude
        {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_filter() {
        let header = b"Subject: a\r\n b\r\nbroken line\r\nTO : x\r\n\r\nBody: no\r\n";
        assert_eq!(header_end(header), header.len() - 10);
        let names: Vec<&[u8]> = fields(header).map(|f| f.name).collect();
        assert_eq!(names, [&b"Subject"[..], b"TO"]);
        assert_eq!(
            filter_fields(header, &[b"subject"], false),
            b"Subject: a\r\n b\r\n\r\n"
        );
        assert_eq!(
            filter_fields(header, &[b"subject"], true),
            b"TO : x\r\n\r\n"
        );
        assert_eq!(*unfold(b" a\r\n b \r\n"), *b"a b");
    }
}
