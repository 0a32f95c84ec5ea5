//! Charsets by label, tolerant of wrong ones.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// `data` as text. Unknown labels and US-ASCII with 8-bit octets are taken as UTF-8, else as Windows-1252.
pub(crate) fn to_text(data: &[u8], label: &str) -> String {
    let label = label.split('*').next().unwrap_or_default().trim();
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8);
    // WHATWG maps us-ascii and iso-8859-1 to windows-1252; mislabelled UTF-8 is the commoner case.
    if encoding == UTF_8 || (encoding == WINDOWS_1252 && label.eq_ignore_ascii_case("us-ascii")) {
        return match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) if label.is_empty() => WINDOWS_1252
                .decode_without_bom_handling(data)
                .0
                .into_owned(),
            Err(_) => String::from_utf8_lossy(data).into_owned(),
        };
    }
    encoding.decode_without_bom_handling(data).0.into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels() {
        assert_eq!(super::to_text(b"\xa9", "iso-8859-1"), "\u{a9}");
        assert_eq!(super::to_text(b"\xd0", "iso-8859-5"), "\u{430}");
        assert_eq!(super::to_text("é".as_bytes(), "us-ascii"), "é");
        assert_eq!(super::to_text(b"\xe9", ""), "é");
        assert_eq!(super::to_text("é".as_bytes(), "x-unknown"), "é");
    }
}
