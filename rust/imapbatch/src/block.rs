//! Signatures of a thousand messages in a file, turned by 90 degrees: a row for each bit with a bit for each message, so
//! that a search reads a few rows and nothing else.
//!
//! A file is written whole under another name and renamed. It can always be made again from the messages.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::signature::{Signature, BITS};

/// Messages of a block.
pub const SLOTS: usize = 1024;
const ROW: usize = SLOTS / 8;
const MAGIC: &[u8; 8] = b"moxtext1";
const HEADER: usize = MAGIC.len() + ROW;
const SIZE: usize = HEADER + BITS * ROW;

/// A bit for each message of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots([u8; ROW]);

impl Slots {
    /// The message's bit.
    #[must_use]
    pub fn has(&self, slot: usize) -> bool {
        self.0
            .get(slot / 8)
            .is_some_and(|byte| byte >> (slot % 8) & 1 == 1)
    }

    /// The highest bit that is set.
    #[must_use]
    pub fn highest(&self) -> Option<usize> {
        (0..SLOTS).rev().find(|&slot| self.has(slot))
    }
}

/// A block's file, open for searching.
#[derive(Debug)]
pub struct Block {
    file: File,
    present: Slots,
}

impl Block {
    /// None when there is none, or none that can be understood.
    ///
    /// # Errors
    /// What opening and reading give otherwise.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let mut header = [0; HEADER];
        if file.metadata()?.len() != SIZE as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(MAGIC) {
            return Ok(None);
        }
        let mut present = Slots([0; ROW]);
        present.0.copy_from_slice(&header[MAGIC.len()..]);
        Ok(Some(Self { file, present }))
    }

    /// Messages that the block knows.
    #[must_use]
    pub fn present(&self) -> &Slots {
        &self.present
    }

    /// Messages, of those that it knows, that have all these bits.
    ///
    /// # Errors
    /// What reading gives.
    pub fn having(&self, bits: &[usize]) -> io::Result<Slots> {
        let mut found = self.present;
        let mut row = [0; ROW];
        for bit in bits {
            self.file
                .read_exact_at(&mut row, (HEADER + bit * ROW) as u64)?;
            for (all, one) in found.0.iter_mut().zip(row) {
                *all &= one;
            }
        }
        Ok(found)
    }
}

/// Add messages to the block's file, which need not be there.
///
/// # Errors
/// What reading and writing give.
pub fn add(path: &Path, messages: &[(usize, Signature)]) -> io::Result<()> {
    let mut data = match Block::open(path)? {
        Some(_) => fs::read(path)?,
        None => Vec::new(),
    };
    if data.len() != SIZE {
        data = vec![0; SIZE];
        data[..MAGIC.len()].copy_from_slice(MAGIC);
    }
    for (slot, signature) in messages.iter().filter(|(slot, _)| *slot < SLOTS) {
        let (at, mask) = (slot / 8, 1 << (slot % 8));
        data[MAGIC.len() + at] |= mask;
        for bit in signature.bits() {
            data[HEADER + bit * ROW + at] |= mask;
        }
    }
    // Processes may do this at the same time; what one of them lost is added another time.
    let own = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = File::create(&own)?;
    file.write_all(&data)?;
    // Rows of zeros under a header that says they are known would hide messages.
    file.sync_all()?;
    fs::rename(&own, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str) -> Signature {
        let message = format!("Subject: {text}\r\n\r\n");
        let parsed = mimeparse::parse(message.as_bytes(), &mimeparse::Limits::default());
        let root = mimeparse::read_structure(&mimeparse::write_structure(&parsed.root)).unwrap();
        Signature::new(message.as_bytes(), &root)
    }

    #[test]
    fn messages_are_found_by_their_bits() {
        let folder = std::env::temp_dir().join(format!("imapbatch-block-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("7");
        assert!(Block::open(&path).unwrap().is_none());
        add(
            &path,
            &[(0, signature("first one")), (9, signature("second"))],
        )
        .unwrap();
        add(&path, &[(1023, signature("the last one"))]).unwrap();
        let block = Block::open(&path).unwrap().unwrap();
        let having = |needle| {
            let found = block
                .having(&crate::signature::needle_bits(needle))
                .unwrap();
            (0..SLOTS)
                .filter(|&slot| found.has(slot))
                .collect::<Vec<_>>()
        };
        assert_eq!(having("one"), [0, 1023]);
        assert_eq!(having("second"), [9]);
        assert_eq!(having("third"), [0usize; 0]);
        assert_eq!(having("e"), [0, 9, 1023]);
        assert_eq!(block.present().highest(), Some(1023));
        assert!(!block.present().has(1) && !block.present().has(5000));
        fs::write(&path, b"something else").unwrap();
        assert!(Block::open(&path).unwrap().is_none());
        add(&path, &[(3, signature("anew"))]).unwrap();
        assert!(Block::open(&path).unwrap().unwrap().present().has(3));
        fs::remove_dir_all(&folder).unwrap();
    }
}
