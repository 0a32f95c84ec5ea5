//! Bindings of `gzipstream`.
use gzipstream::{Deflater, Format, Inflater};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Input above this size is worth handing the interpreter lock to another thread.
const DETACH_BYTES: usize = 2048;

fn compress<'py>(
    py: Python<'py>,
    deflater: &mut Deflater,
    data: &[u8],
    flush: bool,
) -> Bound<'py, PyBytes> {
    let mut run = || {
        let mut out = deflater.write(data);
        if flush {
            out.extend(deflater.flush());
        }
        out
    };
    let out = if data.len() > DETACH_BYTES {
        py.detach(run)
    } else {
        run()
    };
    PyBytes::new(py, &out)
}

/// A gzip stream (RFC 1952) being written.
#[pyclass(module = "mox._rust")]
struct GzipStream(Deflater);

#[pymethods]
impl GzipStream {
    #[new]
    #[pyo3(signature = (level=1))]
    fn new(level: u32) -> Self {
        GzipStream(Deflater::new(Format::Gzip, level))
    }

    #[pyo3(signature = (data, flush=false))]
    fn write<'py>(&mut self, py: Python<'py>, data: &[u8], flush: bool) -> Bound<'py, PyBytes> {
        compress(py, &mut self.0, data, flush)
    }

    fn flush<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.flush())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.finish())
    }
}

/// A raw deflate stream (RFC 1951) being written.
#[pyclass(module = "mox._rust")]
struct Deflate(Deflater);

#[pymethods]
impl Deflate {
    #[new]
    #[pyo3(signature = (level=1))]
    fn new(level: u32) -> Self {
        Deflate(Deflater::new(Format::Raw, level))
    }

    #[pyo3(signature = (data, flush=false))]
    fn write<'py>(&mut self, py: Python<'py>, data: &[u8], flush: bool) -> Bound<'py, PyBytes> {
        compress(py, &mut self.0, data, flush)
    }

    fn flush<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.flush())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.finish())
    }
}

/// A raw deflate stream being read.
#[pyclass(module = "mox._rust")]
struct Inflate(Inflater);

#[pymethods]
impl Inflate {
    #[new]
    fn new() -> Self {
        Inflate(Inflater::new(Format::Raw))
    }

    #[pyo3(signature = (data, max_output=1 << 20))]
    fn feed<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        max_output: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let inflater = &mut self.0;
        let out = if data.len() > DETACH_BYTES {
            py.detach(|| inflater.feed(data, max_output))
        } else {
            inflater.feed(data, max_output)
        };
        match out {
            Ok(out) => Ok(PyBytes::new(py, &out)),
            Err(err) => Err(PyValueError::new_err(err.to_string())),
        }
    }

    #[getter]
    fn has_more(&self) -> bool {
        self.0.has_more()
    }

    #[getter]
    fn done(&self) -> bool {
        self.0.is_done()
    }
}

#[pyfunction]
fn accepts_gzip(accept_encoding: &str) -> bool {
    gzipstream::accepts_gzip(accept_encoding)
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<GzipStream>()?;
    m.add_class::<Deflate>()?;
    m.add_class::<Inflate>()?;
    m.add_function(wrap_pyfunction!(accepts_gzip, m)?)
}
