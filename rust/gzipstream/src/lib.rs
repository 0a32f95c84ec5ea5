//! Streaming compression for HTTP (gzip, RFC 1952) and IMAP COMPRESS (raw deflate, RFC 4978, RFC 1951).
//!
//! A [`Deflater`] flushes when told, and then every byte so far can be decoded. An [`Inflater`] gives all output that its
//! input allows, in portions as large as the caller wants. [`accepts_gzip`] reads Accept-Encoding.

#![forbid(unsafe_code)]

mod accept;
mod deflate;
mod inflate;

pub use accept::accepts_gzip;
pub use deflate::Deflater;
pub use inflate::{Corrupt, Inflater};

/// What surrounds the deflated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Header and checksum of RFC 1952.
    Gzip,
    /// Nothing (RFC 1951).
    Raw,
}

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
