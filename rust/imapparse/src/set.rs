//! Sequence sets (RFC 9051 §9, `sequence-set`).

/// Ranges as written; `*` is `u32::MAX` with `star` set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet {
    ranges: Vec<(Bound, Bound)>,
    saved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number(u32),
    Star,
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Star);
        }
        let plain =
            !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten().map(Self::Number)
    }

    fn value(self, max: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Star => max,
        }
    }
}

impl SequenceSet {
    /// Parse `1,3:5,7:*` or `$` (RFC 5182); None when it is not a set.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "$" {
            return Some(Self {
                ranges: Vec::new(),
                saved: true,
            });
        }
        let mut ranges = Vec::new();
        for piece in text.split(',') {
            let (from, to) = piece.split_once(':').unwrap_or((piece, piece));
            ranges.push((Bound::parse(from)?, Bound::parse(to)?));
        }
        Some(Self {
            ranges,
            saved: false,
        })
    }

    /// The set is `$`, the saved search result.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// It is one number or `*`.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.ranges.len() == 1 && self.ranges.iter().all(|(a, b)| a == b)
    }

    /// The numbers in the order they are written, up to `limit` of them; None when there are more, or `*` or `$` is in it.
    #[must_use]
    pub fn written(&self, limit: usize) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        if self.saved {
            return None;
        }
        for range in &self.ranges {
            let (Bound::Number(from), Bound::Number(to)) = range else {
                return None;
            };
            let count = from.abs_diff(*to) as usize + 1;
            if out.len() + count > limit {
                return None;
            }
            if from <= to {
                out.extend(*from..=*to);
            } else {
                out.extend((*to..=*from).rev());
            }
        }
        Some(out)
    }

    /// Ranges (low, high) with `*` as `max`, sorted and joined.
    #[must_use]
    pub fn ranges(&self, max: u32) -> Vec<(u32, u32)> {
        let mut out: Vec<(u32, u32)> = self
            .ranges
            .iter()
            .map(|(a, b)| (a.value(max), b.value(max)))
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        out.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(out.len());
        for (from, to) in out {
            match joined.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        joined
    }

    /// The highest number that is written, without `*`.
    #[must_use]
    pub fn highest(&self) -> u32 {
        let number = |b: &Bound| if let Bound::Number(n) = b { *n } else { 0 };
        self.ranges
            .iter()
            .map(|(a, b)| number(a).max(number(b)))
            .max()
            .unwrap_or(0)
    }

    /// `*` is in the set.
    #[must_use]
    pub fn has_star(&self) -> bool {
        self.ranges
            .iter()
            .any(|(a, b)| *a == Bound::Star || *b == Bound::Star)
    }
}

/// Ascending numbers as a set: `1:3,7`.
#[must_use]
pub fn format_set(numbers: &[u32]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < numbers.len() {
        let first = numbers[at];
        let mut last = first;
        while at + 1 < numbers.len() && numbers[at + 1] == last.wrapping_add(1) {
            at += 1;
            last = numbers[at];
        }
        at += 1;
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&first.to_string());
        if last != first {
            out.push(':');
            out.push_str(&last.to_string());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parsing() {
        for bad in [
            "",
            "0",
            "01",
            "1,",
            "1:",
            ":1",
            "a",
            "1:2:3",
            "4294967296",
            "$,1",
            "-1",
            "+1",
        ] {
            assert!(SequenceSet::parse(bad).is_none(), "{bad}");
        }
        let ranges = |text: &str, max| SequenceSet::parse(text).unwrap().ranges(max);
        assert_eq!(ranges("5:3,1,4:6", 9), [(1, 1), (3, 6)]);
        assert_eq!(ranges("*", 9), [(9, 9)]);
        assert_eq!(ranges("12:*", 9), [(9, 12)]);
        assert!(SequenceSet::parse("$").unwrap().is_saved());
    }

    proptest! {
        #[test]
        fn format_and_parse_are_inverse(numbers in proptest::collection::btree_set(1u32..200, 1..80)) {
            let numbers: Vec<u32> = numbers.into_iter().collect();
            let set = SequenceSet::parse(&format_set(&numbers)).unwrap();
            let back: Vec<u32> = set.ranges(0).into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(back, numbers);
        }
    }
}
