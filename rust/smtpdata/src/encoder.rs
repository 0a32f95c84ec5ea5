//! SMTP DATA encoding for clients (RFC 5321 §4.5.2).

use memchr::memchr2_iter;

/// Why content cannot be sent with DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// A CR without LF or a LF without CR, at this offset.
    BareLineEnd(usize),
    /// The content does not end in CRLF.
    MissingCrlf,
}

/// `content` with dots doubled at line starts, and the end marker.
///
/// # Errors
/// When a line end is not CRLF: a receiver could see another message in it.
pub fn encode_data(content: &[u8]) -> Result<Vec<u8>, EncodeError> {
    for at in memchr2_iter(b'\r', b'\n', content) {
        let paired = match content[at] {
            b'\r' => content.get(at + 1) == Some(&b'\n'),
            _ => at > 0 && content[at - 1] == b'\r',
        };
        if !paired {
            return Err(EncodeError::BareLineEnd(at));
        }
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        return Err(EncodeError::MissingCrlf);
    }
    let mut wire = Vec::with_capacity(content.len() + content.len() / 64 + 3);
    for line in content.split_inclusive(|&b| b == b'\n') {
        if line[0] == b'.' {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    Ok(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_a_receiver_could_misread() {
        assert_eq!(encode_data(b"a\nb\r\n"), Err(EncodeError::BareLineEnd(1)));
        assert_eq!(encode_data(b"a\rb\r\n"), Err(EncodeError::BareLineEnd(1)));
        assert_eq!(encode_data(b"a"), Err(EncodeError::MissingCrlf));
        assert_eq!(encode_data(b"").unwrap(), b".\r\n");
    }
}
