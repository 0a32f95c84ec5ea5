//! What IMAP does with whole batches of stored messages: render FETCH, decide SEARCH keys, SORT and THREAD.
//!
//! Input is rows of a message table and the paths of message files; output is wire bytes or UIDs. The changing facts of
//! messages come from [`imapparse::MailboxIndex`], which the caller locks for as short as it likes.

mod block;
mod date;
mod fetch;
mod message;
mod search;
mod signature;
mod sort;
mod thread;

pub use block::{add as add_to_block, Block, Slots, SLOTS};
pub use date::{parse_date, SentDate};
pub use fetch::{render, Failure, Item, Kind};
pub use message::{Cell, Column, Loader, Stored};
pub use search::{ColdKey, Tester};
pub use signature::{needle_bits, Signature};
pub use sort::{Criterion, Sorter};
pub use thread::{Algorithm, Threader};

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
