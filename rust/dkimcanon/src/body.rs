//! Body canonicalization and hashing, in pieces of any size.
use aws_lc_rs::digest;

use crate::scan::clean_prefix;

/// A canonicalization algorithm (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Canon {
    /// Nearly no change.
    Simple,
    /// White space and the case of field names may change on the way.
    Relaxed,
}

impl Canon {
    /// By its name in `c=`, any case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("simple") {
            Some(Canon::Simple)
        } else if name.eq_ignore_ascii_case("relaxed") {
            Some(Canon::Relaxed)
        } else {
            None
        }
    }
}

/// A hash algorithm of `a=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Only for judging old signatures (RFC 8301).
    Sha1,
    /// The algorithm in use.
    Sha256,
}

impl Algorithm {
    /// By its name in `a=`, any case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("sha256") {
            Some(Algorithm::Sha256)
        } else if name.eq_ignore_ascii_case("sha1") {
            Some(Algorithm::Sha1)
        } else {
            None
        }
    }
}

/// Receives canonical bytes: hashes those within the limit of `l=`, counts all.
struct Sink {
    context: digest::Context,
    /// Short pieces wait here: a call of the hash function costs as much as hashing a hundred octets.
    waiting: Vec<u8>,
    /// Octets still to be hashed; `u64::MAX` stands for no limit.
    left: u64,
    total: u64,
}

/// Pieces from this length on are hashed where they are.
const LONG_PIECE: usize = 512;
/// Octets that wait at most.
const MAX_WAITING: usize = 4096;

impl Sink {
    fn new(algorithm: &'static digest::Algorithm, length: Option<u64>) -> Self {
        Sink {
            context: digest::Context::new(algorithm),
            waiting: Vec::new(),
            left: length.unwrap_or(u64::MAX),
            total: 0,
        }
    }

    fn emit(&mut self, data: &[u8]) {
        let length = data.len() as u64;
        self.total += length;
        let take = length.min(self.left);
        if self.left != u64::MAX {
            self.left -= take;
        }
        // `take` is at most the slice's length.
        let data = &data[..usize::try_from(take).unwrap_or(data.len())];
        if data.len() < LONG_PIECE {
            self.waiting.extend_from_slice(data);
            if self.waiting.len() < MAX_WAITING {
                return;
            }
        }
        self.context.update(&self.waiting);
        self.waiting.clear();
        if data.len() >= LONG_PIECE {
            self.context.update(data);
        }
    }

    fn finish(mut self) -> digest::Digest {
        self.context.update(&self.waiting);
        self.context.finish()
    }
}

/// The result of hashing a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyHash {
    /// The hash, for `bh=`.
    pub digest: Vec<u8>,
    /// Octets of the whole canonical body. A signature whose `l=` exceeds it is not valid (RFC 6376 §3.5).
    pub length: u64,
}

/// Hash of a canonicalized body (RFC 6376 §3.4.3, §3.4.4, §3.7). Only CRLF ends a line; lone CR and LF are text.
///
/// ```
/// use dkimcanon::{Algorithm, BodyHasher, Canon};
///
/// let mut hasher = BodyHasher::new(Canon::Relaxed, Algorithm::Sha256, None);
/// hasher.feed(b" C \r\nD \t ");
/// hasher.feed(b"E\r\n\r\n\r\n");
/// assert_eq!(hasher.finish().length, " C\r\nD E\r\n".len() as u64);
/// ```
pub struct BodyHasher {
    canon: Canon,
    sink: Sink,
    /// Line ends that count only if text follows.
    line_ends: u64,
    /// Relaxed: white space that counts only if more than a line end follows.
    white: bool,
    /// A CR whose LF may follow.
    cr: bool,
}

const CRLFS: [u8; 128] = {
    let mut bytes = [b'\r'; 128];
    let mut i = 1;
    while i < bytes.len() {
        bytes[i] = b'\n';
        i += 2;
    }
    bytes
};

impl BodyHasher {
    /// `length` is the value of `l=`: canonical octets to hash.
    pub fn new(canon: Canon, algorithm: Algorithm, length: Option<u64>) -> Self {
        let algorithm = match algorithm {
            Algorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => &digest::SHA256,
        };
        BodyHasher {
            canon,
            sink: Sink::new(algorithm, length),
            line_ends: 0,
            white: false,
            cr: false,
        }
    }

    /// The next piece of the body.
    pub fn feed(&mut self, mut data: &[u8]) {
        while let Some(first) = data.first() {
            let in_text = !self.cr && !self.white && !self.is_special(*first);
            let clean = if in_text {
                clean_prefix(data, self.canon)
            } else {
                0
            };
            let (text, rest) = data.split_at(clean);
            if !text.is_empty() {
                self.flush();
                self.sink.emit(text);
            }
            data = self.feed_slowly(rest);
        }
    }

    /// Takes bytes one by one until plain text begins again.
    fn feed_slowly<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        for (index, byte) in data.iter().enumerate() {
            let was_special = self.cr || self.white || self.line_ends > 0;
            self.step(*byte);
            if was_special && !self.cr && !self.white && self.line_ends == 0 {
                return data.get(index + 1..).unwrap_or_default();
            }
        }
        &[]
    }

    fn step(&mut self, byte: u8) {
        if std::mem::take(&mut self.cr) {
            if byte == b'\n' {
                self.white = false;
                self.line_ends += 1;
                return;
            }
            self.flush();
            self.sink.emit(b"\r");
        }
        match byte {
            b'\r' => self.cr = true,
            b' ' | b'\t' if self.canon == Canon::Relaxed => self.white = true,
            _ => {
                self.flush();
                self.sink.emit(&[byte]);
            }
        }
    }

    fn is_special(&self, byte: u8) -> bool {
        byte == b'\r' || (self.canon == Canon::Relaxed && matches!(byte, b' ' | b'\t'))
    }

    /// Text follows: what was held back before it counts.
    fn flush(&mut self) {
        let mut octets = self.line_ends * 2;
        self.line_ends = 0;
        while octets > 0 {
            let count = octets.min(CRLFS.len() as u64);
            // At most 128.
            self.sink.emit(&CRLFS[..count as usize]);
            octets -= count;
        }
        if std::mem::take(&mut self.white) {
            self.sink.emit(b" ");
        }
    }

    /// The body is complete.
    pub fn finish(mut self) -> BodyHash {
        if std::mem::take(&mut self.cr) {
            self.flush();
            self.sink.emit(b"\r");
        }
        if self.canon == Canon::Simple || self.sink.total > 0 {
            self.sink.emit(b"\r\n");
        }
        let length = self.sink.total;
        BodyHash {
            digest: self.sink.finish().as_ref().to_vec(),
            length,
        }
    }
}

/// What one signature wants hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodySpec {
    /// Canonicalization.
    pub canon: Canon,
    /// Hash algorithm.
    pub algorithm: Algorithm,
    /// Value of `l=`.
    pub length: Option<u64>,
}

/// Bytes that all hashers read before the next are touched: stays in the processor's cache.
const BLOCK: usize = 64 * 1024;

/// The hashes of one body for several signatures, in their order; equal wishes are computed once.
pub fn hash_bodies(body: &[u8], specs: &[BodySpec]) -> Vec<BodyHash> {
    let mut distinct: Vec<BodySpec> = Vec::new();
    let mut places = Vec::with_capacity(specs.len());
    for spec in specs {
        let place = distinct.iter().position(|known| known == spec);
        places.push(place.unwrap_or(distinct.len()));
        if place.is_none() {
            distinct.push(*spec);
        }
    }
    let mut hashers: Vec<BodyHasher> = distinct
        .iter()
        .map(|spec| BodyHasher::new(spec.canon, spec.algorithm, spec.length))
        .collect();
    for block in body.chunks(BLOCK) {
        for hasher in &mut hashers {
            hasher.feed(block);
        }
    }
    let hashes: Vec<BodyHash> = hashers.into_iter().map(BodyHasher::finish).collect();
    places
        .into_iter()
        .filter_map(|place| hashes.get(place).cloned())
        .collect()
}
