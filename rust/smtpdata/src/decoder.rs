//! SMTP DATA decoding (RFC 5321 §4.1.1.4, §4.5.2).

use memchr::memchr2;

/// What a call of [`DataDecoder::feed`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to this message; the rest are the next commands.
    pub consumed: usize,
    /// The end marker was seen.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// After CRLF, or at the start.
    Line,
    /// After `CRLF .`
    Dot,
    /// After `CRLF . CR`
    DotCr,
    /// Inside a line.
    Text,
    /// After a CR inside a line.
    Cr,
    /// After a LF that no CR preceded.
    BareLf,
    /// After a bare LF and a dot.
    BareLfDot,
    /// After a bare LF, a dot and a CR.
    BareLfDotCr,
}

/// Streaming decoder. Only `CRLF . CRLF` (or `. CRLF` at the very start) ends the data; look-alikes with bare CR or LF
/// are remembered as a smuggling attempt while reading goes on, so that the protocol stays in step.
#[derive(Debug)]
pub struct DataDecoder {
    state: State,
    suspicious: bool,
    done: bool,
}

impl Default for DataDecoder {
    fn default() -> Self {
        Self {
            state: State::Line,
            suspicious: false,
            done: false,
        }
    }
}

impl DataDecoder {
    /// A decoder at the start of the data.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A bare CR, or an end marker with a bare CR or LF, was seen.
    #[must_use]
    pub fn suspicious(&self) -> bool {
        self.suspicious
    }

    /// Decode `input`, giving content to `emit`. Bare LFs are passed on as they are.
    pub fn feed(&mut self, input: &[u8], mut emit: impl FnMut(&[u8])) -> Progress {
        let mut at = 0;
        while at < input.len() && !self.done {
            if self.state == State::Text {
                // The bulk of a message: everything up to the next line end in one piece.
                let rest = &input[at..];
                let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                emit(&rest[..end]);
                at += end;
                if at == input.len() {
                    break;
                }
            }
            self.byte(input[at], &mut emit);
            at += 1;
        }
        Progress {
            consumed: at,
            done: self.done,
        }
    }

    fn byte(&mut self, byte: u8, emit: &mut impl FnMut(&[u8])) {
        use State::{BareLf, BareLfDot, BareLfDotCr, Cr, Dot, DotCr, Line, Text};
        self.state = match (self.state, byte) {
            (Line, b'.') => Dot,
            (Dot, b'\r') => DotCr,
            (DotCr, b'\n') => {
                self.done = true;
                Line
            }
            (DotCr, _) => {
                // CRLF . CR and no LF: a bare CR; the dot was transparency.
                self.suspicious = true;
                emit(b"\r");
                self.plain(byte, emit)
            }
            (Dot, b'\n') => {
                self.suspicious = true;
                self.plain(byte, emit)
            }
            (Dot, _) => self.plain(byte, emit),
            (Cr, b'\n') => {
                emit(b"\r\n");
                Line
            }
            (Cr, _) => {
                self.suspicious = true;
                emit(b"\r");
                self.plain(byte, emit)
            }
            (BareLf, b'.') => {
                emit(b".");
                BareLfDot
            }
            (BareLfDot, b'\r') => BareLfDotCr,
            (BareLfDot, b'\n') => {
                self.suspicious = true;
                self.plain(byte, emit)
            }
            (BareLfDotCr, b'\n') => {
                self.suspicious = true;
                emit(b"\r\n");
                Line
            }
            (BareLfDotCr, _) => {
                self.suspicious = true;
                emit(b"\r");
                self.plain(byte, emit)
            }
            (Line | Text | BareLf | BareLfDot, _) => self.plain(byte, emit),
        };
    }

    /// A byte with no special meaning for the end marker.
    fn plain(&mut self, byte: u8, emit: &mut impl FnMut(&[u8])) -> State {
        match byte {
            b'\r' => State::Cr,
            b'\n' => {
                emit(b"\n");
                State::BareLf
            }
            _ => {
                emit(&[byte]);
                State::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(input: &[u8], sizes: &[usize]) -> (Vec<u8>, bool, bool, usize) {
        let (mut decoder, mut out, mut at, mut turn) = (DataDecoder::new(), Vec::new(), 0, 0);
        while at < input.len() {
            let size = sizes[turn % sizes.len()].max(1);
            turn += 1;
            let end = (at + size).min(input.len());
            let progress = decoder.feed(&input[at..end], |b| out.extend_from_slice(b));
            at += progress.consumed;
            if progress.done {
                return (out, decoder.suspicious(), true, at);
            }
        }
        (out, decoder.suspicious(), false, at)
    }

    #[test]
    fn table() {
        // input, content, suspicious, done
        let cases: &[(&[u8], &[u8], bool, bool)] = &[
            (b".\r\n", b"", false, true),
            (b"a\r\n.\r\nRSET", b"a\r\n", false, true),
            (b"..a\r\n.\r\n", b".a\r\n", false, true),
            (b".a\r\n.\r\n", b"a\r\n", false, true),
            (b"a\nb\r\n.\r\n", b"a\nb\r\n", false, true),
            (b"a\rb\r\n.\r\n", b"a\rb\r\n", true, true),
            (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", true, true),
            (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", true, true),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", true, true),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", true, true),
            (b"a\r.\r\n.\r\n", b"a\r.\r\n", true, true),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\r\n", true, true),
            (b"a\r\n", b"a\r\n", false, false),
        ];
        for (input, content, suspicious, done) in cases {
            let got = decode(input, &[usize::MAX]);
            let shown = String::from_utf8_lossy(input);
            assert_eq!(
                (&got.0[..], got.1, got.2),
                (*content, *suspicious, *done),
                "{shown:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            input in proptest::collection::vec(proptest::sample::select(b"\r\n.ab".to_vec()), 0..60),
            sizes in proptest::collection::vec(1usize..7, 1..5),
        ) {
            prop_assert_eq!(decode(&input, &[usize::MAX]), decode(&input, &sizes));
        }

        #[test]
        fn encoded_data_comes_back(lines in proptest::collection::vec("[.a-z]{0,5}", 0..20)) {
            let content: Vec<u8> = lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect();
            let wire = crate::encode_data(&content).unwrap();
            let (out, suspicious, done, at) = decode(&wire, &[3]);
            prop_assert_eq!((out, suspicious, done, at), (content, false, true, wire.len()));
        }
    }
}
