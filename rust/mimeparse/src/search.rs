//! Substring search in decoded texts, without case (for IMAP BODY and TEXT).

use memchr::memmem::Finder;

use crate::charset::to_text;
use crate::decode::decode_part;
use crate::header::{fields, unfold};
use crate::part::Kind;
use crate::section::PartInfo;
use crate::words::decode_words;

/// For each needle (lower-case), whether the message's text has it; with `headers` also its header fields.
#[must_use]
pub fn search(data: &[u8], root: &PartInfo, needles: &[&str], headers: bool) -> Vec<bool> {
    let finders: Vec<Finder<'_>> = needles.iter().map(|n| Finder::new(n.as_bytes())).collect();
    let mut found = vec![false; needles.len()];
    walk(data, root, headers, &mut |text| {
        let lower = text.to_lowercase();
        for (finder, found) in finders.iter().zip(found.iter_mut()) {
            *found = *found || finder.find(lower.as_bytes()).is_some();
        }
        !found.iter().all(|&f| f)
    });
    found
}

/// Give everything that searches of the message's header fields and texts compare to `take`: fields decoded and, where
/// that differs, as they stand; parts decoded.
pub fn texts(data: &[u8], root: &PartInfo, take: &mut impl FnMut(&str)) {
    walk(data, root, true, &mut |text| {
        take(text);
        true
    });
    for field in fields(
        data.get(root.header_start..root.body_start)
            .unwrap_or_default(),
    ) {
        let value = unfold(field.value);
        if value.contains(&b'=') || !value.is_ascii() {
            take(&String::from_utf8_lossy(&value));
        }
    }
}

/// Give texts to `look` until it returns false; false when it did.
fn walk(data: &[u8], part: &PartInfo, headers: bool, look: &mut impl FnMut(&str) -> bool) -> bool {
    if headers {
        for field in fields(
            data.get(part.header_start..part.body_start)
                .unwrap_or_default(),
        ) {
            let name = String::from_utf8_lossy(field.name);
            if !look(&format!("{name}: {}", decode_words(&unfold(field.value)))) {
                return false;
            }
        }
    }
    if part.kind != Kind::Leaf {
        // The header of an embedded message is text of the message that holds it.
        let inner = headers || part.kind == Kind::Message;
        return part
            .children
            .iter()
            .all(|child| walk(data, child, inner, look));
    }
    if !part.media_type.is_empty() && part.media_type != "TEXT" {
        return true;
    }
    let body = data.get(part.body_start..part.end).unwrap_or_default();
    match decode_part(body, &part.encoding) {
        Some(content) => look(&to_text(&content, &part.charset)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::{parse, read_structure, search, write_structure, Limits};

    #[test]
    fn finds_in_decoded_text() {
        let message = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9 au la=\r\nit\r\n";
        let root =
            read_structure(&write_structure(&parse(message, &Limits::default()).root)).unwrap();
        assert_eq!(
            search(message, &root, &["café", "lait", "grüße", "nope"], false),
            [true, true, false, false]
        );
        assert_eq!(search(message, &root, &["grüße"], true), [true]);
    }
}
