//! What a message's texts may contain, in two kilobytes: which trigrams occur in them.
//!
//! A needle that a search would find in a text has all its trigrams there, so a message without one of their bits cannot
//! match. One that has them all may: only reading it tells. All texts are as [`mimeparse::search`] compares them.

use mimeparse::PartInfo;

/// Bits of a signature.
pub const BITS: usize = 1 << 14;
const WORDS: usize = BITS / 64;

/// Bits of the trigrams in a message's texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    words: Box<[u64; WORDS]>,
}

impl Signature {
    /// Of the header fields and text parts of a message.
    #[must_use]
    pub fn new(data: &[u8], root: &PartInfo) -> Self {
        let mut words = Box::new([0; WORDS]);
        mimeparse::texts(data, root, &mut |text| {
            for bit in trigrams(text.to_lowercase().as_bytes()) {
                words[bit / 64] |= 1 << (bit % 64);
            }
        });
        Self { words }
    }

    /// The bits that are set, ascending.
    pub fn bits(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }
}

/// The bits that a message must have to contain the lower-case needle; none for a needle that is too short to tell.
#[must_use]
pub fn needle_bits(needle: &str) -> Vec<usize> {
    let mut bits: Vec<usize> = trigrams(needle.as_bytes()).collect();
    bits.sort_unstable();
    bits.dedup();
    bits
}

fn trigrams(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    text.windows(3).map(|t| {
        let number = u32::from(t[0]) | u32::from(t[1]) << 8 | u32::from(t[2]) << 16;
        (number.wrapping_mul(0x9e37_79b1) >> 18) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn root(message: &[u8]) -> PartInfo {
        let parsed = mimeparse::parse(message, &mimeparse::Limits::default());
        mimeparse::read_structure(&mimeparse::write_structure(&parsed.root)).unwrap()
    }

    fn may_contain(message: &[u8], needle: &str) -> bool {
        let bits: Vec<usize> = Signature::new(message, &root(message)).bits().collect();
        needle_bits(needle).iter().all(|bit| bits.contains(bit))
    }

    #[test]
    fn tells_messages_apart() {
        let message = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9 au la=\r\nit\r\n"
            .as_bytes();
        for needle in ["café", "lait", "grüße", "=?utf-8?q?gr", "ab", ""] {
            assert!(may_contain(message, needle), "{needle}");
        }
        for needle in ["nothere", "milk"] {
            assert!(!may_contain(message, needle), "{needle}");
        }
    }

    proptest! {
        #[test]
        fn what_a_search_finds_is_never_excluded(
            header in "[A-Za-zÄİσΣς=? ]{0,20}",
            body in "[A-Za-zÄİσΣς=\\r\\n]{0,40}",
            (start, length) in (0usize..30, 1usize..9),
        ) {
            let message = format!("Subject: {header}\r\n\r\n{body}");
            let root = root(message.as_bytes());
            let needle: String = message.chars().skip(9 + start).take(length).collect::<String>().to_lowercase();
            let found = mimeparse::search(message.as_bytes(), &root, &[&needle], true)[0];
            prop_assert!(!found || may_contain(message.as_bytes(), &needle));
        }
    }
}
