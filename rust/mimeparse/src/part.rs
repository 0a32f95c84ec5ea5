//! The part tree (RFC 2046), found in one pass over the message.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::decode::decode_part;
use crate::header::{fields, is_empty_line, line_len};
use crate::params::{self, Parametrised};

/// Deepest nesting that any limits allow: parsing and rendering call themselves for every level.
pub(crate) const MAX_DEPTH: usize = 256;

/// Bounds for hostile messages; beyond them a part is a leaf that holds the rest.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nested multiparts and messages; more than 256 count as 256.
    pub max_depth: usize,
    /// Parts of the whole message.
    pub max_parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_parts: 10_000,
        }
    }
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Content.
    Leaf,
    /// Other parts.
    Multipart,
    /// One part: an embedded message (RFC 2046 §5.2.1).
    Message,
}

/// A part; offsets are in the whole message.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it holds.
    pub kind: Kind,
    /// First octet of the header.
    pub header_start: usize,
    /// First octet after the header's empty line.
    pub body_start: usize,
    /// After the last octet of the body, without the line end that belongs to a boundary.
    pub end: usize,
    /// Lines of the body; a last line without line end counts.
    pub lines: usize,
    /// Upper-case media type, empty when the field is missing.
    pub media_type: String,
    /// Upper-case subtype.
    pub media_subtype: String,
    /// Parameters of Content-Type by lower-case name.
    pub params: Vec<(String, String)>,
    /// Upper-case transfer encoding.
    pub encoding: String,
    /// Content-Disposition: value and parameters.
    pub disposition: Option<(String, Vec<(String, String)>)>,
    /// Content-ID as it stands.
    pub content_id: Option<Vec<u8>>,
    /// Content-Description.
    pub description: Option<Vec<u8>>,
    /// Content-MD5.
    pub md5: Option<Vec<u8>>,
    /// Content-Language.
    pub language: Option<Vec<u8>>,
    /// Content-Location.
    pub location: Option<Vec<u8>>,
    /// Parts of a multipart, or the one message.
    pub children: Vec<Part>,
}

impl Part {
    /// A parameter of Content-Type.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as it stands.
    #[must_use]
    pub fn body<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data.get(self.body_start..self.end).unwrap_or_default()
    }
}

/// The type of an embedded message.
pub(crate) fn is_message(media_type: &str, media_subtype: &str) -> bool {
    media_type == "MESSAGE" && matches!(media_subtype, "RFC822" | "GLOBAL")
}

fn is_encoded(encoding: &str) -> bool {
    !matches!(encoding, "" | "7BIT" | "8BIT" | "BINARY")
}

/// Decoded messages within each other that are looked into. Each level may hold as much as the one around it.
pub(crate) const MAX_DECODED: usize = 3;

/// An embedded message that has a transfer encoding, which RFC 2045 §6.4 forbids for message/rfc822 and RFC 6532 §3.7
/// allows for message/global: its octets and its parts. None when `body` is of another kind.
pub(crate) fn decoded_message(
    body: &[u8],
    media_type: &str,
    media_subtype: &str,
    encoding: &str,
) -> Option<(Vec<u8>, Part)> {
    if !is_message(media_type, media_subtype) {
        return None;
    }
    let data = decode_part(body, encoding)?.into_owned();
    let root = parse(&data, &Limits::default());
    Some((data, root))
}

/// multipart/report with a delivery-status part (RFC 3464, RFC 6533).
pub(crate) fn is_dsn(root: &Part) -> bool {
    let status = ["DELIVERY-STATUS", "GLOBAL-DELIVERY-STATUS"];
    root.media_type == "MULTIPART"
        && root.media_subtype == "REPORT"
        && root.children.get(1).is_some_and(|p| {
            p.media_type == "MESSAGE" && status.contains(&p.media_subtype.as_str())
        })
}

/// Whether the header of the message or of any part has octets that are not ASCII.
pub(crate) fn has_8bit_header(data: &[u8], part: &Part) -> bool {
    let header = data.get(part.header_start..part.body_start);
    !header.unwrap_or_default().is_ascii() || part.children.iter().any(|c| has_8bit_header(data, c))
}

pub(crate) fn parse(data: &[u8], limits: &Limits) -> Part {
    let mut parser = Parser {
        data,
        limits: Limits {
            max_depth: limits.max_depth.min(MAX_DEPTH),
            ..*limits
        },
        boundaries: Vec::new(),
        lines: LineCounter::new(data),
        parts: 0,
    };
    parser.part(0, 0, None).0
}

/// What comes before every delimiter but one at the start of a body.
static DASHES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n--"));

/// A delimiter line: whose boundary it is, and where it stands.
#[derive(Clone, Copy)]
struct Delimiter {
    level: usize,
    closing: bool,
    /// Start of the line.
    start: usize,
    /// After the line.
    next: usize,
}

struct Parser<'a> {
    data: &'a [u8],
    limits: Limits,
    boundaries: Vec<Vec<u8>>,
    lines: LineCounter<'a>,
    parts: usize,
}

impl Parser<'_> {
    /// Parse the part at `start`; returns it and the delimiter that ended it.
    fn part(
        &mut self,
        start: usize,
        depth: usize,
        parent: Option<&str>,
    ) -> (Part, Option<Delimiter>) {
        self.parts += 1;
        let (body_start, early) = self.header(start);
        let mut part = describe(&self.data[start..body_start], parent);
        (part.header_start, part.body_start) = (start, body_start);
        let ended = match early {
            Some(delimiter) => Some(delimiter),
            None => self.content(&mut part, depth),
        };
        part.end = ended.map_or(self.data.len(), |d| {
            before_line_end(self.data, body_start, d.start)
        });
        if early.is_some() {
            part.end = part.body_start;
        }
        part.lines = self.lines.count(part.body_start, part.end);
        (part, ended)
    }

    fn content(&mut self, part: &mut Part, depth: usize) -> Option<Delimiter> {
        if depth < self.limits.max_depth && self.parts < self.limits.max_parts {
            if part.media_type == "MULTIPART" {
                if let Some(boundary) = part.param("boundary").filter(|b| !b.is_empty()) {
                    let boundary = boundary.trim_end().as_bytes().to_vec();
                    return self.multipart(part, boundary, depth);
                }
            }
            if is_message(&part.media_type, &part.media_subtype) {
                if is_encoded(&part.encoding) {
                    // Its octets are not sections of the file; who looks for text decodes it (`decoded_message`).
                    return self.delimiter(part.body_start);
                }
                part.kind = Kind::Message;
                let (child, ended) = self.part(part.body_start, depth + 1, None);
                part.children.push(child);
                return ended;
            }
        }
        if part.media_type == "MULTIPART" || is_message(&part.media_type, &part.media_subtype) {
            // Nothing can be found inside: describe it as opaque, as BODYSTRUCTURE has no other form.
            (part.media_type, part.media_subtype) = ("APPLICATION".into(), "OCTET-STREAM".into());
        }
        self.delimiter(part.body_start)
    }

    fn multipart(&mut self, part: &mut Part, boundary: Vec<u8>, depth: usize) -> Option<Delimiter> {
        part.kind = Kind::Multipart;
        let level = self.boundaries.len();
        self.boundaries.push(boundary);
        let mut found = self.delimiter(part.body_start);
        while let Some(delimiter) = found.filter(|d| d.level == level && !d.closing) {
            if delimiter.next == self.data.len() && !part.children.is_empty() {
                // The end of the message: a closing delimiter that was cut off.
                break;
            }
            if self.parts >= self.limits.max_parts {
                found = None;
                break;
            }
            let (child, ended) = self.part(delimiter.next, depth + 1, Some(&part.media_subtype));
            part.children.push(child);
            found = ended;
        }
        self.boundaries.truncate(level);
        if let Some(closing) = found.filter(|d| d.level == level) {
            // The epilogue lasts up to a boundary of a parent.
            found = self.delimiter(closing.next);
        }
        if part.children.is_empty() {
            part.kind = Kind::Leaf;
            (part.media_type, part.media_subtype) = ("APPLICATION".into(), "OCTET-STREAM".into());
        }
        found
    }

    /// End of the header that starts at `start`; a delimiter line ends it, too.
    fn header(&self, start: usize) -> (usize, Option<Delimiter>) {
        let mut at = start;
        while at < self.data.len() {
            let len = line_len(&self.data[at..]);
            let line = &self.data[at..at + len];
            if is_empty_line(line) {
                return (at + len, None);
            }
            if let Some(delimiter) = self.match_line(at, at + len) {
                return (at, Some(delimiter));
            }
            at += len;
        }
        (self.data.len(), None)
    }

    /// The next delimiter line of any open multipart, from the line start `at` on.
    fn delimiter(&self, mut at: usize) -> Option<Delimiter> {
        if self.boundaries.is_empty() {
            return None;
        }
        loop {
            let rest = self.data.get(at..)?;
            if rest.starts_with(b"--") {
                let end = at + line_len(rest);
                if let Some(found) = self.match_line(at, end) {
                    return Some(found);
                }
            }
            at += DASHES.find(rest)? + 1;
        }
    }

    fn match_line(&self, start: usize, end: usize) -> Option<Delimiter> {
        let text = self.data[start..end].strip_prefix(b"--")?.trim_ascii_end();
        // Innermost first: an inner boundary may begin like an outer one.
        self.boundaries
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, boundary)| {
                let rest = text.strip_prefix(boundary.as_slice())?;
                let closing = rest.starts_with(b"--") && rest[2..].trim_ascii().is_empty();
                let plain = rest.is_empty() || rest[0].is_ascii_whitespace();
                (closing || plain).then_some(Delimiter {
                    level,
                    closing,
                    start,
                    next: end,
                })
            })
    }
}

/// The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
fn before_line_end(data: &[u8], from: usize, at: usize) -> usize {
    let text = &data[from.min(at)..at];
    let cut = if text.ends_with(b"\r\n") {
        2
    } else {
        usize::from(text.ends_with(b"\n"))
    };
    at - cut
}

/// Counts lines in ranges of a message. Nested messages hold each other, so counts are kept for blocks.
struct LineCounter<'a> {
    data: &'a [u8],
    /// Line ends before each block; made when it is first of use.
    before: Vec<usize>,
}

/// Octets of a block.
const BLOCK: usize = 16 * 1024;

impl<'a> LineCounter<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            before: Vec::new(),
        }
    }

    /// Lines of a range; a last line without line end counts.
    fn count(&mut self, start: usize, end: usize) -> usize {
        let body = self.data.get(start..end).unwrap_or_default();
        let ends = if body.len() < 2 * BLOCK {
            line_ends(body)
        } else {
            self.ends_before(end) - self.ends_before(start)
        };
        ends + usize::from(!body.is_empty() && !body.ends_with(b"\n"))
    }

    fn ends_before(&mut self, at: usize) -> usize {
        if self.before.is_empty() {
            let mut sum = 0;
            self.before.push(0);
            for block in self.data.chunks(BLOCK) {
                sum += line_ends(block);
                self.before.push(sum);
            }
        }
        let block = at / BLOCK;
        let rest = self.data.get(block * BLOCK..at).unwrap_or_default();
        self.before.get(block).copied().unwrap_or_default() + line_ends(rest)
    }
}

fn line_ends(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

/// Media type from Content-Type: (type, subtype), upper case. Missing: message/rfc822 in a digest, else empty.
fn media_type(field: Option<&Parametrised>, parent: Option<&str>) -> (String, String) {
    let Some(field) = field else {
        let digest = parent == Some("DIGEST");
        return if digest {
            ("MESSAGE".into(), "RFC822".into())
        } else {
            (String::new(), String::new())
        };
    };
    let (main, sub) = field.value.split_once('/').unwrap_or((&field.value, ""));
    // A forgotten semicolon: what follows a blank is no part of the type.
    let sub = sub
        .trim_start()
        .split_ascii_whitespace()
        .next()
        .unwrap_or_default();
    let main = main.trim();
    if field.value.eq_ignore_ascii_case("text") {
        return ("TEXT".into(), "PLAIN".into());
    }
    if !is_token(main) || !is_token(sub) {
        return ("APPLICATION".into(), "OCTET-STREAM".into());
    }
    (main.to_ascii_uppercase(), sub.to_ascii_uppercase())
}

/// Upper-case name; the known ones also when blanks or hyphens are wrong (`quoted printable`, `7-bit`).
fn transfer_encoding(value: String) -> String {
    let mut letters: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.make_ascii_uppercase();
    match letters.as_str() {
        "QUOTEDPRINTABLE" => "QUOTED-PRINTABLE".into(),
        "BASE64" | "7BIT" | "8BIT" | "BINARY" => letters,
        _ => value.to_ascii_uppercase(),
    }
}

/// A part from its header alone.
fn describe(header: &[u8], parent: Option<&str>) -> Part {
    let (mut content_type, mut disposition) = (None, None);
    let (mut encoding, mut id, mut description) = (None, None, None);
    let (mut md5, mut language, mut location) = (None, None, None);
    for field in fields(header) {
        if !field
            .name
            .get(..8)
            .is_some_and(|n| n.eq_ignore_ascii_case(b"content-"))
        {
            continue;
        }
        let text = || crate::header::unfold(field.value).into_owned();
        let mut name = [0; 17];
        let Some(lower) = name.get_mut(..field.name.len() - 8) else {
            continue;
        };
        lower.copy_from_slice(&field.name[8..]);
        lower.make_ascii_lowercase();
        match &*lower {
            b"type" if content_type.is_none() => content_type = Some(params::parse(field.value)),
            b"disposition" if disposition.is_none() => {
                disposition = Some(params::parse(field.value))
            }
            b"transfer-encoding" if encoding.is_none() => {
                encoding = Some(params::parse(field.value).value)
            }
            b"id" if id.is_none() => id = Some(text()),
            b"description" if description.is_none() => description = Some(text()),
            b"md5" if md5.is_none() => md5 = Some(text()),
            b"language" if language.is_none() => language = Some(text()),
            b"location" if location.is_none() => location = Some(text()),
            _ => {}
        }
    }
    let (media_type, media_subtype) = media_type(content_type.as_ref(), parent);
    Part {
        kind: Kind::Leaf,
        header_start: 0,
        body_start: 0,
        end: 0,
        lines: 0,
        media_type,
        media_subtype,
        params: content_type.map(|c| c.params).unwrap_or_default(),
        encoding: encoding.map(transfer_encoding).unwrap_or_default(),
        disposition: disposition
            .filter(|d| !d.value.is_empty())
            .map(|d| (d.value, d.params)),
        content_id: id,
        description,
        md5,
        language,
        location,
        children: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(part: &Part) -> String {
        let inner: Vec<String> = part.children.iter().map(tree).collect();
        format!(
            "{}/{}[{}]",
            part.media_type,
            part.media_subtype,
            inner.join(",")
        )
    }

    fn parse_text(text: &str) -> (Part, Vec<u8>) {
        let data = text.replace('\n', "\r\n").into_bytes();
        (parse(&data, &Limits::default()), data)
    }

    #[test]
    fn nested_with_prefix_boundaries() {
        let (root, data) = parse_text(
            "Content-Type: multipart/mixed; boundary=x\n\npre\n--x\n\none\n--x\n\
             Content-Type: multipart/alternative; boundary=xy\n\n--xy\nContent-Type: text/html\n\ntwo\nlines\n--xy--\n\
             epilogue\n--x--\nend\n",
        );
        assert_eq!(
            tree(&root),
            "MULTIPART/MIXED[/[],MULTIPART/ALTERNATIVE[TEXT/HTML[]]]"
        );
        assert_eq!(root.children[0].body(&data), b"one");
        let html = &root.children[1].children[0];
        assert_eq!((html.body(&data), html.lines), (&b"two\r\nlines"[..], 2));
    }

    #[test]
    fn missing_closing_boundary_and_broken_parts_hide_nothing() {
        let (root, data) = parse_text(
            "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: not a type;;\n\nA\n--x\nno colon\n--x\n\nlast\n",
        );
        assert_eq!(
            tree(&root),
            "MULTIPART/MIXED[APPLICATION/OCTET-STREAM[],/[],/[]]"
        );
        assert_eq!(root.children[2].body(&data), b"last\r\n");
    }

    #[test]
    fn delimiter_at_the_very_end_closes() {
        let (root, data) = parse_text("Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x");
        assert_eq!(tree(&root), "MULTIPART/MIXED[/[]]");
        assert_eq!(root.children[0].body(&data), b"a");
    }

    #[test]
    fn digest_and_embedded_message() {
        let (root, data) = parse_text(
            "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: in\n\nbody\n--x--\n",
        );
        assert_eq!(tree(&root), "MULTIPART/DIGEST[MESSAGE/RFC822[/[]]]");
        assert_eq!(root.children[0].children[0].body(&data), b"body");
    }

    #[test]
    fn limits_hold() {
        let mut text = String::new();
        for i in 0..500 {
            text += &format!("Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n");
        }
        let (root, _) = parse_text(&text);
        assert!(tree(&root).matches("MULTIPART").count() <= 64);
        let many = "Content-Type: multipart/mixed; boundary=x\n\n".to_owned()
            + &"--x\n\na\n".repeat(20_000);
        let (root, _) = parse_text(&many);
        assert!(root.children.len() <= 10_000);
    }

    #[test]
    fn empty_boundary_list_is_opaque() {
        let (root, _) = parse_text("Content-Type: multipart/mixed; boundary=x\n\nno parts\n");
        assert_eq!(tree(&root), "APPLICATION/OCTET-STREAM[]");
    }
}
