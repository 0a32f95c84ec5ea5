//! A row of the message table, and the message's bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A number.
    Int(i64),
    /// Octets or UTF-8 text.
    Bytes(&'a [u8]),
}

/// Columns that items and keys may need, by the name they have in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The stored part tree.
    Structure,
    /// Rendered ENVELOPE.
    Envelope,
    /// Rendered BODY.
    Body,
    /// Rendered BODYSTRUCTURE.
    BodyStructure,
    /// The header section, up to the store's limit.
    Header,
    /// Octets of the whole header section.
    HeaderSize,
    /// What comes before the file's content.
    Prefix,
    /// Number of the file.
    BlobId,
    /// Preview text.
    Preview,
    /// Base subject.
    SubjectBase,
    /// Canonical Message-ID.
    MessageRef,
    /// Thread.
    ThreadId,
}

impl Column {
    /// Name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Envelope => "envelope",
            Self::Body => "body",
            Self::BodyStructure => "bodystructure",
            Self::Header => "header",
            Self::HeaderSize => "header_size",
            Self::Prefix => "prefix",
            Self::BlobId => "blob_id",
            Self::Preview => "preview",
            Self::SubjectBase => "subject_base",
            Self::MessageRef => "message_ref",
            Self::ThreadId => "thread_id",
        }
    }
}

/// A row: its UID, the message's size, and the columns that were asked for, in that order.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// UID.
    pub uid: u32,
    /// Octets of prefix and content.
    pub size: u64,
    /// Names of `cells`.
    pub columns: &'a [Column],
    /// Values.
    pub cells: &'a [Cell<'a>],
    /// Where the content is; None when it was not asked for.
    pub path: Option<&'a Path>,
}

impl<'a> Stored<'a> {
    /// A column's value; NULL when it was not asked for.
    #[must_use]
    pub fn cell(&self, column: Column) -> Cell<'a> {
        let at = self.columns.iter().position(|c| *c == column);
        at.and_then(|at| self.cells.get(at))
            .copied()
            .unwrap_or(Cell::Null)
    }

    /// Octets of a column; empty when there are none.
    #[must_use]
    pub fn bytes(&self, column: Column) -> &'a [u8] {
        match self.cell(column) {
            Cell::Bytes(data) => data,
            _ => &[],
        }
    }

    /// Text of a column.
    #[must_use]
    pub fn text(&self, column: Column) -> &'a str {
        std::str::from_utf8(self.bytes(column)).unwrap_or_default()
    }

    /// A column's number; 0 when there is none.
    #[must_use]
    pub fn int(&self, column: Column) -> i64 {
        match self.cell(column) {
            Cell::Int(number) => number,
            _ => 0,
        }
    }
}

/// Messages up to this size are read at once when any part of them is wanted.
const WHOLE_BYTES: u64 = 1 << 20;

/// Reads parts of messages; keeps the last message that is not too long.
#[derive(Debug, Default)]
pub struct Loader {
    whole: Option<u32>,
    buffer: Vec<u8>,
}

impl Loader {
    /// Octets `start..end` of a message, shorter when it ends earlier.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn range(&mut self, message: &Stored<'_>, start: u64, end: u64) -> io::Result<&[u8]> {
        if message.size <= WHOLE_BYTES {
            if self.whole != Some(message.uid) {
                self.whole = None;
                self.read(message, 0, message.size)?;
                self.whole = Some(message.uid);
            }
            let length = self.buffer.len();
            let at = |offset: u64| usize::try_from(offset).unwrap_or(length).min(length);
            return Ok(&self.buffer[at(start)..at(end).max(at(start))]);
        }
        self.whole = None;
        self.read(message, start, end.min(message.size))?;
        Ok(&self.buffer)
    }

    fn read(&mut self, message: &Stored<'_>, start: u64, end: u64) -> io::Result<()> {
        self.buffer.clear();
        let prefix = message.bytes(Column::Prefix);
        let split = prefix.len() as u64;
        let cut = |offset: u64| usize::try_from(offset.min(split)).unwrap_or(prefix.len());
        self.buffer
            .extend_from_slice(&prefix[cut(start)..cut(end).max(cut(start))]);
        if end <= split || end <= start {
            return Ok(());
        }
        let path = message
            .path
            .ok_or_else(|| io::Error::other("the message's file was not asked for"))?;
        let mut file = File::open(path)?;
        let from = start.max(split) - split;
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        let wanted = end - start.max(split);
        self.buffer
            .reserve_exact(usize::try_from(wanted).unwrap_or(0).min(1 << 30));
        file.take(wanted).read_to_end(&mut self.buffer)?;
        Ok(())
    }

    /// The header section: the stored one, or from the file when that was cut.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn header<'s>(&'s mut self, message: &Stored<'s>) -> io::Result<&'s [u8]> {
        let size = u64::try_from(message.int(Column::HeaderSize)).unwrap_or(0);
        let kept = message.bytes(Column::Header);
        if size <= kept.len() as u64 {
            return Ok(kept);
        }
        self.range(message, 0, size)
    }
}
