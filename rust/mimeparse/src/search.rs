//! Substring search in decoded texts, without case (for IMAP BODY and TEXT).

use memchr::memmem::Finder;

use crate::charset::to_text;
use crate::decode::decode_part;
use crate::header::{fields, unfold};
use crate::part::{decoded_message, Kind, MAX_DECODED};
use crate::section::{info_of, PartInfo};
use crate::words::decode_words;

/// For each needle (lower-case), whether the message's text has it; with `headers` also its header fields.
#[must_use]
pub fn search(data: &[u8], root: &PartInfo, needles: &[&str], headers: bool) -> Vec<bool> {
    let finders: Vec<Finder<'_>> = needles.iter().map(|n| Finder::new(n.as_bytes())).collect();
    let mut found = vec![false; needles.len()];
    let mut look = |text: &str| {
        let lower = text.to_lowercase();
        for (finder, found) in finders.iter().zip(found.iter_mut()) {
            *found = *found || finder.find(lower.as_bytes()).is_some();
        }
        !found.iter().all(|&f| f)
    };
    walk(data, root, headers, 0, &mut look);
    found
}

/// Give everything that searches of the message's header fields and texts compare to `take`: fields decoded and, where
/// that differs, as they stand; parts decoded.
pub fn texts(data: &[u8], root: &PartInfo, take: &mut impl FnMut(&str)) {
    walk(data, root, true, 0, &mut |text| {
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

/// Give texts to `look` until it returns false; false when it did. `decoded`: decoded messages around this one.
fn walk(
    data: &[u8],
    part: &PartInfo,
    headers: bool,
    decoded: usize,
    look: &mut dyn FnMut(&str) -> bool,
) -> bool {
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
            .all(|child| walk(data, child, inner, decoded, look));
    }
    let body = data.get(part.body_start..part.end).unwrap_or_default();
    if decoded < MAX_DECODED {
        let (media_type, media_subtype) = (&part.media_type, &part.media_subtype);
        if let Some((data, root)) = decoded_message(body, media_type, media_subtype, &part.encoding)
        {
            return walk(&data, &info_of(&root), true, decoded + 1, look);
        }
    }
    if !part.media_type.is_empty() && part.media_type != "TEXT" {
        return true;
    }
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

    #[test]
    fn finds_in_an_embedded_message_that_is_encoded() {
        // `Subject: inner\r\n\r\nhidden text\r\n`
        let message = b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            U3ViamVjdDogaW5uZXINCg0KaGlkZGVuIHRleHQNCg==\r\n";
        let parsed = parse(message, &Limits::default());
        let root = read_structure(&write_structure(&parsed.root)).unwrap();
        assert_eq!(
            search(message, &root, &["hidden text", "inner", "nope"], false),
            [true, true, false]
        );
        assert!(parsed
            .bodystructure
            .starts_with(b"(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" "));
        let deep =
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
        for (levels, found) in [(3, true), (4, false)] {
            let message = [deep.repeat(levels).as_slice(), b"\r\ntext\r\n"].concat();
            let parsed = parse(&message, &Limits::default());
            let root = read_structure(&write_structure(&parsed.root)).unwrap();
            assert_eq!(search(&message, &root, &["text\r"], false), [found]);
        }
    }
}
