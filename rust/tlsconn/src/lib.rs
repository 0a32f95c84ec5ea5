//! TLS connections without sockets, for servers and clients, on rustls.
//!
//! A [`Connection`] takes bytes from the peer and gives plaintext and bytes to send. A server is accepted in two steps:
//! first the ClientHello is read ([`Connection::hello`]), then the caller chooses a configuration for it
//! ([`Connection::choose`]). Client certificates are judged by their public key alone ([`KnownKeys`]), without any CA.

#![forbid(unsafe_code)]

mod client;
mod config;
mod conn;
mod dane;
mod error;
mod spki;
mod tickets;

pub use client::{ClientConfig, ClientOptions, Judgement, Roots};
pub use config::{KnownKeys, ServerConfig, ServerOptions};
pub use conn::{Connection, Hello, Received, MAX_EXPORT_LEN, MAX_PENDING_BYTES};
pub use dane::Tlsa;
pub use error::{Error, Kind};
pub use spki::{key_digest, spki_of};
pub use tickets::TicketKeys;

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
