//! IMAP on the wire (RFC 9051 and RFC 3501): commands in, responses out, and the sets and indexes between them.
//!
//! [`CommandReader`] cuts the byte stream into commands and literals under explicit limits and parses them into
//! [`Command`]s. [`SessionView`] maps sequence numbers to UIDs for one session; [`MailboxIndex`] keeps the changing facts
//! of a mailbox packed, and answers FETCH and SEARCH on them. [`render`] writes response data.

mod command;
mod fetch;
mod grammar;
mod index;
mod list;
mod mailboxes;
mod metadata;
mod notify;
mod parser;
mod reader;
pub mod render;
mod search;
mod set;
mod sort;
mod utf7;
mod view;

pub use command::{Command, Value};
pub use index::{Facts, FlagEdit, FlagPlan, HotItem, MailboxIndex, Row, SearchKey, SearchPlan};
pub use list::list_match;
pub use parser::ParseError;
pub use reader::{AppendStart, CommandReader, Event, Limits};
pub use set::{format_set, SequenceSet};
pub use utf7::{decode_utf7, encode_utf7};
pub use view::SessionView;

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
