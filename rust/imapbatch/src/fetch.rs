//! FETCH responses (RFC 9051 §7.5.2, RFC 3516).

use imapparse::{render as wire, HotItem, SessionView};
use mimeparse::{PartInfo, Section};

use crate::message::{Column, Loader, Stored};

/// Which part of a section is meant (RFC 9051 §6.4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything.
    Whole,
    /// The header of a message.
    Header,
    /// The body of a message.
    Text,
    /// The MIME header fields of a part.
    Mime,
    /// Some header fields.
    Fields,
    /// All other header fields.
    FieldsNot,
}

impl Kind {
    /// By its name in the command; None for an unknown one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" => Self::Whole,
            "HEADER" => Self::Header,
            "TEXT" => Self::Text,
            "MIME" => Self::Mime,
            "HEADER.FIELDS" => Self::Fields,
            "HEADER.FIELDS.NOT" => Self::FieldsNot,
            _ => return None,
        })
    }
}

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// From the mailbox index.
    Hot(HotItem),
    /// A column that is stored as it goes out.
    Rendered(&'static str, Column),
    /// PREVIEW (RFC 8970).
    Preview,
    /// EMAILID (RFC 8474).
    EmailId,
    /// THREADID (RFC 8474).
    ThreadId,
    /// BODY[…], RFC822 and the like.
    Section {
        /// As it stands in the response.
        label: String,
        /// Part numbers.
        part: Vec<usize>,
        /// Which part of it.
        kind: Kind,
        /// Names of header fields.
        fields: Vec<String>,
        /// Offset and length.
        partial: Option<(u64, u64)>,
    },
    /// BINARY[…] and BINARY.SIZE[…].
    Binary {
        /// As it stands in the response.
        label: String,
        /// Part numbers.
        part: Vec<usize>,
        /// Offset and length.
        partial: Option<(u64, u64)>,
        /// Only the size is wanted.
        size: bool,
    },
}

impl Item {
    /// An item without arguments, by its name in the command; None for an unknown one.
    #[must_use]
    pub fn simple(name: &str) -> Option<Self> {
        let section = |label: &str, kind| Self::Section {
            label: label.to_owned(),
            part: Vec::new(),
            kind,
            fields: Vec::new(),
            partial: None,
        };
        Some(match name {
            "UID" => Self::Hot(HotItem::Uid),
            "FLAGS" => Self::Hot(HotItem::Flags),
            "MODSEQ" => Self::Hot(HotItem::ModSeq),
            "INTERNALDATE" => Self::Hot(HotItem::InternalDate),
            "RFC822.SIZE" => Self::Hot(HotItem::Size),
            "SAVEDATE" => Self::Hot(HotItem::SaveDate),
            "ENVELOPE" => Self::Rendered("ENVELOPE", Column::Envelope),
            "BODY" => Self::Rendered("BODY", Column::Body),
            "BODYSTRUCTURE" => Self::Rendered("BODYSTRUCTURE", Column::BodyStructure),
            "PREVIEW" => Self::Preview,
            "EMAILID" => Self::EmailId,
            "THREADID" => Self::ThreadId,
            "RFC822" => section(name, Kind::Whole),
            "RFC822.HEADER" => section(name, Kind::Header),
            "RFC822.TEXT" => section(name, Kind::Text),
            _ => return None,
        })
    }

    fn top_header(&self) -> bool {
        matches!(self, Self::Section { part, kind, .. }
            if part.is_empty() && matches!(kind, Kind::Header | Kind::Fields | Kind::FieldsNot))
    }

    /// Columns that rendering needs.
    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        match self {
            Self::Hot(_) => &[],
            Self::Rendered(_, Column::Envelope) => &[Column::Envelope],
            Self::Rendered(_, Column::Body) => &[Column::Body],
            Self::Rendered(..) => &[Column::BodyStructure],
            Self::Preview => &[Column::Preview],
            Self::EmailId => &[Column::BlobId],
            Self::ThreadId => &[Column::ThreadId],
            Self::Section { .. } if self.top_header() => &[
                Column::Header,
                Column::HeaderSize,
                Column::Prefix,
                Column::BlobId,
            ],
            Self::Section { part, kind, .. } if part.is_empty() && *kind == Kind::Whole => {
                &[Column::Prefix, Column::BlobId]
            }
            Self::Section { .. } | Self::Binary { .. } => {
                &[Column::Structure, Column::Prefix, Column::BlobId]
            }
        }
    }

    /// Rendering reads the message's file (for its header only when that is very long).
    #[must_use]
    pub fn reads_file(&self) -> bool {
        matches!(self, Self::Section { .. } | Self::Binary { .. }) && !self.top_header()
    }
}

/// Why an item is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The message has no such part.
    NoSuchPart,
    /// Its transfer encoding is unknown (RFC 3516 §4.3).
    UnknownEncoding,
    /// Its file cannot be read.
    Unreadable,
}

/// The FETCH response of a message of the view; `hot` writes what the index knows. Returns what had to be left out.
/// `mode` is whether UIDONLY (RFC 9586) and UTF-8 strings are on.
pub fn render(
    out: &mut Vec<u8>,
    view: &SessionView,
    items: &[Item],
    row: &Stored<'_>,
    mode: (bool, bool),
    loader: &mut Loader,
    hot: &mut impl FnMut(&mut Vec<u8>, u32, HotItem),
) -> Vec<(u32, Failure)> {
    let (uid_only, utf8) = mode;
    let mut failures = Vec::new();
    let seq = match view.seq(row.uid) {
        Some(seq) => seq,
        None if uid_only => 0,
        None => return failures,
    };
    wire::fetch_start(out, seq, row.uid, uid_only);
    let mut first = uid_only;
    for item in items {
        if *item == Item::Hot(HotItem::Uid) && !uid_only {
            continue;
        }
        let before = out.len();
        if !first {
            out.push(b' ');
        }
        let done = match item {
            Item::Hot(item) => {
                hot(out, row.uid, *item);
                Ok(())
            }
            _ => cold(out, row, item, loader, utf8),
        };
        match done {
            Ok(()) => first = false,
            Err(failure) => {
                out.truncate(before);
                failures.push((row.uid, failure));
            }
        }
    }
    out.extend_from_slice(b")\r\n");
    failures
}

fn cold(
    out: &mut Vec<u8>,
    row: &Stored<'_>,
    item: &Item,
    loader: &mut Loader,
    utf8: bool,
) -> Result<(), Failure> {
    match item {
        Item::Hot(_) => {}
        Item::Rendered(label, column) => {
            out.extend_from_slice(label.as_bytes());
            out.push(b' ');
            out.extend_from_slice(row.bytes(*column));
        }
        Item::Preview => {
            out.extend_from_slice(b"PREVIEW ");
            let text: String = row.text(Column::Preview).trim().chars().take(200).collect();
            wire::string(out, text.as_bytes(), utf8);
        }
        Item::EmailId => {
            out.extend_from_slice(format!("EMAILID (E{})", row.int(Column::BlobId)).as_bytes());
        }
        Item::ThreadId => match row.int(Column::ThreadId) {
            0 => out.extend_from_slice(b"THREADID NIL"),
            id => out.extend_from_slice(format!("THREADID (T{id})").as_bytes()),
        },
        Item::Section {
            label,
            part,
            kind,
            fields,
            partial,
        } => {
            let wanted = Wanted {
                part,
                kind: *kind,
                fields,
                partial: *partial,
            };
            section(out, row, label, &wanted, loader)?;
        }
        Item::Binary {
            label,
            part,
            partial,
            size,
        } => {
            let data = binary(row, part, loader)?;
            out.extend_from_slice(label.as_bytes());
            out.push(b' ');
            if *size {
                wire::number(out, data.len() as u64);
            } else {
                literal(out, cut(&data, *partial), true);
            }
        }
    }
    Ok(())
}

/// `{n}` and the octets; `~{n}` where NUL is in them and the syntax has a place for that.
fn literal(out: &mut Vec<u8>, data: &[u8], may_be_binary: bool) {
    if may_be_binary && data.contains(&0) {
        out.push(b'~');
    }
    out.push(b'{');
    wire::number(out, data.len() as u64);
    out.extend_from_slice(b"}\r\n");
    out.extend_from_slice(data);
}

fn cut(data: &[u8], partial: Option<(u64, u64)>) -> &[u8] {
    let Some((offset, count)) = partial else {
        return data;
    };
    let at = |n: u64| usize::try_from(n).unwrap_or(data.len()).min(data.len());
    &data[at(offset)..at(offset.saturating_add(count))]
}

struct Wanted<'a> {
    part: &'a [usize],
    kind: Kind,
    fields: &'a [String],
    partial: Option<(u64, u64)>,
}

fn section(
    out: &mut Vec<u8>,
    row: &Stored<'_>,
    label: &str,
    wanted: &Wanted<'_>,
    loader: &mut Loader,
) -> Result<(), Failure> {
    let mut write = |data: &[u8], partial| {
        out.extend_from_slice(label.as_bytes());
        out.push(b' ');
        literal(out, cut(data, partial), false);
    };
    let by_fields = matches!(wanted.kind, Kind::Fields | Kind::FieldsNot);
    if wanted.part.is_empty() && (by_fields || wanted.kind == Kind::Header) {
        let header = loader.header(row).map_err(|_| Failure::Unreadable)?;
        if by_fields {
            write(&filtered(header, wanted), wanted.partial);
        } else {
            write(header, wanted.partial);
        }
        return Ok(());
    }
    let (start, end) = range(row, wanted)?;
    if by_fields || wanted.kind == Kind::Mime {
        let header = loader
            .range(row, start, end)
            .map_err(|_| Failure::Unreadable)?;
        let data = if by_fields {
            filtered(header, wanted)
        } else {
            mime_fields(header)
        };
        write(&data, wanted.partial);
        return Ok(());
    }
    let (from, to) = match wanted.partial {
        None => (start, end),
        Some((offset, count)) => {
            let from = start.saturating_add(offset).min(end);
            (from, from.saturating_add(count).min(end))
        }
    };
    let data = loader
        .range(row, from, to)
        .map_err(|_| Failure::Unreadable)?;
    write(data, None);
    Ok(())
}

fn range(row: &Stored<'_>, wanted: &Wanted<'_>) -> Result<(u64, u64), Failure> {
    if wanted.part.is_empty() && wanted.kind == Kind::Whole {
        return Ok((0, row.size));
    }
    let section = match wanted.kind {
        Kind::Whole => Section::Body,
        Kind::Text => Section::Text,
        Kind::Mime => Section::Mime,
        Kind::Header | Kind::Fields | Kind::FieldsNot => Section::Header,
    };
    let root = tree(row)?;
    let (start, end) =
        mimeparse::section_range(&root, wanted.part, section).ok_or(Failure::NoSuchPart)?;
    Ok((start as u64, end as u64))
}

fn tree(row: &Stored<'_>) -> Result<PartInfo, Failure> {
    mimeparse::read_structure(row.bytes(Column::Structure)).ok_or(Failure::Unreadable)
}

fn filtered(header: &[u8], wanted: &Wanted<'_>) -> Vec<u8> {
    let names: Vec<&[u8]> = wanted.fields.iter().map(String::as_bytes).collect();
    mimeparse::filter_fields(header, &names, wanted.kind == Kind::FieldsNot)
}

/// The Content-* fields as they stand (RFC 2045 §3).
fn mime_fields(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in mimeparse::fields(header) {
        if field
            .name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        {
            out.extend_from_slice(field.raw);
        }
    }
    out
}

/// Decoded content of a leaf; of the whole message without part numbers, then with its header less the transfer encoding.
fn binary(row: &Stored<'_>, part: &[usize], loader: &mut Loader) -> Result<Vec<u8>, Failure> {
    let root = tree(row)?;
    let found = mimeparse::find_part(&root, part).ok_or(Failure::NoSuchPart)?;
    let leaf = found.kind == mimeparse::Kind::Leaf;
    if part.is_empty() && !leaf {
        let data = loader.range(row, 0, row.size);
        return data.map(<[u8]>::to_vec).map_err(|_| Failure::Unreadable);
    }
    if !leaf {
        return Err(Failure::NoSuchPart);
    }
    let body = loader
        .range(row, found.body_start as u64, found.end as u64)
        .map_err(|_| Failure::Unreadable)?;
    let decoded = mimeparse::decode_part(body, &found.encoding)
        .ok_or(Failure::UnknownEncoding)?
        .into_owned();
    if !part.is_empty() {
        return Ok(decoded);
    }
    let header = loader
        .range(row, 0, found.body_start as u64)
        .map_err(|_| Failure::Unreadable)?;
    let mut whole = mimeparse::filter_fields(header, &[b"content-transfer-encoding"], true);
    whole.extend_from_slice(&decoded);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Cell;
    use std::path::PathBuf;

    const MESSAGE: &str = "Subject: a\r\nFrom: x@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\nX-Other: 1\r\n\r\naGkAYQ==\r\n--b\r\n\
        Content-Transfer-Encoding: x-unknown\r\n\r\nxx\r\n--b--\r\n";

    fn fetched(items: &[Item]) -> (String, Vec<(u32, Failure)>) {
        let parsed = mimeparse::parse(MESSAGE.as_bytes(), &mimeparse::Limits::default());
        let structure = mimeparse::write_structure(&parsed.root);
        let path = std::env::temp_dir().join(format!("imapbatch-{}", std::process::id()));
        let split = 12; // the prefix ends inside of the header
        let path = PathBuf::from(format!(
            "{}-{:?}",
            path.display(),
            std::thread::current().id()
        ));
        std::fs::write(&path, &MESSAGE.as_bytes()[split..]).unwrap();
        let columns = [
            Column::Structure,
            Column::Prefix,
            Column::Header,
            Column::HeaderSize,
            Column::Preview,
            Column::BlobId,
        ];
        let cells = [
            Cell::Bytes(&structure),
            Cell::Bytes(&MESSAGE.as_bytes()[..split]),
            Cell::Bytes(&MESSAGE.as_bytes()[..parsed.header_size]),
            Cell::Int(parsed.header_size as i64),
            Cell::Bytes("grüße".as_bytes()),
            Cell::Int(5),
        ];
        let row = Stored {
            uid: 7,
            size: MESSAGE.len() as u64,
            columns: &columns,
            cells: &cells,
            path: Some(&path),
        };
        let mut out = Vec::new();
        let view = SessionView::new(vec![3, 7]);
        let mut hot = |out: &mut Vec<u8>, uid: u32, _: HotItem| {
            out.extend_from_slice(format!("HOT {uid}").as_bytes());
        };
        let mut loader = Loader::default();
        let failures = render(
            &mut out,
            &view,
            items,
            &row,
            (false, false),
            &mut loader,
            &mut hot,
        );
        std::fs::remove_file(&path).unwrap();
        (String::from_utf8(out).unwrap(), failures)
    }

    fn body(part: &[usize], kind: Kind, partial: Option<(u64, u64)>) -> Item {
        Item::Section {
            label: "B".into(),
            part: part.to_vec(),
            kind,
            fields: vec!["subject".into()],
            partial,
        }
    }

    #[test]
    fn sections() {
        for (item, expected) in [
            (body(&[], Kind::Fields, None), "{14}\r\nSubject: a\r\n\r\n"),
            (body(&[], Kind::Fields, Some((9, 3))), "{3}\r\na\r\n"),
            (body(&[], Kind::Whole, Some((10, 6))), "{6}\r\n\r\nFrom"),
            (body(&[], Kind::Whole, Some((9999, 6))), "{0}\r\n"),
            (
                body(&[1], Kind::Mime, None),
                "{61}\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n",
            ),
            (body(&[1], Kind::Whole, None), "{8}\r\naGkAYQ=="),
            (body(&[2], Kind::Whole, Some((1, 9))), "{1}\r\nx"),
        ] {
            let (text, failures) = fetched(std::slice::from_ref(&item));
            assert_eq!(
                text,
                format!("* 2 FETCH (UID 7 B {expected})\r\n"),
                "{item:?}"
            );
            assert!(failures.is_empty());
        }
    }

    #[test]
    fn binary_and_others() {
        let binary = |part: &[usize], size| Item::Binary {
            label: "B".into(),
            part: part.to_vec(),
            partial: None,
            size,
        };
        let items = [
            binary(&[1], false),
            binary(&[1], true),
            Item::Preview,
            Item::EmailId,
            Item::ThreadId,
        ];
        assert_eq!(
            fetched(&items).0,
            "* 2 FETCH (UID 7 B ~{4}\r\nhi\0a B 4 PREVIEW {7}\r\ngrüße EMAILID (E5) THREADID NIL)\r\n"
        );
        let hot = Item::Hot(HotItem::Flags);
        let (text, failures) = fetched(&[binary(&[2], false), hot, body(&[9], Kind::Whole, None)]);
        assert_eq!(text, "* 2 FETCH (UID 7 HOT 7)\r\n");
        assert_eq!(
            failures,
            [(7, Failure::UnknownEncoding), (7, Failure::NoSuchPart)]
        );
        assert_eq!(
            fetched(&[body(&[1], Kind::Header, None)]).1,
            [(7, Failure::NoSuchPart)]
        );
    }
}
