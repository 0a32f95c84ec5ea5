//! The text index of an account.
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use imapbatch::{Block, Signature, Slots, SLOTS};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// Signatures of messages, in files of a folder.
#[pyclass(module = "mox._rust", frozen)]
pub struct TextIndex {
    folder: PathBuf,
}

/// What the index knows of a block for the needles of a search.
pub struct Known {
    present: Slots,
    /// For each needle the messages that may have it; None when that cannot be told.
    having: Vec<Option<Slots>>,
}

impl Known {
    /// What is known of key `number` for a message: it does not match, or nothing.
    pub fn of(&self, number: usize, slot: usize) -> Option<bool> {
        let slots = self.having.get(number)?.as_ref()?;
        (self.present.has(slot) && !slots.has(slot)).then_some(false)
    }

    /// The message is in the index.
    pub fn has(&self, slot: usize) -> bool {
        self.present.has(slot)
    }
}

/// Looks at each block once.
pub struct Lookup<'i> {
    index: &'i TextIndex,
    needles: Vec<Vec<usize>>,
    blocks: HashMap<u64, Option<Known>>,
}

impl Lookup<'_> {
    /// None when nothing is known of the message's block.
    pub fn block(&mut self, message_id: u64) -> io::Result<Option<&Known>> {
        let number = message_id / SLOTS as u64;
        if !self.blocks.contains_key(&number) {
            let known = match Block::open(&self.index.path(number))? {
                None => None,
                Some(block) => Some(Known {
                    present: *block.present(),
                    having: self
                        .needles
                        .iter()
                        .map(|bits| (!bits.is_empty()).then(|| block.having(bits)).transpose())
                        .collect::<io::Result<_>>()?,
                }),
            };
            self.blocks.insert(number, known);
        }
        Ok(self.blocks.get(&number).and_then(Option::as_ref))
    }
}

/// The message's place in its block.
pub fn slot(message_id: u64) -> usize {
    (message_id % SLOTS as u64) as usize
}

impl TextIndex {
    fn path(&self, block: u64) -> PathBuf {
        self.folder.join(block.to_string())
    }

    /// For needles; an empty one says nothing.
    pub fn lookup(&self, needles: &[&str]) -> Lookup<'_> {
        Lookup {
            index: self,
            needles: needles.iter().map(|n| imapbatch::needle_bits(n)).collect(),
            blocks: HashMap::new(),
        }
    }
}

fn signature(structure: &[u8], prefix: &[u8], path: &PathBuf) -> Option<Signature> {
    let root = mimeparse::read_structure(structure)?;
    let mut data = prefix.to_vec();
    data.extend_from_slice(&std::fs::read(path).ok()?);
    Some(Signature::new(&data, &root))
}

#[pymethods]
impl TextIndex {
    #[new]
    fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    #[classattr]
    const BLOCK: usize = SLOTS;

    /// The highest message id of the block that is in the index; None when there is none.
    fn highest(&self, py: Python<'_>, block: u64) -> PyResult<Option<u64>> {
        let found = py.detach(|| Block::open(&self.path(block)))?;
        let slot = found.and_then(|b| b.present().highest());
        Ok(slot.map(|slot| block * SLOTS as u64 + slot as u64))
    }

    /// Those of `message_ids`, all of one block, that are not in the index.
    fn missing(&self, py: Python<'_>, message_ids: Vec<u64>) -> PyResult<Vec<u64>> {
        let Some(first) = message_ids.first() else {
            return Ok(message_ids);
        };
        let path = self.path(first / SLOTS as u64);
        let Some(block) = py.detach(|| Block::open(&path))? else {
            return Ok(message_ids);
        };
        let unknown = |id: &u64| !block.present().has(slot(*id));
        Ok(message_ids.into_iter().filter(unknown).collect())
    }

    /// Add messages (id, structure, prefix, path) of one block. Those that cannot be read stay unknown.
    fn add(
        &self,
        py: Python<'_>,
        rows: Vec<(u64, PyBackedBytes, PyBackedBytes, PathBuf)>,
    ) -> PyResult<()> {
        let Some((first, ..)) = rows.first() else {
            return Ok(());
        };
        let path = self.path(first / SLOTS as u64);
        py.detach(|| {
            let messages: Vec<(usize, Signature)> = rows
                .iter()
                .filter_map(|(id, structure, prefix, path)| {
                    Some((slot(*id), signature(structure, prefix, path)?))
                })
                .collect();
            imapbatch::add_to_block(&path, &messages)
        })?;
        Ok(())
    }
}

/// Adds this file's class to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<TextIndex>()
}
