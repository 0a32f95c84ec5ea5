//! What holds for every input: no panic, exact and nested offsets, bounded output.
use mimeparse::{
    base_subject, canonical_message_id, decode_part, decode_words, fields, filter_fields,
    header_end, parse, parse_address_list, parse_date, read_structure, references, search,
    section_range, unfold, words, write_structure, Kind, Limits, Parsed, Part, PartInfo, Section,
    TokenOptions,
};
use proptest::prelude::*;

/// Pieces that messages, and above all broken ones, are made of.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"--a\r\n",
        b"--a--\r\n",
        b"--ab\r\n",
        b"--ab--",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
        b"Content-Type: multipart/alternative; boundary=\"ab\"\r\n\r\n",
        b"Content-Type: multipart/digest; boundary=ab\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"Content-Type: text/html; charset=utf-7\r\n\r\n",
        b"Content-Type: text/plain; name*0*=utf-8''%C3; name*1*=%A9; charset=x\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n",
        b"Content-Disposition: attachment; filename=\"=?utf-8?q?x?=\"\r\n",
        b"Subject: =?utf-8?b?w6k=?= =?x?q?=?=\r\n",
        b"From: \"a\" <b@c>, d: e@f;, (x\r\n",
        b"Date: Mon, 2 Jan 2006 15:04:05 -0700\r\n",
        b"References: <a@b> <c\r\n",
        b"<blockquote>a<br><p>&eacute;&#xe9;<script>",
        b"On 1 May, X wrote:\r\n> quote\r\n",
        b"aGVsbG8=",
        b"=C3=A9=\r\n",
        b"\xe9\xff\xc3\xa9",
        b"word ",
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn check(part: &Part, from: usize, to: usize) -> Result<(), TestCaseError> {
    prop_assert!(from <= part.header_start && part.header_start <= part.body_start);
    prop_assert!(part.body_start <= part.end && part.end <= to);
    let mut at = part.body_start;
    for child in &part.children {
        prop_assert!(child.header_start >= at);
        check(child, at, part.end)?;
        at = child.end;
    }
    match part.kind {
        Kind::Leaf => prop_assert!(part.children.is_empty()),
        Kind::Multipart => prop_assert!(!part.children.is_empty()),
        Kind::Message => {
            prop_assert_eq!(part.children.len(), 1);
            prop_assert_eq!(part.children[0].header_start, part.body_start);
            prop_assert_eq!(part.children[0].end, part.end);
        }
    }
    Ok(())
}

/// A rendered list: balanced, printable but for literals.
fn check_list(text: &[u8]) -> Result<(), TestCaseError> {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' => {
                prop_assert!(depth > 0);
                depth -= 1;
                prop_assert!(depth > 0 || at == text.len());
            }
            b'"' => loop {
                let byte = text[at];
                at += 1;
                match byte {
                    b'"' => break,
                    b'\\' => at += 1,
                    _ => prop_assert!(byte == b'\t' || (0x20..0x7f).contains(&byte)),
                }
            },
            b'{' => {
                let end = at + text[at..].iter().position(|b| *b == b'}').unwrap();
                let length: usize = std::str::from_utf8(&text[at..end])
                    .unwrap()
                    .parse()
                    .unwrap();
                prop_assert_eq!(&text[end..end + 3], b"}\r\n");
                at = end + 3 + length;
            }
            _ => prop_assert!((0x20..0x7f).contains(&byte)),
        }
    }
    prop_assert_eq!(depth, 0);
    Ok(())
}

fn check_info(part: &Part, info: &PartInfo) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        (part.kind, part.header_start, part.body_start, part.end),
        (info.kind, info.header_start, info.body_start, info.end)
    );
    prop_assert_eq!(part.children.len(), info.children.len());
    for (part, info) in part.children.iter().zip(&info.children) {
        check_info(part, info)?;
    }
    Ok(())
}

/// Octets of everything that a parsed message holds in variable length.
fn held(parsed: &Parsed) -> usize {
    fn tree(part: &Part) -> usize {
        std::mem::size_of::<Part>() + part.children.iter().map(tree).sum::<usize>()
    }
    let addresses = [&parsed.from, &parsed.to, &parsed.cc, &parsed.bcc];
    let addresses: usize = addresses
        .iter()
        .flat_map(|l| l.iter())
        .map(|a| a.name.len() + 72)
        .sum();
    tree(&parsed.root)
        + parsed.envelope.len()
        + parsed.body.len()
        + parsed.bodystructure.len()
        + addresses
}

proptest! {
    #[test]
    fn every_message(data in message()) {
        let parsed = parse(&data, &Limits::default());
        check(&parsed.root, 0, data.len())?;
        prop_assert_eq!(parsed.root.end, data.len());
        for list in [&parsed.envelope, &parsed.body, &parsed.bodystructure] {
            check_list(list)?;
        }
        prop_assert!(parsed.preview.chars().count() <= 256);
        prop_assert!(held(&parsed) <= 200 * data.len() + 2000);
        let stored = write_structure(&parsed.root);
        let info = read_structure(&stored).unwrap();
        check_info(&parsed.root, &info)?;
        for numbers in [&[][..], &[1], &[2], &[1, 1], &[2, 1, 1]] {
            for section in [Section::Body, Section::Header, Section::Text, Section::Mime] {
                if let Some((start, end)) = section_range(&info, numbers, section) {
                    prop_assert!(start <= end && end <= data.len());
                }
            }
        }
        let _ = search(&data, &info, &["word", "é"], true);
        let _ = words(&data, &parsed.root, &TokenOptions::default());
    }

    #[test]
    fn small_limits_hold(data in message(), max_depth in 0usize..4, max_parts in 1usize..6) {
        fn depth(part: &Part) -> usize {
            part.children.iter().map(|c| depth(c) + 1).max().unwrap_or(0)
        }
        fn count(part: &Part) -> usize {
            1 + part.children.iter().map(count).sum::<usize>()
        }
        let root = parse(&data, &Limits { max_depth, max_parts }).root;
        check(&root, 0, data.len())?;
        prop_assert!(depth(&root) <= max_depth);
        prop_assert!(count(&root) <= max_parts);
    }

    #[test]
    fn every_structure(data: Vec<u8>, damage in message(), place: prop::sample::Index, bits: u8) {
        let _ = read_structure(&data);
        let mut stored = write_structure(&parse(&damage, &Limits::default()).root);
        let place = place.index(stored.len());
        stored[place] ^= bits;
        if let Some(info) = read_structure(&stored) {
            let _ = section_range(&info, &[1, 1], Section::Text);
            let _ = search(&damage, &info, &["x"], true);
        }
    }

    #[test]
    fn every_value(data in message(), text: String) {
        for field in fields(&data) {
            prop_assert!(!field.name.is_empty());
        }
        prop_assert!(header_end(&data) <= data.len());
        prop_assert!(unfold(&data).len() <= data.len());
        prop_assert!(filter_fields(&data, &[b"subject"], true).len() <= 2 * data.len() + 4);
        prop_assert!(parse_address_list(&data).len() <= data.len());
        let _ = decode_words(&data);
        let _ = parse_date(&data);
        let _ = canonical_message_id(&data);
        let _ = references(Some(&data), Some(&data));
        let _ = base_subject(&text);
        let _ = base_subject(&String::from_utf8_lossy(&data));
        for encoding in ["BASE64", "QUOTED-PRINTABLE", "X-UUENCODE", "7BIT"] {
            prop_assert!(decode_part(&data, encoding).unwrap().len() <= data.len() + 3);
        }
        prop_assert!(decode_part(&data, "X").is_none());
    }
}
