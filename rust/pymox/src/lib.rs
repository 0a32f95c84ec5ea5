//! `mox._rust`: conversions between Python and the pure crates. No logic lives here.
use pyo3::prelude::*;

mod data;
mod dkim;
mod gzip;
mod imap;
mod mime;
mod regexp;
mod tls;

#[pymodule]
fn _rust(m: &Bound<'_, PyModule>) -> PyResult<()> {
    mime::register(m)?;
    imap::register(m)?;
    data::register(m)?;
    dkim::register(m)?;
    gzip::register(m)?;
    regexp::register(m)?;
    tls::register(m)
}
