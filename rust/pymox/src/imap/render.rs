//! Small renderers.
use imapparse::render;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

#[pyfunction]
#[pyo3(signature = (value, utf8 = false))]
fn quote_string<'py>(py: Python<'py>, value: &str, utf8: bool) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    render::string(&mut out, value.as_bytes(), utf8);
    PyBytes::new(py, &out)
}

#[pyfunction]
#[pyo3(signature = (value, utf8 = false))]
fn quote_astring(value: &str, utf8: bool) -> String {
    let mut out = Vec::new();
    render::astring(&mut out, value, utf8);
    String::from_utf8_lossy(&out).into_owned()
}

#[pyfunction]
#[pyo3(signature = (name, utf8 = false))]
fn quote_mailbox<'py>(py: Python<'py>, name: &str, utf8: bool) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    render::mailbox(&mut out, name, utf8);
    PyBytes::new(py, &out)
}

#[pyfunction]
fn format_set(mut uids: Vec<u32>) -> String {
    uids.sort_unstable();
    uids.dedup();
    imapparse::format_set(&uids)
}

#[pyfunction]
fn list_match(pattern: &str, name: &str) -> bool {
    imapparse::list_match(pattern, name)
}

/// `* VANISHED` lines of ascending UIDs.
#[pyfunction]
#[pyo3(signature = (uids, earlier = false))]
fn render_vanished<'py>(py: Python<'py>, uids: Vec<u32>, earlier: bool) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    render::vanished(&mut out, &uids, earlier);
    PyBytes::new(py, &out)
}

/// `* SEARCH` lines of numbers; with the highest modification sequence unless that is 0.
#[pyfunction]
fn render_search<'py>(py: Python<'py>, numbers: Vec<u32>, modseq: u64) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    render::search(&mut out, &numbers, modseq);
    PyBytes::new(py, &out)
}

#[pyfunction]
fn decode_utf7(name: &[u8]) -> PyResult<String> {
    imapparse::decode_utf7(name)
        .ok_or_else(|| pyo3::exceptions::PyValueError::new_err("not modified UTF-7"))
}

#[pyfunction]
fn encode_utf7(name: &str) -> String {
    imapparse::encode_utf7(name)
}

/// Adds this file's functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(quote_string, m)?)?;
    m.add_function(wrap_pyfunction!(quote_astring, m)?)?;
    m.add_function(wrap_pyfunction!(quote_mailbox, m)?)?;
    m.add_function(wrap_pyfunction!(render_vanished, m)?)?;
    m.add_function(wrap_pyfunction!(render_search, m)?)?;
    m.add_function(wrap_pyfunction!(decode_utf7, m)?)?;
    m.add_function(wrap_pyfunction!(encode_utf7, m)?)?;
    m.add_function(wrap_pyfunction!(format_set, m)?)?;
    m.add_function(wrap_pyfunction!(list_match, m)?)
}
