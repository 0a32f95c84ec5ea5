//! Bindings of `mimeparse`.
use mimeparse::{Limits, PartInfo, Section};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Octets of the header section that are kept with the message; longer ones are read from the file.
const KEPT_HEADER_BYTES: usize = 64 * 1024;

type AddressTuple = (String, String, String);

/// A parsed message: what the store keeps of it.
#[pyclass(module = "mox._rust", frozen)]
pub struct ParsedMessage {
    parsed: mimeparse::Parsed,
    structure: Vec<u8>,
    header: Vec<u8>,
}

impl ParsedMessage {
    /// Parse prefix and content as one message.
    pub fn parse(prefix: &[u8], data: &[u8]) -> Self {
        let joined;
        let whole = if prefix.is_empty() {
            data
        } else {
            joined = [prefix, data].concat();
            &joined
        };
        let parsed = mimeparse::parse(whole, &Limits::default());
        let structure = mimeparse::write_structure(&parsed.root);
        let header = whole[..parsed.header_size.min(KEPT_HEADER_BYTES)].to_vec();
        Self {
            parsed,
            structure,
            header,
        }
    }
}

fn addresses(list: &[mimeparse::Address]) -> Vec<AddressTuple> {
    list.iter()
        .map(|a| (a.name.clone(), a.localpart.clone(), a.domain.clone()))
        .collect()
}

#[pymethods]
impl ParsedMessage {
    #[getter]
    fn structure<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.structure)
    }
    #[getter]
    fn envelope<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.parsed.envelope)
    }
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.parsed.body)
    }
    #[getter]
    fn bodystructure<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.parsed.bodystructure)
    }
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.header)
    }
    #[getter]
    fn header_size(&self) -> usize {
        self.parsed.header_size
    }
    #[getter]
    fn message_id(&self) -> &str {
        &self.parsed.message_id
    }
    #[getter]
    fn subject(&self) -> &str {
        &self.parsed.subject
    }
    #[getter]
    fn subject_base(&self) -> &str {
        &self.parsed.subject_base
    }
    #[getter]
    fn is_response(&self) -> bool {
        self.parsed.is_response
    }
    #[getter]
    fn references(&self) -> Vec<String> {
        self.parsed.references.clone()
    }
    #[getter]
    fn preview(&self) -> &str {
        &self.parsed.preview
    }
    #[getter]
    fn date(&self) -> &str {
        &self.parsed.date
    }
    #[getter]
    fn sent(&self) -> Option<(i64, i32)> {
        self.parsed.sent.map(|d| (d.seconds, d.offset_minutes))
    }
    #[getter]
    fn needs_smtputf8(&self) -> bool {
        self.parsed.needs_smtputf8
    }
    #[getter]
    fn is_dsn(&self) -> bool {
        self.parsed.is_dsn
    }
    #[getter]
    fn from_(&self) -> Vec<AddressTuple> {
        addresses(&self.parsed.from)
    }
    #[getter]
    fn to(&self) -> Vec<AddressTuple> {
        addresses(&self.parsed.to)
    }
    #[getter]
    fn cc(&self) -> Vec<AddressTuple> {
        addresses(&self.parsed.cc)
    }
    #[getter]
    fn bcc(&self) -> Vec<AddressTuple> {
        addresses(&self.parsed.bcc)
    }
}

/// What a binary fetch needs of a part (see the stub).
#[pyclass(module = "mox._rust", name = "PartInfo", frozen, get_all)]
struct PyPartInfo {
    start: usize,
    end: usize,
    encoding: String,
    media_type: String,
    media_subtype: String,
    is_leaf: bool,
}

fn tree(structure: &[u8]) -> PyResult<PartInfo> {
    mimeparse::read_structure(structure)
        .ok_or_else(|| PyValueError::new_err("not a stored part structure"))
}

#[pyfunction]
#[pyo3(signature = (data, prefix = Vec::new()))]
fn parse_message(py: Python<'_>, data: &[u8], prefix: Vec<u8>) -> ParsedMessage {
    py.detach(|| ParsedMessage::parse(&prefix, data))
}

#[pyfunction]
fn section_range(
    structure: &[u8],
    part: Vec<usize>,
    kind: &str,
) -> PyResult<Option<(usize, usize)>> {
    let section = match kind {
        "" => Section::Body,
        "HEADER" => Section::Header,
        "TEXT" => Section::Text,
        "MIME" => Section::Mime,
        other => return Err(PyValueError::new_err(format!("unknown section {other:?}"))),
    };
    Ok(mimeparse::section_range(&tree(structure)?, &part, section))
}

#[pyfunction]
fn part_info(structure: &[u8], part: Vec<usize>) -> PyResult<Option<PyPartInfo>> {
    let root = tree(structure)?;
    Ok(mimeparse::find_part(&root, &part).map(|found| PyPartInfo {
        start: found.body_start,
        end: found.end,
        encoding: found.encoding.clone(),
        media_type: found.media_type.clone(),
        media_subtype: found.media_subtype.clone(),
        is_leaf: found.kind == mimeparse::Kind::Leaf,
    }))
}

#[pyfunction]
fn decode_part<'py>(py: Python<'py>, data: &[u8], encoding: &str) -> Option<Bound<'py, PyBytes>> {
    let decoded = py.detach(|| mimeparse::decode_part(data, encoding))?;
    Some(PyBytes::new(py, &decoded))
}

#[pyfunction]
fn header_fields<'py>(
    py: Python<'py>,
    header: &[u8],
    names: Vec<String>,
    exclude: bool,
) -> Bound<'py, PyBytes> {
    let wanted: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    PyBytes::new(py, &mimeparse::filter_fields(header, &wanted, exclude))
}

#[pyfunction]
fn decode_header(value: &[u8]) -> String {
    mimeparse::decode_words(&mimeparse::unfold(value))
}

#[pyfunction]
fn header_values(header: &[u8], name: &str) -> Vec<String> {
    let found = mimeparse::fields(header).filter(|f| f.is(name));
    found
        .map(|f| mimeparse::decode_words(&mimeparse::unfold(f.value)))
        .collect()
}

#[pyfunction]
fn search_message(
    py: Python<'_>,
    data: &[u8],
    structure: &[u8],
    needles: Vec<String>,
    include_headers: bool,
) -> PyResult<Vec<bool>> {
    let root = tree(structure)?;
    let lower: Vec<String> = needles.iter().map(|n| n.to_lowercase()).collect();
    Ok(py.detach(|| {
        let wanted: Vec<&str> = lower.iter().map(String::as_str).collect();
        mimeparse::search(data, &root, &wanted, include_headers)
    }))
}

#[pyfunction]
#[pyo3(signature = (data, onegrams = true, twograms = false, threegrams = false, max_text = 512 * 1024))]
fn junk_words(
    py: Python<'_>,
    data: &[u8],
    onegrams: bool,
    twograms: bool,
    threegrams: bool,
    max_text: usize,
) -> Vec<String> {
    let options = mimeparse::TokenOptions {
        onegrams,
        twograms,
        threegrams,
        max_text,
        ..mimeparse::TokenOptions::default()
    };
    py.detach(|| {
        let root = mimeparse::parse_structure(data, &Limits::default());
        mimeparse::words(data, &root, &options)
            .into_iter()
            .collect()
    })
}

#[pyfunction]
fn parse_address_list(value: &[u8]) -> Vec<AddressTuple> {
    let list: Vec<_> = mimeparse::parse_address_list(value)
        .into_iter()
        .map(mimeparse::Address::decoded)
        .collect();
    addresses(&list)
}

#[pyfunction]
fn parse_date(value: &[u8]) -> Option<(i64, i32)> {
    mimeparse::parse_date(value).map(|d| (d.seconds, d.offset_minutes))
}

#[pyfunction]
fn base_subject(subject: &str) -> (String, bool) {
    mimeparse::base_subject(subject)
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ParsedMessage>()?;
    m.add_class::<PyPartInfo>()?;
    m.add_function(wrap_pyfunction!(parse_message, m)?)?;
    m.add_function(wrap_pyfunction!(section_range, m)?)?;
    m.add_function(wrap_pyfunction!(part_info, m)?)?;
    m.add_function(wrap_pyfunction!(decode_part, m)?)?;
    m.add_function(wrap_pyfunction!(header_fields, m)?)?;
    m.add_function(wrap_pyfunction!(decode_header, m)?)?;
    m.add_function(wrap_pyfunction!(header_values, m)?)?;
    m.add_function(wrap_pyfunction!(search_message, m)?)?;
    m.add_function(wrap_pyfunction!(junk_words, m)?)?;
    m.add_function(wrap_pyfunction!(base_subject, m)?)?;
    m.add_function(wrap_pyfunction!(parse_date, m)?)?;
    m.add_function(wrap_pyfunction!(parse_address_list, m)?)
}
