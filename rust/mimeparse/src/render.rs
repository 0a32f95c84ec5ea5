//! IMAP ENVELOPE and BODYSTRUCTURE for the wire (RFC 9051 §7.5.2). 7-bit: other strings are literals.

use crate::address::Address;
use crate::part::{Kind, Part};
use crate::summary::Summary;

/// A string: quoted when it can be, else a literal.
fn string(out: &mut Vec<u8>, value: &[u8]) {
    let quotable = value.iter().all(|b| matches!(b, 0x20..=0x7e | b'\t')) && value.len() < 4096;
    if !quotable {
        out.extend_from_slice(format!("{{{}}}\r\n", value.len()).as_bytes());
        // NUL cannot be in a literal (RFC 9051 §9, CHAR8).
        out.extend(value.iter().map(|&b| if b == 0 { b' ' } else { b }));
        return;
    }
    out.push(b'"');
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// The ENVELOPE of a message. Encoded words stay as they are: clients decode them.
pub(crate) fn envelope(message: &Summary) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(b'(');
    nstring(&mut out, message.date.as_deref());
    out.push(b' ');
    nstring(&mut out, message.subject.as_deref());
    // RFC 9051 §7.5.2: absent ones are the From's.

    for addresses in [
        &message.from,
        message.or_from(&message.sender),
        message.or_from(&message.reply_to),
        &message.to,
        &message.cc,
        &message.bcc,
    ] {
        out.push(b' ');
        address_list(&mut out, addresses);
    }
    for id in [&message.in_reply_to, &message.message_id] {
        out.push(b' ');
        nstring(&mut out, id.as_deref().filter(|v| !v.is_empty()));
    }
    out.push(b')');
    out
}

fn address_list(out: &mut Vec<u8>, addresses: &[Address]) {
    if addresses.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in addresses {
        out.push(b'(');
        nstring(out, Some(address.name.as_bytes()).filter(|n| !n.is_empty()));
        out.extend_from_slice(b" NIL ");
        // NIL here would mean group syntax: an address without parts is sent with empty strings.
        string(out, address.localpart.as_bytes());
        out.push(b' ');
        string(out, address.domain.as_bytes());
        out.push(b')');
    }
    out.push(b')');
}

/// BODY (`extended` false) or BODYSTRUCTURE of a part.
pub(crate) fn body(data: &[u8], part: &Part, extended: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    render_part(&mut out, data, part, extended);
    out
}

fn render_part(out: &mut Vec<u8>, data: &[u8], part: &Part, extended: bool) {
    out.push(b'(');
    if part.kind == Kind::Multipart {
        for child in &part.children {
            render_part(out, data, child, extended);
        }
        out.push(b' ');
        string(out, part.media_subtype.to_ascii_lowercase().as_bytes());
        if extended {
            out.push(b' ');
            params(out, &part.params);
        }
    } else {
        single(out, data, part, extended);
    }
    if extended {
        extension(out, part);
    }
    out.push(b')');
}

fn single(out: &mut Vec<u8>, data: &[u8], part: &Part, extended: bool) {
    // No Content-Type: RFC 2045 §5.2.
    let missing = part.media_type.is_empty();
    let media_type = if missing { "text" } else { &part.media_type };
    let subtype = if missing {
        "plain"
    } else {
        &part.media_subtype
    };
    string(out, media_type.to_ascii_lowercase().as_bytes());
    out.push(b' ');
    string(out, subtype.to_ascii_lowercase().as_bytes());
    out.push(b' ');
    if missing {
        out.extend_from_slice(b"(\"charset\" \"us-ascii\")");
    } else {
        params(out, &part.params);
    }
    out.push(b' ');
    nstring(out, part.content_id.as_deref());
    out.push(b' ');
    nstring(out, part.description.as_deref());
    out.push(b' ');
    let encoding = if part.encoding.is_empty() {
        "7bit".into()
    } else {
        part.encoding.to_ascii_lowercase()
    };
    string(out, encoding.as_bytes());
    out.extend_from_slice(format!(" {}", part.end - part.body_start).as_bytes());
    if let (Kind::Message, Some(message)) = (part.kind, part.children.first()) {
        out.push(b' ');
        let header = &data[message.header_start..message.body_start];
        out.extend_from_slice(&envelope(&Summary::of(header)));
        out.push(b' ');
        render_part(out, data, message, extended);
        out.extend_from_slice(format!(" {}", part.lines).as_bytes());
    } else if media_type.eq_ignore_ascii_case("text") {
        out.extend_from_slice(format!(" {}", part.lines).as_bytes());
    }
    if extended {
        out.push(b' ');
        nstring(out, part.md5.as_deref());
    }
}

/// Disposition, language, location.
fn extension(out: &mut Vec<u8>, part: &Part) {
    out.push(b' ');
    match &part.disposition {
        Some((value, list)) => {
            out.push(b'(');
            string(out, value.to_ascii_lowercase().as_bytes());
            out.push(b' ');
            params(out, list);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    let languages: Vec<&[u8]> = part
        .language
        .iter()
        .flat_map(|l| l.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|l| !l.is_empty())
        .collect();
    if languages.is_empty() {
        out.extend_from_slice(b"NIL");
    } else {
        out.push(b'(');
        for (i, language) in languages.iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            string(out, language);
        }
        out.push(b')');
    }
    out.push(b' ');
    nstring(out, part.location.as_deref());
}

fn params(out: &mut Vec<u8>, list: &[(String, String)]) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (i, (name, value)) in list.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        string(out, name.as_bytes());
        out.push(b' ');
        string(out, value.as_bytes());
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use crate::{parse, Limits};

    #[test]
    fn envelope_and_structure() {
        let message = b"From: \"A \\\"q\\\"\" <a@b>\r\nTo: g: x@y;\r\nSubject: \xc3\xa9\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment\r\n\r\none\r\n";
        let parsed = parse(message, &Limits::default());
        let envelope = String::from_utf8(parsed.envelope).unwrap();
        assert_eq!(
            envelope,
            "(NIL {2}\r\né ((\"A \\\"q\\\"\" NIL \"a\" \"b\")) ((\"A \\\"q\\\"\" NIL \"a\" \"b\")) \
             ((\"A \\\"q\\\"\" NIL \"a\" \"b\")) ((NIL NIL \"x\" \"y\")) NIL NIL NIL NIL)"
        );
        assert_eq!(
            String::from_utf8(parsed.bodystructure).unwrap(),
            "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 5 1 NIL (\"attachment\" NIL) NIL NIL)"
        );
        assert_eq!(
            String::from_utf8(parsed.body).unwrap(),
            "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 5 1)"
        );
    }
}
