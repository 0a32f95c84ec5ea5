//! Content that comes by count (RFC 3030): no dots, no end marker.

use memchr::memchr_iter;

/// Looks for bare CRs in content that is text: whoever passes the message on with DATA would smuggle them.
#[derive(Debug, Default)]
pub struct BareCrFinder {
    after_cr: bool,
    found: bool,
}

impl BareCrFinder {
    /// A finder at the start of the content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Look at the next piece.
    pub fn feed(&mut self, input: &[u8]) {
        let Some(&first) = input.first() else { return };
        self.found |= self.after_cr && first != b'\n';
        self.after_cr = input.last() == Some(&b'\r');
        self.found |= memchr_iter(b'\r', input)
            .any(|at| input.get(at + 1).is_some_and(|&next| next != b'\n'));
    }

    /// A CR that no LF follows was seen; at the end of the content, too.
    #[must_use]
    pub fn found(&self) -> bool {
        self.found || self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::BareCrFinder;

    #[test]
    fn any_split_gives_the_same() {
        for (input, bare) in [
            (&b"a\r\nb\r\n"[..], false),
            (b"a\rb\r\n", true),
            (b"a\r\r\n", true),
            (b"a\r", true),
            (b"a\nb\n", false),
            (b"", false),
        ] {
            for size in 1..=6 {
                let mut finder = BareCrFinder::new();
                input.chunks(size).for_each(|piece| finder.feed(piece));
                assert_eq!(finder.found(), bare, "{input:?} in pieces of {size}");
            }
        }
    }
}
