//! DKIM canonicalization and hashing (RFC 6376 §3.4, §3.7, RFC 8301, RFC 8463), also what ARC (RFC 8617) takes from it.
//!
//! [`BodyHasher`] takes a body in pieces of any size, [`hash_bodies`] hashes one body for several signatures,
//! [`signed_data`] gives the octets that a signature signs, [`canon_header`] one field of them. Keys, tags and DNS are
//! the caller's. Nothing here fails or grows with hostile input: hashing needs constant memory, and choosing fields
//! needs time and memory proportional to the header.

#![forbid(unsafe_code)]

mod body;
mod header;
mod relaxed;

pub use body::{hash_bodies, Algorithm, BodyHash, BodyHasher, BodySpec, Canon};
pub use header::{
    body_of, canon_header, signed_data, split_fields, without_signature_value, Field, Malformed,
};

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
