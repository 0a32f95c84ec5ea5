//! Message content on its way in: SMTP DATA and BDAT framing, line-end repair, and durable staging.
//!
//! [`DataDecoder`] removes dots and finds the end of data without being fooled by smuggled ends. [`LineFixer`] turns
//! bare LF into CRLF and learns facts about the content. [`Staging`] collects it in memory, then in a temporary file.

mod chunk;
mod decoder;
mod encoder;
mod fixer;
mod staging;

pub use chunk::BareCrFinder;
pub use decoder::{DataDecoder, Progress};
pub use encoder::{encode_data, EncodeError};
pub use fixer::{Facts, LineFixer};
pub use staging::{fsync_dir, sync_files, Staged, Staging};

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
