//! Bindings of `imapparse` and `imapbatch`.
use pyo3::prelude::*;

mod batch;
mod index;
mod reader;
mod render;
mod search;
mod text;

/// Adds the classes and functions of these files to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    reader::register(m)?;
    index::register(m)?;
    batch::register(m)?;
    search::register(m)?;
    text::register(m)?;
    render::register(m)
}
