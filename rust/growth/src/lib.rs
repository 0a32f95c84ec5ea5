//! For tests: do time and memory grow faster than the input?

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Octets of the smaller inputs; the larger ones have four times as many.
const STEP: usize = if cfg!(debug_assertions) {
    10_000
} else {
    100_000
};
/// What takes less time than this is not slow, whatever the clock says of the ratio.
const SHORT: Duration = Duration::from_millis(3);
/// A busy machine may spoil one measurement, not so many.
const ATTEMPTS: usize = 5;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
pub struct Counting;

// SAFETY: every call is handed on as it comes; the counters do not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Memory that work may take: `factor` times the octets of its input and `constant` more.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Octets for each octet of input.
    pub factor: usize,
    /// Octets for anything.
    pub constant: usize,
}

/// Does the work with every input in two sizes; `inputs` makes them, named, for a size.
///
/// # Panics
/// When four times the input takes ten times the time or more, or memory exceeds the limits. Memory is only counted where
/// [`Counting`] is the allocator, and nothing else may run at the same time.
pub fn check(
    inputs: impl Fn(usize) -> Vec<(&'static str, Vec<u8>)>,
    limits: Limits,
    work: impl Fn(&[u8]),
) {
    let (small, large) = (inputs(STEP), inputs(4 * STEP));
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        check_one(name, small, large, limits, &work);
    }
}

fn check_one(name: &str, small: &[u8], large: &[u8], limits: Limits, work: impl Fn(&[u8])) {
    let used = peak(|| work(large));
    let allowed = limits.factor * large.len() + limits.constant;
    assert!(
        used <= allowed,
        "{name}: {used} octets of memory for {} of input, {allowed} are allowed",
        large.len()
    );
    assert!(
        (0..ATTEMPTS).any(|_| time(large, &work) < time(small, &work).max(SHORT) * 10),
        "{name}: time grows faster than the input"
    );
}

/// Octets that the work holds at once, at most.
pub fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed) - before
}

fn time(data: &[u8], work: impl Fn(&[u8])) -> Duration {
    (0..3)
        .map(|_| {
            let start = Instant::now();
            work(data);
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// A piece again and again, behind a start, up to about `size` octets.
pub fn repeated(start: &str, piece: &str, size: usize) -> Vec<u8> {
    [
        start.as_bytes(),
        piece.repeat(size / piece.len()).as_bytes(),
    ]
    .concat()
}

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// What is said of work that goes wrong on 8,000 octets.
    fn complaint(limits: Limits, work: fn(&[u8])) -> String {
        let check = || check_one("a", &[b'a'; 2000], &[b'a'; 8000], limits, work);
        let panic = std::panic::catch_unwind(check).expect_err("something is wrong");
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    }

    // One test, as nothing else may run at the same time.
    #[test]
    fn quadratic_time_and_much_memory_are_noticed() {
        let limits = |factor| Limits {
            factor,
            constant: 1000,
        };
        let text = complaint(limits(1), |data| {
            let equal = data.iter().map(|a| data.iter().filter(|b| a == *b).count());
            assert_eq!(equal.sum::<usize>(), data.len() * data.len());
        });
        assert!(text.contains("time grows faster"), "{text}");
        let text = complaint(limits(2), |data| assert!(!data.repeat(3).is_empty()));
        assert!(text.contains("octets of memory"), "{text}");
    }
}
