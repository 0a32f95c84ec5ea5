//! Compression with flushes at the caller's word.
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::Format;

/// Room for output that one call of the compressor gets.
const STEP: usize = 16 * 1024;
/// LZ77 window: 2^15, what every inflater must support (RFC 1951 §2).
const WINDOW_BITS: u8 = 15;

/// Compresses a stream. Memory is constant, about 270 kB, whatever goes through.
///
/// ```
/// use gzipstream::{Deflater, Format, Inflater};
///
/// let mut deflater = Deflater::new(Format::Raw, 6);
/// let mut wire = deflater.write(b"* OK hello\r\n");
/// wire.extend(deflater.flush());
/// let mut inflater = Inflater::new(Format::Raw);
/// assert_eq!(inflater.feed(&wire, 1000).unwrap(), b"* OK hello\r\n");
/// ```
pub struct Deflater {
    inner: Compress,
    /// Input was taken since the last flush.
    dirty: bool,
    finished: bool,
}

impl Deflater {
    /// `level` from 0 (stored) over 1 (fastest) to 9 (smallest); higher ones count as 9.
    pub fn new(format: Format, level: u32) -> Self {
        let level = Compression::new(level.min(9));
        let inner = match format {
            Format::Gzip => Compress::new_gzip(level, WINDOW_BITS),
            Format::Raw => Compress::new(level, false),
        };
        Deflater {
            inner,
            dirty: false,
            finished: false,
        }
    }

    /// Takes `data`; returns compressed bytes that are ready, often none. Nothing happens after [`Deflater::finish`].
    pub fn write(&mut self, data: &[u8]) -> Vec<u8> {
        if self.finished || data.is_empty() {
            return Vec::new();
        }
        self.dirty = true;
        self.run(data, FlushCompress::None)
    }

    /// What makes every byte written so far decodable (a sync flush, RFC 1951 §3.2.4); nothing when that is so already.
    pub fn flush(&mut self) -> Vec<u8> {
        if self.finished || !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        self.run(&[], FlushCompress::Sync)
    }

    /// The end of the stream, with a trailer for gzip. Later calls return nothing.
    pub fn finish(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.finished, true) {
            return Vec::new();
        }
        self.run(&[], FlushCompress::Finish)
    }

    fn run(&mut self, mut data: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            out.reserve(STEP.min(data.len() + 64));
            let before = self.inner.total_in();
            let status = self.inner.compress_vec(data, &mut out, flush);
            // At most the slice's length.
            let taken = usize::try_from(self.inner.total_in() - before).unwrap_or(data.len());
            data = data.get(taken..).unwrap_or_default();
            let full = out.len() == out.capacity();
            match status {
                Ok(Status::StreamEnd) => break,
                Ok(_) if full || !data.is_empty() => {}
                // Finishing goes on until the end of the stream is written.
                Ok(Status::Ok) if matches!(flush, FlushCompress::Finish) => {}
                // The only failure is a state that cannot come up; the peer will see a stream that is cut off.
                _ => break,
            }
        }
        out
    }
}
