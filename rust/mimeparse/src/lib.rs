//! Tolerant parsing of Internet messages (RFC 5322, MIME) for a mail store.
//!
//! [`parse`] looks at a message once and returns everything a store keeps: the part tree with exact byte offsets, IMAP
//! ENVELOPE and BODYSTRUCTURE rendered for the wire, thread keys, addresses and a preview. It never fails: a part that
//! cannot be understood is described as well as possible and hides no other part. Limits are in [`Limits`].

mod address;
mod charset;
mod date;
mod decode;
mod header;
mod html;
mod params;
mod part;
mod preview;
mod render;
mod search;
mod section;
mod summary;
mod thread;
mod tokens;
mod words;

pub use address::{parse_address_list, Address};
pub use date::{parse_date, Date};
pub use decode::{decode_base64, decode_part, decode_quoted_printable};
pub use header::{fields, filter_fields, header_end, unfold, Field};
pub use part::{Kind, Limits, Part};
pub use search::{search, texts};
pub use section::{find_part, read_structure, section_range, write_structure, PartInfo, Section};
pub use thread::{base_subject, canonical_message_id, references};
pub use tokens::{words, TokenOptions};
pub use words::decode_words;

/// Everything a store keeps of a message.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The part tree.
    pub root: Part,
    /// IMAP ENVELOPE (RFC 9051 §7.5.2), ready for the wire.
    pub envelope: Vec<u8>,
    /// IMAP BODY: the part tree without extension data.
    pub body: Vec<u8>,
    /// IMAP BODYSTRUCTURE.
    pub bodystructure: Vec<u8>,
    /// Octets of the header section, with the empty line.
    pub header_size: usize,
    /// Canonical Message-ID, empty when there is none.
    pub message_id: String,
    /// Decoded subject.
    pub subject: String,
    /// Base subject (RFC 5256 §2.1).
    pub subject_base: String,
    /// The subject has a reply or forward marker.
    pub is_response: bool,
    /// Canonical ids of References, else of In-Reply-To.
    pub references: Vec<String>,
    /// The Date header's text.
    pub date: String,
    /// The moment it names.
    pub sent: Option<Date>,
    /// From, To, Cc, Bcc with decoded names.
    pub from: Vec<Address>,
    /// See `from`.
    pub to: Vec<Address>,
    /// See `from`.
    pub cc: Vec<Address>,
    /// See `from`.
    pub bcc: Vec<Address>,
    /// Start of the text for a message list.
    pub preview: String,
    /// The message is a delivery status notification (RFC 3464).
    pub is_dsn: bool,
    /// A header, also of a part, has 8-bit octets (RFC 6532): it can only go where SMTPUTF8 is spoken.
    pub needs_smtputf8: bool,
}

/// The part tree alone.
#[must_use]
pub fn parse_structure(data: &[u8], limits: &Limits) -> Part {
    part::parse(data, limits)
}

/// Parse a whole message.
#[must_use]
pub fn parse(data: &[u8], limits: &Limits) -> Parsed {
    let root = part::parse(data, limits);
    let header = &data[..root.body_start.min(data.len())];
    let found = summary::Summary::of(header);
    let subject = found
        .subject
        .as_deref()
        .map(decode_words)
        .unwrap_or_default();
    let (subject_base, is_response) = base_subject(&subject);
    let envelope = render::envelope(&found);
    let decoded = |list: Vec<Address>| list.into_iter().map(Address::decoded).collect();
    Parsed {
        envelope,
        body: render::body(data, &root, false),
        bodystructure: render::body(data, &root, true),
        header_size: header.len(),
        message_id: found
            .message_id
            .as_deref()
            .and_then(canonical_message_id)
            .unwrap_or_default(),
        references: references(found.references.as_deref(), found.in_reply_to.as_deref()),
        sent: found.date.as_deref().and_then(parse_date),
        date: found
            .date
            .as_deref()
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .unwrap_or_default(),
        from: decoded(found.from),
        to: decoded(found.to),
        cc: decoded(found.cc),
        bcc: decoded(found.bcc),
        preview: preview::preview(data, &root),
        is_dsn: part::is_dsn(&root),
        needs_smtputf8: part::has_8bit_header(data, &root),
        subject,
        subject_base,
        is_response,
        root,
    }
}

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
