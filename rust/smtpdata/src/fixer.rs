//! Content as it is stored: every line ends in CRLF.

use memchr::memchr;

/// What was learnt about the content while it passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Octets after line ends were repaired.
    pub size: u64,
    /// An octet of 0x80 or above was seen.
    pub has_8bit: bool,
    /// The empty line between header and body was seen.
    pub have_body: bool,
}

/// Turns bare LF into CRLF, over any split of the input.
#[derive(Debug)]
pub struct LineFixer {
    facts: Facts,
    last: u8,
    /// Octets of the current line so far, without its line end.
    line_len: usize,
    /// Leave content as it is (BINARYMIME).
    is_verbatim: bool,
}

impl Default for LineFixer {
    fn default() -> Self {
        Self {
            facts: Facts::default(),
            last: b'\n',
            line_len: 0,
            is_verbatim: false,
        }
    }
}

impl LineFixer {
    /// A fixer at the start of the content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only learns facts; the content stays as it is.
    #[must_use]
    pub fn verbatim() -> Self {
        Self {
            is_verbatim: true,
            ..Self::default()
        }
    }

    /// Facts so far.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Pass `input` on to `emit` with line ends repaired.
    pub fn feed(&mut self, mut input: &[u8], mut emit: impl FnMut(&[u8])) {
        self.facts.has_8bit = self.facts.has_8bit || !input.is_ascii();
        while !input.is_empty() {
            let Some(at) = memchr(b'\n', input) else {
                self.write(input, &mut emit);
                self.line_len = self.line_len.saturating_add(input.len());
                return;
            };
            let before = if at > 0 { input[at - 1] } else { self.last };
            if self.line_len.saturating_add(at) == usize::from(before == b'\r') {
                self.facts.have_body = true;
            }
            if before == b'\r' || self.is_verbatim {
                self.write(&input[..=at], &mut emit);
            } else {
                self.write(&input[..at], &mut emit);
                self.write(b"\r\n", &mut emit);
            }
            self.line_len = 0;
            input = &input[at + 1..];
        }
    }

    fn write(&mut self, data: &[u8], emit: &mut impl FnMut(&[u8])) {
        if let Some(&last) = data.last() {
            self.last = last;
            self.facts.size += data.len() as u64;
            emit(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fix(input: &[u8], size: usize) -> (Vec<u8>, Facts) {
        let (mut fixer, mut out) = (LineFixer::new(), Vec::new());
        for chunk in input.chunks(size) {
            fixer.feed(chunk, |b| out.extend_from_slice(b));
        }
        (out, fixer.facts())
    }

    #[test]
    fn table() {
        // input, output, have_body
        let cases: &[(&[u8], &[u8], bool)] = &[
            (
                b"a: b\nc: d\n\nbody\n",
                b"a: b\r\nc: d\r\n\r\nbody\r\n",
                true,
            ),
            (b"a: b\r\n\r\nbody", b"a: b\r\n\r\nbody", true),
            (b"\r\nbody", b"\r\nbody", true),
            (b"\nbody", b"\r\nbody", true),
            (b"a: b\r\n", b"a: b\r\n", false),
            (b"a\r\r\nb", b"a\r\r\nb", false),
            (b"", b"", false),
        ];
        for (input, output, have_body) in cases {
            for size in 1..=input.len().max(1) {
                let (out, facts) = fix(input, size);
                let shown = String::from_utf8_lossy(input);
                assert_eq!(
                    (&out[..], facts.have_body),
                    (*output, *have_body),
                    "{shown:?} by {size}"
                );
                assert_eq!(facts.size, out.len() as u64);
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            input in proptest::collection::vec(proptest::sample::select(b"\r\na".to_vec()), 0..40), size in 1usize..9,
        ) {
            prop_assert_eq!(fix(&input, input.len().max(1)), fix(&input, size));
        }
    }
}
