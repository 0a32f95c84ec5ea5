//! Relaxed canonicalization of white space (RFC 6376 §3.4.4), many octets at a time.
//!
//! The loop over a block has no branch, so that it compiles to vector instructions; what is left of a block is copied in
//! as many pieces as there are gaps in it.

/// Octets that are looked at together.
pub(crate) const BLOCK: usize = 64;
/// A block and what follows it, on which the fate of its last octets depends.
pub(crate) const WINDOW: usize = BLOCK + 2;
/// Octets that wait before they are hashed.
const ENOUGH: usize = 4096;
/// Pieces up to this length are copied with octets behind them: a fixed length takes two instructions.
const SHORT: usize = 32;

/// Canonical octets that wait for being hashed together: a call of the hash function costs as much as hashing a hundred
/// octets. Line ends stay, also those of empty lines.
pub(crate) struct Waiting {
    /// Of fixed length, some blocks longer than what waits.
    octets: Vec<u8>,
    length: usize,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Waiting {
            octets: vec![0; ENOUGH + 4 * BLOCK],
            length: 0,
        }
    }

    /// Waits no longer: at most one block, or a few octets, may follow.
    pub(crate) fn is_enough(&self) -> bool {
        self.length >= ENOUGH
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.octets[self.length] = byte;
        self.length += 1;
    }

    /// Takes a CR at the end away.
    pub(crate) fn take_cr(&mut self) -> bool {
        let found = self.octets().last() == Some(&b'\r');
        self.length -= usize::from(found);
        found
    }

    /// Appends the block that the window begins with in canonical form.
    pub(crate) fn append(&mut self, window: &[u8; WINDOW]) {
        let out = &mut self.octets[self.length..self.length + 2 * BLOCK];
        out[..BLOCK].copy_from_slice(&window[..BLOCK]);
        let mut gone = [0u8; BLOCK];
        let (mut changes, mut tabs) = (0, 0);
        for at in 0..BLOCK {
            let (byte, next, third) = (window[at], window[at + 1], window[at + 2]);
            let ends_line = u8::from(next == b'\r') & u8::from(third == b'\n');
            // Of white space the last octet stays, unless the line ends.
            gone[at] = is_blank(byte) & (is_blank(next) | ends_line);
            changes |= gone[at];
            tabs |= u8::from(byte == b'\t');
        }
        let kept = match changes {
            0 => BLOCK,
            _ => pack(window, !bits(&gone), out),
        };
        if tabs != 0 {
            for byte in &mut out[..BLOCK] {
                *byte = if *byte == b'\t' { b' ' } else { *byte };
            }
        }
        self.length += kept;
    }
}

fn is_blank(byte: u8) -> u8 {
    u8::from(byte == b' ') | u8::from(byte == b'\t')
}

/// Octets of 0 and 1 as a number, the first as its lowest bit.
fn bits(octets: &[u8; BLOCK]) -> u64 {
    let mut found = 0;
    for (index, eight) in octets.chunks_exact(8).enumerate() {
        let number = eight.first_chunk().map_or(0, |e| u64::from_le_bytes(*e));
        // The product has the eight lowest bits next to each other at its top, and nothing carries into them.
        found |= (number.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    found
}

/// Copies the octets whose bit is set; returns their number.
fn pack(window: &[u8; WINDOW], mut kept: u64, out: &mut [u8]) -> usize {
    let (mut length, mut from) = (0, 0);
    while kept != 0 {
        let gap = kept.trailing_zeros();
        kept >>= gap;
        from += gap as usize;
        let run = kept.trailing_ones();
        let count = run as usize;
        if count <= SHORT && from + SHORT <= WINDOW {
            out[length..length + SHORT].copy_from_slice(&window[from..from + SHORT]);
        } else {
            out[length..length + count].copy_from_slice(&window[from..from + count]);
        }
        kept = kept.checked_shr(run).unwrap_or(0);
        from += count;
        length += count;
    }
    length
}
