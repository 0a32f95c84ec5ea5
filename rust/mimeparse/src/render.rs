//! IMAP ENVELOPE and BODYSTRUCTURE for the wire (RFC 9051 §7.5.2). 7-bit: other strings are literals.

use crate::address::Address;
use crate::part::{is_message, Kind, Part};
use crate::summary::Summary;

/// A string: quoted when it can be, else a literal.
fn string(out: &mut Vec<u8>, value: &[u8]) {
    let (mut quotable, mut escapes) = (value.len() < 4096, false);
    for byte in value {
        quotable &= matches!(byte, 0x20..=0x7e | b'\t');
        escapes |= matches!(byte, b'"' | b'\\');
    }
    if !quotable {
        out.push(b'{');
        number(out, value.len());
        out.extend_from_slice(b"}\r\n");
        // NUL cannot be in a literal (RFC 9051 §9, CHAR8).
        out.extend(value.iter().map(|&b| if b == 0 { b' ' } else { b }));
        return;
    }
    out.push(b'"');
    if escapes {
        for &byte in value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
    } else {
        out.extend_from_slice(value);
    }
    out.push(b'"');
}

/// Media types and the like, in lower case.
fn lower_string(out: &mut Vec<u8>, value: &str) {
    let start = out.len();
    string(out, value.as_bytes());
    out[start..].make_ascii_lowercase();
}

fn number(out: &mut Vec<u8>, value: usize) {
    let start = out.len();
    let mut rest = value;
    loop {
        // A digit is below 10.
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[start..].reverse();
}

fn nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// The ENVELOPE of a message. Encoded words stay as they are: clients decode them.
pub(crate) fn envelope(message: &Summary<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.push(b'(');
    nstring(&mut out, message.date.as_deref());
    out.push(b' ');
    nstring(&mut out, message.subject.as_deref());
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
    let mut out = Vec::with_capacity(512);
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
        lower_string(out, &part.media_subtype);
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
    let missing = part.media_type.is_empty();
    let (media_type, subtype) = match (part.media_type.as_str(), part.media_subtype.as_str()) {
        // No Content-Type: RFC 2045 §5.2.
        ("", _) => ("text", "plain"),
        // Body and envelope of a message that is encoded cannot be fetched.
        (main, sub) if part.kind == Kind::Leaf && is_message(main, sub) => {
            ("application", "octet-stream")
        }
        found => found,
    };
    lower_string(out, media_type);
    out.push(b' ');
    lower_string(out, subtype);
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
    let encoding = match part.encoding.as_str() {
        "" => "7bit",
        encoding => encoding,
    };
    lower_string(out, encoding);
    out.push(b' ');
    number(out, part.end - part.body_start);
    if let (Kind::Message, Some(message)) = (part.kind, part.children.first()) {
        out.push(b' ');
        let header = &data[message.header_start..message.body_start];
        out.extend_from_slice(&envelope(&Summary::of(header)));
        out.push(b' ');
        render_part(out, data, message, extended);
        out.push(b' ');
        number(out, part.lines);
    } else if media_type.eq_ignore_ascii_case("text") {
        out.push(b' ');
        number(out, part.lines);
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
            lower_string(out, value);
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
