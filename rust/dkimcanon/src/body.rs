//! Body canonicalization and hashing, in pieces of any size.
use aws_lc_rs::digest;

use crate::relaxed::{Waiting, BLOCK, WINDOW};

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
    /// Octets still to be hashed; `u64::MAX` stands for no limit.
    left: u64,
    total: u64,
    /// Line ends that count only if text follows.
    line_ends: u64,
}

impl Sink {
    /// Canonical octets, no CRLF cut in two: those before the line ends at their end count.
    fn text(&mut self, data: &[u8]) {
        let mut text = data;
        while let Some(before) = text.strip_suffix(b"\r\n") {
            text = before;
        }
        if !text.is_empty() {
            self.emit_line_ends();
            self.emit(text);
        }
        self.line_ends += (data.len() - text.len()) as u64 / 2;
    }

    fn emit_line_ends(&mut self) {
        let mut octets = self.line_ends * 2;
        self.line_ends = 0;
        while octets > 0 {
            let count = octets.min(CRLFS.len() as u64);
            // At most 128.
            self.emit(&CRLFS[..count as usize]);
            octets -= count;
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
        self.context
            .update(&data[..usize::try_from(take).unwrap_or(data.len())]);
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
    /// Relaxed: canonical octets that are not hashed yet.
    waiting: Waiting,
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
            sink: Sink {
                context: digest::Context::new(algorithm),
                left: length.unwrap_or(u64::MAX),
                total: 0,
                line_ends: 0,
            },
            waiting: Waiting::new(),
            white: false,
            cr: false,
        }
    }

    /// The next piece of the body.
    pub fn feed(&mut self, data: &[u8]) {
        match self.canon {
            Canon::Simple => self.feed_simple(data),
            Canon::Relaxed => self.feed_relaxed(data),
        }
    }

    fn feed_simple(&mut self, mut data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if std::mem::take(&mut self.cr) {
            match data.strip_prefix(b"\n") {
                Some(rest) => {
                    self.sink.line_ends += 1;
                    data = rest;
                }
                None => self.sink.text(b"\r"),
            }
        }
        if let Some(before) = data.strip_suffix(b"\r") {
            self.cr = true;
            data = before;
        }
        self.sink.text(data);
    }

    fn feed_relaxed(&mut self, mut data: &[u8]) {
        loop {
            while self.cr || self.white || data.len() < WINDOW {
                let Some((&byte, rest)) = data.split_first() else {
                    return;
                };
                self.step(byte);
                data = rest;
            }
            while let Some(window) = data.first_chunk::<WINDOW>() {
                self.waiting.append(window);
                data = &data[BLOCK..];
                if self.waiting.is_enough() {
                    self.hash_waiting();
                }
            }
            self.cr = self.waiting.take_cr();
        }
    }

    /// One octet of a relaxed body, where it depends on others than those behind it.
    fn step(&mut self, byte: u8) {
        if std::mem::take(&mut self.cr) {
            if byte == b'\n' {
                self.white = false;
                self.waiting.push(b'\r');
                self.waiting.push(b'\n');
                return;
            }
            self.push(b'\r');
        }
        if self.waiting.is_enough() {
            self.hash_waiting();
        }
        match byte {
            b'\r' => self.cr = true,
            b' ' | b'\t' => self.white = true,
            _ => self.push(byte),
        }
    }

    /// Text of a relaxed body, and white space that was held back before it.
    fn push(&mut self, byte: u8) {
        if std::mem::take(&mut self.white) {
            self.waiting.push(b' ');
        }
        self.waiting.push(byte);
    }

    /// Hashes what waits, but for a CR at its end: its LF may follow.
    fn hash_waiting(&mut self) {
        let half = self.waiting.take_cr();
        self.sink.text(self.waiting.octets());
        self.waiting.clear();
        if half {
            self.waiting.push(b'\r');
        }
    }

    /// The body is complete.
    pub fn finish(mut self) -> BodyHash {
        if std::mem::take(&mut self.cr) {
            self.push(b'\r');
        }
        self.sink.text(self.waiting.octets());
        if self.canon == Canon::Simple || self.sink.total > 0 {
            self.sink.emit(b"\r\n");
        }
        BodyHash {
            digest: self.sink.context.finish().as_ref().to_vec(),
            length: self.sink.total,
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
const SHARE: usize = 64 * 1024;

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
    for share in body.chunks(SHARE) {
        for hasher in &mut hashers {
            hasher.feed(share);
        }
    }
    let hashes: Vec<BodyHash> = hashers.into_iter().map(BodyHasher::finish).collect();
    places
        .into_iter()
        .filter_map(|place| hashes.get(place).cloned())
        .collect()
}
