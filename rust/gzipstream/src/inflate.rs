//! Decompression with bounded output.
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::Format;

/// The compressed stream is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the compressed stream is broken")
    }
}

impl std::error::Error for Corrupt {}

/// Decompresses a stream. Output is given as soon as the input allows, so that after a flush of the sender nothing is
/// held back; how much at once is the caller's choice, so that small input cannot become huge output unasked.
pub struct Inflater {
    inner: Decompress,
    /// Input that awaits room for its output.
    pending: Vec<u8>,
    /// Octets of `pending` that are used.
    used: usize,
    /// More output may be there without more input.
    more: bool,
    done: bool,
    broken: bool,
}

impl Inflater {
    /// At the beginning of a stream.
    pub fn new(format: Format) -> Self {
        let inner = match format {
            Format::Gzip => Decompress::new_gzip(15),
            Format::Raw => Decompress::new(false),
        };
        Inflater {
            inner,
            pending: Vec::new(),
            used: 0,
            more: false,
            done: false,
            broken: false,
        }
    }

    /// Takes `data`; returns at most `max_output` bytes. While [`Inflater::has_more`], calls without data give the rest.
    ///
    /// # Errors
    /// [`Corrupt`], also on every later call. Output that came before the error is lost with it.
    pub fn feed(&mut self, data: &[u8], max_output: usize) -> Result<Vec<u8>, Corrupt> {
        if self.broken {
            return Err(Corrupt);
        }
        if self.pending.is_empty() && !self.done {
            let (out, used) = self.run(data, max_output)?;
            self.pending.extend_from_slice(&data[used..]);
            return Ok(out);
        }
        self.pending.extend_from_slice(data);
        let pending = std::mem::take(&mut self.pending);
        let (out, used) = self.run(&pending[self.used..], max_output)?;
        self.pending = pending;
        self.used += used;
        // Moving the rest only now and then keeps many small steps linear.
        if self.used > self.pending.len() / 2 {
            self.pending.drain(..self.used);
            self.used = 0;
        }
        Ok(out)
    }

    /// Output and count of input octets used.
    fn run(&mut self, data: &[u8], max_output: usize) -> Result<(Vec<u8>, usize), Corrupt> {
        let mut out = Vec::new();
        let mut used = 0;
        self.more = !self.done;
        while !self.done && out.len() < max_output {
            let room = (data.len() - used).saturating_mul(4).clamp(256, 64 * 1024);
            let room = room.min(max_output - out.len());
            let start = out.len();
            out.resize(start + room, 0);
            let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
            let status =
                self.inner
                    .decompress(&data[used..], &mut out[start..], FlushDecompress::None);
            // Both are bounded by the slices' lengths.
            let written = usize::try_from(self.inner.total_out() - before_out).unwrap_or(0);
            used += usize::try_from(self.inner.total_in() - before_in).unwrap_or(0);
            out.truncate(start + written);
            match status {
                Ok(Status::StreamEnd) => {
                    self.done = true;
                    self.more = false;
                }
                Ok(_) if written < room => {
                    // Not for lack of room: it needs more input.
                    self.more = false;
                    break;
                }
                Ok(_) => {}
                Err(_) => {
                    self.broken = true;
                    return Err(Corrupt);
                }
            }
        }
        Ok((out, used))
    }

    /// The last call stopped at its limit, and there may be more.
    pub fn has_more(&self) -> bool {
        self.more && !self.broken
    }

    /// The end of the stream was reached.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes out what followed the end of the stream.
    pub fn take_unused(&mut self) -> Vec<u8> {
        if !self.done {
            return Vec::new();
        }
        let used = std::mem::take(&mut self.used);
        std::mem::take(&mut self.pending).split_off(used)
    }
}
