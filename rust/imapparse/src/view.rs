//! What one session sees of its mailbox: UIDs in order; the sequence number is the position.

use std::sync::Arc;

use crate::set::SequenceSet;

/// Sorted UIDs of a session. 4 bytes a message, shared with the index and with other sessions until they differ.
#[derive(Debug, Clone, Default)]
pub struct SessionView {
    uids: Arc<Vec<u32>>,
}

impl SessionView {
    /// A view of these UIDs, which must be ascending; others are sorted.
    #[must_use]
    pub fn new(mut uids: Vec<u32>) -> Self {
        if !uids.is_sorted() {
            uids.sort_unstable();
        }
        uids.dedup();
        Self {
            uids: Arc::new(uids),
        }
    }

    /// A view of ascending UIDs that others see too. Takes no time, however many they are.
    #[must_use]
    pub fn shared(uids: Arc<Vec<u32>>) -> Self {
        Self { uids }
    }

    /// All UIDs, ascending.
    #[must_use]
    pub fn uids(&self) -> &[u32] {
        &self.uids
    }

    /// UID of a sequence number.
    #[must_use]
    pub fn uid(&self, seq: u32) -> Option<u32> {
        self.uids.get((seq as usize).checked_sub(1)?).copied()
    }

    /// Sequence number of a UID.
    #[must_use]
    pub fn seq(&self, uid: u32) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(|at| at as u32 + 1)
    }

    /// UIDs of ascending ranges, and under `below`, that are not in the view.
    #[must_use]
    pub fn missing(&self, ranges: &[(u32, u32)], below: u32) -> Vec<u32> {
        let mut out = Vec::new();
        for &(from, to) in ranges {
            let to = to.min(below.saturating_sub(1));
            let mut at = self.uids.partition_point(|&u| u < from);
            for uid in from.max(1)..=to {
                if self.uids.get(at) == Some(&uid) {
                    at += 1;
                } else {
                    out.push(uid);
                }
            }
        }
        out
    }

    /// Add UIDs above all others; ones that are there already are left out. Returns how many are new.
    pub fn append(&mut self, uids: &[u32]) -> usize {
        let before = self.uids.len();
        for &uid in uids {
            if self.uids.last().is_none_or(|&last| uid > last) {
                Arc::make_mut(&mut self.uids).push(uid);
            }
        }
        self.uids.len() - before
    }

    /// Remove ascending `uids`; the sequence numbers to report, in order, each as it is when its turn comes.
    pub fn expunge(&mut self, uids: &[u32]) -> Vec<u32> {
        let mut reported = Vec::new();
        let mut gone = vec![];
        for uid in uids {
            if let Ok(at) = self.uids.binary_search(uid) {
                if gone.last() != Some(&at) {
                    reported.push((at - gone.len()) as u32 + 1);
                    gone.push(at);
                }
            }
        }
        if let Some(&first) = gone.first() {
            let uids = Arc::make_mut(&mut self.uids);
            let (mut write, mut next) = (first, 0);
            for read in first..uids.len() {
                if gone.get(next) == Some(&read) {
                    next += 1;
                } else {
                    uids[write] = uids[read];
                    write += 1;
                }
            }
            uids.truncate(write);
        }
        reported
    }

    /// UIDs of a set of UIDs, or of sequence numbers. None when a sequence number is out of range; with `clamp` such
    /// numbers are left out.
    #[must_use]
    pub fn resolve(&self, set: &SequenceSet, is_uid: bool, clamp: bool) -> Option<Vec<u32>> {
        if is_uid {
            let mut out = Vec::new();
            for (from, to) in set.ranges(self.uids.last().copied().unwrap_or(0)) {
                let start = self.uids.partition_point(|&u| u < from);
                let end = self.uids.partition_point(|&u| u <= to);
                out.extend_from_slice(self.uids.get(start..end).unwrap_or_default());
            }
            return Some(out);
        }
        let max = self.uids.len() as u32;
        if !clamp && (set.highest() > max || (set.has_star() && max == 0)) {
            return None;
        }
        let mut out = Vec::new();
        for (from, to) in set.ranges(max) {
            let range = from.max(1) as usize - 1..to.min(max) as usize;
            out.extend_from_slice(self.uids.get(range).unwrap_or_default());
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_list(
            start in proptest::collection::btree_set(1u32..60, 0..40),
            gone in proptest::collection::btree_set(1u32..60, 0..40),
            more in proptest::collection::vec(1u32..90, 0..10),
        ) {
            let mut view = SessionView::new(start.iter().copied().collect());
            let mut model: Vec<u32> = start.into_iter().collect();
            let mut expected = Vec::new();
            for uid in &gone {
                if let Some(at) = model.iter().position(|u| u == uid) {
                    expected.push(at as u32 + 1);
                    model.remove(at);
                }
            }
            let gone: Vec<u32> = gone.into_iter().collect();
            prop_assert_eq!(view.expunge(&gone), expected);
            for uid in &more {
                if model.last().is_none_or(|l| uid > l) {
                    model.push(*uid);
                }
            }
            view.append(&more);
            prop_assert_eq!(view.uids(), &model[..]);
            for (at, uid) in model.iter().enumerate() {
                prop_assert_eq!(view.seq(*uid), Some(at as u32 + 1));
                prop_assert_eq!(view.uid(at as u32 + 1), Some(*uid));
            }
        }

        #[test]
        fn resolving_agrees_with_a_scan(
            uids in proptest::collection::btree_set(1u32..60, 0..30),
            pairs in proptest::collection::vec((1u32..40, 1u32..40), 1..4),
        ) {
            let view = SessionView::new(uids.iter().copied().collect());
            let text: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}:{b}")).collect();
            let set = SequenceSet::parse(&text.join(",")).unwrap();
            let inside = |n: u32| pairs.iter().any(|(a, b)| n >= *a.min(b) && n <= *a.max(b));
            let by_uid: Vec<u32> = uids.iter().copied().filter(|u| inside(*u)).collect();
            prop_assert_eq!(view.resolve(&set, true, false), Some(by_uid));
            let count = uids.len() as u32;
            let in_range = pairs.iter().all(|(a, b)| *a <= count && *b <= count);
            let by_seq: Vec<u32> =
                uids.iter().copied().enumerate().filter(|(i, _)| inside(*i as u32 + 1)).map(|(_, u)| u).collect();
            prop_assert_eq!(view.resolve(&set, false, false), in_range.then(|| by_seq.clone()));
            prop_assert_eq!(view.resolve(&set, false, true), Some(by_seq));
        }
    }
}
