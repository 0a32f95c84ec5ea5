//! The stored form of the part tree, and IMAP section numbers (RFC 9051 §6.4.5.1).

use crate::part::{Kind, Part, MAX_DEPTH};

const VERSION: u8 = 1;

/// What of a part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Its body; of the whole message, everything.
    Body,
    /// The header of a message.
    Header,
    /// The body of a message.
    Text,
    /// The part's own MIME header.
    Mime,
}

/// What [`section_range`] and binary fetches need of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// See [`Part::kind`].
    pub kind: Kind,
    /// First octet of the header.
    pub header_start: usize,
    /// First octet of the body.
    pub body_start: usize,
    /// After the body.
    pub end: usize,
    /// Upper-case type.
    pub media_type: String,
    /// Upper-case subtype.
    pub media_subtype: String,
    /// Upper-case transfer encoding.
    pub encoding: String,
    /// Charset parameter.
    pub charset: String,
    /// Parts.
    pub children: Vec<PartInfo>,
}

/// The tree as it is read back.
pub(crate) fn info_of(part: &Part) -> PartInfo {
    PartInfo {
        kind: part.kind,
        header_start: part.header_start,
        body_start: part.body_start,
        end: part.end,
        media_type: part.media_type.clone(),
        media_subtype: part.media_subtype.clone(),
        encoding: part.encoding.clone(),
        charset: part.param("charset").unwrap_or_default().to_owned(),
        children: part.children.iter().map(info_of).collect(),
    }
}

/// The tree as compact bytes.
#[must_use]
pub fn write_structure(root: &Part) -> Vec<u8> {
    let mut out = vec![VERSION];
    write_part(&mut out, root);
    out
}

fn number(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, value: &str) {
    let bytes = &value.as_bytes()[..value.len().min(255)];
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_part(out: &mut Vec<u8>, part: &Part) {
    out.push(match part.kind {
        Kind::Leaf => 0,
        Kind::Multipart => 1,
        Kind::Message => 2,
    });
    number(out, part.header_start);
    number(out, part.body_start - part.header_start);
    number(out, part.end - part.body_start);
    for value in [&part.media_type, &part.media_subtype, &part.encoding] {
        text(out, value);
    }
    text(out, part.param("charset").unwrap_or_default());
    number(out, part.children.len());
    for child in &part.children {
        write_part(out, child);
    }
}

/// The tree that [`write_structure`] wrote; None for anything else.
#[must_use]
pub fn read_structure(data: &[u8]) -> Option<PartInfo> {
    let mut reader = Reader {
        data: data.strip_prefix(&[VERSION])?,
    };
    let root = reader.part(0)?;
    reader.data.is_empty().then_some(root)
}

struct Reader<'a> {
    data: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.data.split_first()?;
        self.data = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = 0usize;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let len = self.number()?;
        let bytes = self.data.get(..len)?;
        self.data = &self.data[len..];
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    fn part(&mut self, depth: usize) -> Option<PartInfo> {
        if depth > MAX_DEPTH {
            return None;
        }
        let kind = match self.byte()? {
            0 => Kind::Leaf,
            1 => Kind::Multipart,
            2 => Kind::Message,
            _ => return None,
        };
        let header_start = self.number()?;
        let body_start = header_start.checked_add(self.number()?)?;
        let end = body_start.checked_add(self.number()?)?;
        let (media_type, media_subtype) = (self.text()?, self.text()?);
        let (encoding, charset) = (self.text()?, self.text()?);
        let count = self.number()?;
        let mut children = Vec::new();
        for _ in 0..count {
            children.push(self.part(depth + 1)?);
        }
        Some(PartInfo {
            kind,
            header_start,
            body_start,
            end,
            media_type,
            media_subtype,
            encoding,
            charset,
            children,
        })
    }
}

/// The part with these numbers, starting at a message. `1` of a message without parts is its body.
#[must_use]
pub fn find_part<'a>(message: &'a PartInfo, numbers: &[usize]) -> Option<&'a PartInfo> {
    let Some((&first, rest)) = numbers.split_first() else {
        return Some(message);
    };
    let part = match message.kind {
        Kind::Multipart => message.children.get(first.checked_sub(1)?)?,
        _ if first == 1 => {
            if rest.is_empty() {
                return Some(message);
            }
            message
        }
        _ => return None,
    };
    if rest.is_empty() {
        return Some(part);
    }
    match part.kind {
        Kind::Multipart => find_part(part, rest),
        Kind::Message => find_part(part.children.first()?, rest),
        Kind::Leaf => None,
    }
}

/// Offsets (start, end) of a section in the message; None when there is no such part.
#[must_use]
pub fn section_range(
    root: &PartInfo,
    numbers: &[usize],
    section: Section,
) -> Option<(usize, usize)> {
    if numbers.is_empty() {
        return match section {
            Section::Body => Some((0, root.end)),
            Section::Header => Some((0, root.body_start)),
            Section::Text => Some((root.body_start, root.end)),
            Section::Mime => None,
        };
    }
    let part = find_part(root, numbers)?;
    let message = || {
        (part.kind == Kind::Message)
            .then(|| part.children.first())
            .flatten()
    };
    match section {
        Section::Body => Some((part.body_start, part.end)),
        Section::Mime => Some((part.header_start, part.body_start)),
        Section::Header => message().map(|m| (m.header_start, m.body_start)),
        Section::Text => message().map(|m| (m.body_start, m.end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, Limits};

    const MESSAGE: &str = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n\
        --y\r\n\r\ntwo\r\n--y--\r\n--x--\r\n";

    fn slice(numbers: &[usize], section: Section) -> Option<&'static str> {
        let stored = write_structure(&parse(MESSAGE.as_bytes(), &Limits::default()).root);
        let root = read_structure(&stored).unwrap();
        section_range(&root, numbers, section).map(|(start, end)| &MESSAGE[start..end])
    }

    #[test]
    fn sections() {
        assert_eq!(slice(&[], Section::Body), Some(MESSAGE));
        assert_eq!(slice(&[1], Section::Body), Some("one"));
        assert_eq!(slice(&[1], Section::Mime), Some("\r\n"));
        assert_eq!(slice(&[1], Section::Header), None);
        assert_eq!(
            slice(&[2], Section::Mime),
            Some("Content-Type: message/rfc822\r\n\r\n")
        );
        assert!(slice(&[2], Section::Header)
            .unwrap()
            .starts_with("Subject: in"));
        assert_eq!(slice(&[2, 1], Section::Body), Some("two"));
        assert_eq!(slice(&[2, 2], Section::Body), None);
        assert_eq!(slice(&[0], Section::Body), None);
        assert_eq!(slice(&[1, 1], Section::Body), None);
    }

    #[test]
    fn damaged_structure_is_refused() {
        let stored = write_structure(&parse(MESSAGE.as_bytes(), &Limits::default()).root);
        for cut in 0..stored.len() {
            assert!(read_structure(&stored[..cut]).is_none());
        }
    }
}
