//! Modified UTF-7 for mailbox names (RFC 3501 §5.1.3).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn printable(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte)
}

/// A name for the wire.
#[must_use]
pub fn encode_utf7(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u16> = Vec::new();
    for c in name.chars() {
        if u8::try_from(c).is_ok_and(printable) {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            shifted.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut shifted, &mut out);
    out
}

fn flush(units: &mut Vec<u16>, out: &mut String) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut count) = (0u32, 0);
    for unit in units.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(char::from(ALPHABET[(bits >> count & 63) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(char::from(ALPHABET[(bits << (6 - count) & 63) as usize]));
    }
    out.push('-');
}

/// A name from the wire, strictly: None for anything that [`encode_utf7`] would not write.
#[must_use]
pub fn decode_utf7(text: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut after_shift = false;
    while at < text.len() {
        let byte = text[at];
        if !printable(byte) {
            return None;
        }
        if byte != b'&' {
            out.push(char::from(byte));
            at += 1;
            after_shift = false;
            continue;
        }
        let len = text[at + 1..].iter().position(|&b| b == b'-')?;
        let inner = &text[at + 1..at + 1 + len];
        at += len + 2;
        if inner.is_empty() {
            out.push('&');
            after_shift = false;
            continue;
        }
        if after_shift {
            return None;
        }
        out.push_str(&decode_shift(inner)?);
        after_shift = true;
    }
    Some(out)
}

fn decode_shift(inner: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(inner.len() * 6 / 16);
    let (mut bits, mut count) = (0u32, 0);
    for byte in inner {
        let value = ALPHABET.iter().position(|a| a == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    // What is left is less than a sextet of zeros.
    if count >= 6 || bits != 0 {
        return None;
    }
    let text = String::from_utf16(&units).ok()?;
    let needless = text.chars().any(|c| u8::try_from(c).is_ok_and(printable));
    (!needless && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (name, wire) in [
            ("Entwürfe", "Entw&APw-rfe"),
            ("a&b", "a&-b"),
            ("台北", "&U,BTFw-"),
            ("💩", "&2D3cqQ-"),
        ] {
            assert_eq!(encode_utf7(name), wire);
            assert_eq!(decode_utf7(wire.as_bytes()).as_deref(), Some(name));
        }
        for bad in [
            "&",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&U,BTF-",
            "&2D0-",
            "é",
            "&A-",
            "a\x01",
        ] {
            assert_eq!(decode_utf7(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn roundtrip(name in "\\PC{0,20}") {
            let wire = encode_utf7(&name);
            prop_assert!(wire.bytes().all(printable));
            prop_assert_eq!(decode_utf7(wire.as_bytes()), Some(name));
        }

        #[test]
        fn any_input_is_fine(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Some(name) = decode_utf7(&bytes) {
                prop_assert_eq!(encode_utf7(&name).into_bytes(), bytes);
            }
        }
    }
}
