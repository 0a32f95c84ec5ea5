//! Bindings of `smtpdata`: receivers for SMTP DATA and IMAP literals, staged messages, batch reads.
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smtpdata::{BareCrFinder, DataDecoder, LineFixer, Staged, Staging};

use crate::dkim;
use crate::mime::ParsedMessage;

/// Input below this size is decoded with the interpreter lock held: releasing it costs more.
const DETACH_BYTES: usize = 16 * 1024;

fn maybe_detach<T: Send>(py: Python<'_>, size: usize, work: impl FnOnce() -> T + Send) -> T {
    if size >= DETACH_BYTES {
        py.detach(work)
    } else {
        work()
    }
}

/// Line ends repaired on the way into the staging area, with a size limit.
struct Sink {
    fixer: LineFixer,
    staging: Option<Staging>,
    max_size: u64,
}

impl Sink {
    fn new(tmp_dir: PathBuf, memory_limit: usize, max_size: u64) -> Self {
        Self {
            fixer: LineFixer::new(),
            staging: Some(Staging::new(tmp_dir, memory_limit)),
            max_size,
        }
    }

    fn write(&mut self, data: &[u8]) {
        let staging = &mut self.staging;
        self.fixer.feed(data, |piece| {
            if let Some(staging) = staging {
                staging.write(piece);
            }
        });
        if self.too_big() {
            self.staging = None;
        }
    }

    fn too_big(&self) -> bool {
        self.fixer.facts().size > self.max_size
    }

    fn finish(&mut self) -> PyResult<StagedMessage> {
        let staging = self
            .staging
            .take()
            .ok_or_else(|| PyValueError::new_err("message was refused or taken"))?;
        let facts = self.fixer.facts();
        let staged = staging
            .finish()
            .map_err(|err| PyOSError::new_err(err.to_string()))?;
        Ok(StagedMessage {
            staged: Some(staged),
            size: facts.size,
            has_8bit: facts.has_8bit,
            have_body: facts.have_body,
        })
    }
}

/// Receives the content of one SMTP DATA command.
#[pyclass(module = "mox._rust")]
struct DataReceiver {
    decoder: DataDecoder,
    sink: Sink,
    #[pyo3(get)]
    done: bool,
}

#[pymethods]
impl DataReceiver {
    #[new]
    #[pyo3(signature = (tmp_dir, max_size, memory_limit = 1 << 20))]
    fn new(tmp_dir: PathBuf, max_size: u64, memory_limit: usize) -> Self {
        Self {
            decoder: DataDecoder::new(),
            sink: Sink::new(tmp_dir, memory_limit, max_size),
            done: false,
        }
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> usize {
        let (decoder, sink) = (&mut self.decoder, &mut self.sink);
        let progress = maybe_detach(py, data.len(), || {
            decoder.feed(data, |piece| sink.write(piece))
        });
        self.done = progress.done;
        progress.consumed
    }

    #[getter]
    fn error(&self) -> Option<&'static str> {
        if self.decoder.suspicious() {
            Some("smuggling")
        } else if self.sink.too_big() {
            Some("too big")
        } else {
            None
        }
    }

    fn finish(&mut self) -> PyResult<StagedMessage> {
        if !self.done || self.error().is_some() {
            return Err(PyValueError::new_err("no complete and acceptable message"));
        }
        self.sink.finish()
    }
}

/// Receives the content of a sequence of BDAT commands.
#[pyclass(module = "mox._rust")]
struct ChunkReceiver {
    finder: Option<BareCrFinder>,
    sink: Sink,
}

#[pymethods]
impl ChunkReceiver {
    #[new]
    #[pyo3(signature = (tmp_dir, max_size, is_binary, memory_limit = 1 << 20))]
    fn new(tmp_dir: PathBuf, max_size: u64, is_binary: bool, memory_limit: usize) -> Self {
        let mut sink = Sink::new(tmp_dir, memory_limit, max_size);
        if is_binary {
            sink.fixer = LineFixer::verbatim();
        }
        Self {
            finder: (!is_binary).then(BareCrFinder::new),
            sink,
        }
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> usize {
        let (finder, sink) = (&mut self.finder, &mut self.sink);
        maybe_detach(py, data.len(), || {
            if let Some(finder) = finder {
                finder.feed(data);
            }
            sink.write(data);
        });
        data.len()
    }

    /// The command that carries the last chunk says so; the content does not.
    #[getter]
    fn done(&self) -> bool {
        false
    }

    #[getter]
    fn error(&self) -> Option<&'static str> {
        if self.finder.as_ref().is_some_and(BareCrFinder::found) {
            Some("smuggling")
        } else if self.sink.too_big() {
            Some("too big")
        } else {
            None
        }
    }

    fn finish(&mut self) -> PyResult<StagedMessage> {
        if self.error().is_some() {
            return Err(PyValueError::new_err("no acceptable message"));
        }
        self.sink.finish()
    }
}

/// Receives an IMAP message literal of a known size.
#[pyclass(module = "mox._rust")]
struct LiteralReceiver {
    sink: Sink,
    #[pyo3(get)]
    remaining: u64,
}

#[pymethods]
impl LiteralReceiver {
    #[new]
    #[pyo3(signature = (tmp_dir, size, memory_limit = 1 << 20))]
    fn new(tmp_dir: PathBuf, size: u64, memory_limit: usize) -> Self {
        Self {
            sink: Sink::new(tmp_dir, memory_limit, u64::MAX),
            remaining: size,
        }
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> usize {
        let take = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(data.len());
        let sink = &mut self.sink;
        maybe_detach(py, take, || sink.write(&data[..take]));
        self.remaining -= take as u64;
        take
    }

    #[getter]
    fn done(&self) -> bool {
        self.remaining == 0
    }

    fn finish(&mut self) -> PyResult<StagedMessage> {
        if self.remaining > 0 {
            return Err(PyValueError::new_err("the literal is not complete"));
        }
        self.sink.finish()
    }
}

/// Complete content of a message, not yet durable.
#[pyclass(module = "mox._rust")]
struct StagedMessage {
    staged: Option<Staged>,
    #[pyo3(get)]
    size: u64,
    #[pyo3(get)]
    has_8bit: bool,
    #[pyo3(get)]
    have_body: bool,
}

impl StagedMessage {
    fn staged(&self) -> PyResult<&Staged> {
        self.staged
            .as_ref()
            .ok_or_else(|| PyValueError::new_err("message was discarded"))
    }
}

#[pymethods]
impl StagedMessage {
    #[pyo3(signature = (prefix = Vec::new()))]
    fn parse(&self, py: Python<'_>, prefix: Vec<u8>) -> PyResult<ParsedMessage> {
        let staged = self.staged()?;
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        maybe_detach(py, size, || {
            staged.with_content(|data| ParsedMessage::parse(&prefix, data))
        })
        .map_err(|err| PyOSError::new_err(err.to_string()))
    }

    fn body_hashes<'py>(
        &self,
        py: Python<'py>,
        specs: Vec<dkim::Spec>,
    ) -> PyResult<Vec<dkim::Hash<'py>>> {
        let staged = self.staged()?;
        let specs = dkim::specs(&specs)?;
        let hashes = py
            .detach(|| {
                staged.with_content(|data| dkimcanon::hash_bodies(dkimcanon::body_of(data), &specs))
            })
            .map_err(|err| PyOSError::new_err(err.to_string()))?;
        Ok(hashes.into_iter().map(|h| dkim::hash(py, h)).collect())
    }

    /// Parse and store in one call without the interpreter lock: what a delivery does before its transaction.
    #[pyo3(signature = (prefix, path, durable = true))]
    fn parse_and_store(
        &self,
        py: Python<'_>,
        prefix: Vec<u8>,
        path: PathBuf,
        durable: bool,
    ) -> PyResult<ParsedMessage> {
        let staged = self.staged()?;
        py.detach(|| {
            if durable {
                staged.store(&path)?;
            } else {
                staged.write(&path)?;
            }
            staged.with_content(|data| ParsedMessage::parse(&prefix, data))
        })
        .map_err(os_error)
    }

    fn store(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let staged = self.staged()?;
        py.detach(|| staged.store(&path)).map_err(os_error)
    }

    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let data = self
            .staged()?
            .with_content(<[u8]>::to_vec)
            .map_err(os_error)?;
        Ok(PyBytes::new(py, &data))
    }

    fn discard(&mut self) {
        self.staged = None;
    }
}

fn os_error(err: std::io::Error) -> PyErr {
    // Keeps errno, so that Python sees FileExistsError, ENOSPC and the like.
    PyErr::from(err)
}

#[pyfunction]
fn stage_bytes(data: &[u8]) -> PyResult<StagedMessage> {
    let mut sink = Sink::new(PathBuf::new(), usize::MAX, u64::MAX);
    sink.write(data);
    sink.finish()
}

#[pyfunction]
fn fsync_dir(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    py.detach(|| smtpdata::fsync_dir(&path)).map_err(os_error)
}

#[pyfunction]
fn sync_files(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<()> {
    py.detach(|| smtpdata::sync_files(&paths)).map_err(os_error)
}

#[pyfunction]
fn encode_data<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let wire =
        smtpdata::encode_data(content).map_err(|err| PyValueError::new_err(format!("{err:?}")))?;
    Ok(PyBytes::new(py, &wire))
}

/// Part `start..end` of prefix + file; shorter when the content ends earlier.
fn read_range(prefix: &[u8], path: &Path, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let split = prefix.len() as u64;
    let (from, to) = (start.min(split), end.min(split));
    let wanted = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    let mut data = Vec::with_capacity(wanted.min(1 << 26));
    data.extend_from_slice(
        &prefix[usize::try_from(from).unwrap_or(0)..usize::try_from(to.max(from)).unwrap_or(0)],
    );
    if end > split && end > start {
        let mut file = File::open(path)?;
        let offset = start.max(split) - split;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        file.take(end - start.max(split)).read_to_end(&mut data)?;
    }
    Ok(data)
}

#[pyfunction]
fn read_ranges<'py>(
    py: Python<'py>,
    requests: Vec<(Vec<u8>, PathBuf, u64, u64)>,
) -> Vec<Option<Bound<'py, PyBytes>>> {
    let read: Vec<Option<Vec<u8>>> = py.detach(|| {
        requests
            .iter()
            .map(|(prefix, path, start, end)| read_range(prefix, path, *start, *end).ok())
            .collect()
    });
    read.into_iter()
        .map(|data| data.map(|d| PyBytes::new(py, &d)))
        .collect()
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<DataReceiver>()?;
    m.add_class::<ChunkReceiver>()?;
    m.add_class::<LiteralReceiver>()?;
    m.add_class::<StagedMessage>()?;
    m.add_function(wrap_pyfunction!(stage_bytes, m)?)?;
    m.add_function(wrap_pyfunction!(fsync_dir, m)?)?;
    m.add_function(wrap_pyfunction!(sync_files, m)?)?;
    m.add_function(wrap_pyfunction!(encode_data, m)?)?;
    m.add_function(wrap_pyfunction!(read_ranges, m)?)
}
