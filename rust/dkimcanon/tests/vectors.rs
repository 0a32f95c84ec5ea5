//! The examples of the RFCs, and properties against a slow but obvious implementation.
use aws_lc_rs::digest;
use dkimcanon::{
    body_of, canon_header, hash_bodies, signed_data, split_fields, without_signature_value,
    Algorithm, BodyHash, BodyHasher, BodySpec, Canon,
};
use proptest::prelude::*;

const CANONS: [Canon; 2] = [Canon::Simple, Canon::Relaxed];

/// Line by line, as the RFC words it.
fn naive(body: &[u8], canon: Canon) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            lines.push(Vec::new());
            rest = after;
        } else {
            lines.last_mut().unwrap().push(*first);
            rest = tail;
        }
    }
    if canon == Canon::Relaxed {
        for line in &mut lines {
            let mut out: Vec<u8> = Vec::new();
            for byte in line.iter() {
                let byte = if *byte == b'\t' { b' ' } else { *byte };
                if byte != b' ' || out.last() != Some(&b' ') {
                    out.push(byte);
                }
            }
            if out.last() == Some(&b' ') {
                out.pop();
            }
            *line = out;
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    let mut out = lines.join(&b"\r\n"[..]);
    if canon == Canon::Simple || !out.is_empty() {
        out.extend(b"\r\n");
    }
    out
}

fn hash(pieces: &[&[u8]], canon: Canon, length: Option<u64>) -> BodyHash {
    let mut hasher = BodyHasher::new(canon, Algorithm::Sha256, length);
    for piece in pieces {
        hasher.feed(piece);
    }
    hasher.finish()
}

fn sha256(data: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, data).as_ref().to_vec()
}

fn expect(canonical: &[u8]) -> BodyHash {
    BodyHash {
        digest: sha256(canonical),
        length: canonical.len() as u64,
    }
}

#[test]
fn rfc6376_3_4_5_body() {
    let body = b" C \r\nD \t E\r\n\r\n\r\n";
    assert_eq!(
        hash(&[body], Canon::Relaxed, None),
        expect(b" C\r\nD E\r\n")
    );
    assert_eq!(
        hash(&[body], Canon::Simple, None),
        expect(b" C \r\nD \t E\r\n")
    );
}

#[test]
fn rfc6376_3_4_empty_bodies() {
    for body in [&b""[..], b"\r\n", b"\r\n\r\n\r\n"] {
        assert_eq!(hash(&[body], Canon::Simple, None), expect(b"\r\n"));
        assert_eq!(hash(&[body], Canon::Relaxed, None), expect(b""));
    }
    assert_eq!(hash(&[b" \t\r\n  "], Canon::Relaxed, None), expect(b""));
}

#[test]
fn only_crlf_ends_a_line() {
    for (body, relaxed) in [
        (&b"a \n b\r"[..], &b"a \n b\r\r\n"[..]),
        (b"a \r\r\n\r\n", b"a \r\r\n"),
        (b"a\rb \r\n", b"a\rb\r\n"),
        (b"\n\n", b"\n\n\r\n"),
        (b"a\n\r\nb", b"a\n\r\nb\r\n"),
    ] {
        assert_eq!(
            hash(&[body], Canon::Relaxed, None),
            expect(relaxed),
            "{body:?}"
        );
    }
}

#[test]
fn length_limits_the_hash_and_not_the_count() {
    let body = b"one  two\r\nthree\r\n";
    let result = hash(&[body], Canon::Relaxed, Some(5));
    assert_eq!(result.digest, sha256(b"one t"));
    assert_eq!(result.length, 16);
    assert_eq!(hash(&[body], Canon::Relaxed, Some(0)).digest, sha256(b""));
    assert_eq!(
        hash(&[body], Canon::Relaxed, Some(99)).digest,
        sha256(b"one two\r\nthree\r\n")
    );
}

#[test]
fn rfc6376_3_4_5_header() {
    assert_eq!(canon_header(b"A: X\r\n", Canon::Relaxed), b"a:X\r\n");
    assert_eq!(
        canon_header(b"B : Y\t\r\n\tZ  \r\n", Canon::Relaxed),
        b"b:Y Z\r\n"
    );
    assert_eq!(
        canon_header(b"B : Y\t\r\n\tZ  \r\n", Canon::Simple),
        b"B : Y\t\r\n\tZ  \r\n"
    );
}

#[test]
fn odd_header_fields() {
    for (field, relaxed) in [
        (&b"Subject:\r\n"[..], &b"subject:\r\n"[..]),
        (b"Subject: \r\n \r\n", b"subject:\r\n"),
        (b"X: a", b"x:a"),
        (b"X", b"x"),
        (b"", b""),
        (b"X: a\rb\nc \r\n", b"x:a\rb\nc\r\n"),
    ] {
        assert_eq!(canon_header(field, Canon::Relaxed), relaxed, "{field:?}");
    }
}

#[test]
fn signature_value_is_emptied() {
    for (field, expected) in [
        (
            &b"DKIM-Signature: v=1; b=dz\r\n dz ; bh=bb==\r\n"[..],
            &b"DKIM-Signature: v=1; b=; bh=bb==\r\n"[..],
        ),
        (b"D: bh=x; b = abc=", b"D: bh=x; b ="),
        (b"D:b=abc;", b"D:b=;"),
        (b"D", b"D"),
    ] {
        assert_eq!(without_signature_value(field), expected, "{field:?}");
    }
}

#[test]
fn fields_are_taken_from_the_bottom() {
    let header = b"A: 1\r\nB: 2\r\na : 3\r\n\r\nbody";
    let data = signed_data(
        header,
        &["a", "b", "A", "a", "c"],
        b"D: b=x\r\n",
        Canon::Relaxed,
    );
    assert_eq!(data.unwrap(), b"a:3\r\nb:2\r\na:1\r\nd:b=");
}

#[test]
fn headers_that_cannot_be_signed() {
    for (header, offset) in [
        (&b"A: 1\r\n"[..], 6),
        (b"", 0),
        (b" A: 1\r\n\r\n", 0),
        (b"A: 1\r\nno colon\r\n\r\n", 6),
        (b": x\r\n\r\n", 0),
        (b"A b: x\r\n\r\n", 0),
        (b"A\xff: x\r\n\r\n", 0),
    ] {
        assert_eq!(
            split_fields(header).unwrap_err().offset,
            offset,
            "{header:?}"
        );
    }
    let (fields, end) = split_fields(b"A\t: 1\n\r\n b\r\n\r\nX").unwrap();
    assert_eq!((fields.len(), fields[0].name.clone(), end), (1, 0..1, 14));
}

#[test]
fn body_begins_behind_the_first_empty_line() {
    assert_eq!(body_of(b"A: b\r\n\r\nc\r\n\r\nd"), b"c\r\n\r\nd");
    assert_eq!(body_of(b"\r\n\r\nc"), b"\r\nc");
    assert_eq!(body_of(b"A: b\r\n"), b"");
}

#[test]
fn equal_wishes_give_equal_answers() {
    let spec = |canon, length| BodySpec {
        canon,
        algorithm: Algorithm::Sha256,
        length,
    };
    let specs = [
        spec(Canon::Relaxed, None),
        spec(Canon::Simple, Some(1)),
        spec(Canon::Relaxed, None),
    ];
    let body = b"a  b\r\n".repeat(30_000);
    let hashes = hash_bodies(&body, &specs);
    assert_eq!(hashes.len(), 3);
    assert_eq!(hashes[0], hashes[2]);
    assert_eq!(hashes[0], expect(&naive(&body, Canon::Relaxed)));
    assert_eq!(hashes[1].digest, sha256(b"a"));
}

/// Bodies made of the bytes that matter, with stretches of text that the fast path takes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        2 => Just(b" ".to_vec()),
        1 => Just(b"\t".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..4),
        3 => "[a-z]{1,80}( [a-z]{1,9}){0,9}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_way(body in body()) {
        for canon in CANONS {
            prop_assert_eq!(hash(&[&body], canon, None), expect(&naive(&body, canon)));
        }
    }

    #[test]
    fn long_bodies_too(body in body(), times in 1usize..100, size in 1usize..10_000) {
        let body = body.repeat(times);
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        for canon in CANONS {
            prop_assert_eq!(hash(&pieces, canon, None), expect(&naive(&body, canon)));
        }
    }

    #[test]
    fn any_split_gives_the_same_hash(
        body in body(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8), length in any::<Option<u8>>()
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &body[w[0]..w[1]]).collect();
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        for canon in CANONS {
            let whole = hash(&[&body], canon, length.map(u64::from));
            prop_assert_eq!(&hash(&pieces, canon, length.map(u64::from)), &whole);
            prop_assert_eq!(&hash(&bytes, canon, length.map(u64::from)), &whole);
        }
    }

    #[test]
    fn any_header_is_survived(header in body(), names in proptest::collection::vec("[a-z]{0,2}", 0..5)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for canon in CANONS {
            let _ = signed_data(&header, &names, &header, canon);
            let once = canon_header(&header, canon);
            prop_assert!(once.len() <= header.len());
        }
        if let Ok((fields, end)) = split_fields(&header) {
            let mut offset = 0;
            for field in &fields {
                prop_assert_eq!(field.raw.start, offset);
                offset = field.raw.end;
            }
            prop_assert_eq!(offset + 2, end);
        }
    }
}
