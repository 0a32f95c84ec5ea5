//! Bindings of `dkimcanon`.
use dkimcanon::{Algorithm, BodyHash, BodySpec, Canon};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Input above this size is worth handing the interpreter lock to another thread.
const DETACH_BYTES: usize = 4096;

fn canon(name: &str) -> PyResult<Canon> {
    Canon::from_name(name)
        .ok_or_else(|| PyValueError::new_err(format!("unknown canonicalization `{name}`")))
}

fn algorithm(name: &str) -> PyResult<Algorithm> {
    Algorithm::from_name(name)
        .ok_or_else(|| PyValueError::new_err(format!("unknown hash algorithm `{name}`")))
}

/// Canonicalization, hash algorithm, value of `l=`.
pub type Spec = (String, String, Option<u64>);

pub fn specs(list: &[Spec]) -> PyResult<Vec<BodySpec>> {
    list.iter()
        .map(|(c, a, length)| {
            Ok(BodySpec {
                canon: canon(c)?,
                algorithm: algorithm(a)?,
                length: *length,
            })
        })
        .collect()
}

/// Hash and length of the canonical body.
pub type Hash<'py> = (Bound<'py, PyBytes>, u64);

pub fn hash(py: Python<'_>, hash: BodyHash) -> Hash<'_> {
    (PyBytes::new(py, &hash.digest), hash.length)
}

#[pyclass(module = "mox._rust")]
struct BodyHasher(Option<dkimcanon::BodyHasher>);

impl BodyHasher {
    fn taken() -> PyErr {
        PyValueError::new_err("the hash was finished before")
    }
}

#[pymethods]
impl BodyHasher {
    #[new]
    #[pyo3(signature = (canon, algorithm, length=None))]
    fn new(canon: &str, algorithm: &str, length: Option<u64>) -> PyResult<Self> {
        let hasher =
            dkimcanon::BodyHasher::new(self::canon(canon)?, self::algorithm(algorithm)?, length);
        Ok(BodyHasher(Some(hasher)))
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let hasher = self.0.as_mut().ok_or_else(Self::taken)?;
        if data.len() > DETACH_BYTES {
            py.detach(|| hasher.feed(data));
        } else {
            hasher.feed(data);
        }
        Ok(())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Hash<'py>> {
        let hasher = self.0.take().ok_or_else(Self::taken)?;
        Ok(hash(py, hasher.finish()))
    }
}

#[pyfunction]
fn body_hashes<'py>(py: Python<'py>, body: &[u8], specs: Vec<Spec>) -> PyResult<Vec<Hash<'py>>> {
    let specs = self::specs(&specs)?;
    let hashes = py.detach(|| dkimcanon::hash_bodies(body, &specs));
    Ok(hashes.into_iter().map(|h| hash(py, h)).collect())
}

#[pyfunction]
fn canon_header<'py>(py: Python<'py>, field: &[u8], canon: &str) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(
        py,
        &dkimcanon::canon_header(field, self::canon(canon)?),
    ))
}

#[pyfunction]
fn split_fields<'py>(
    py: Python<'py>,
    header: &[u8],
) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
    let (fields, _) =
        dkimcanon::split_fields(header).map_err(|err| PyValueError::new_err(err.to_string()))?;
    let field = |f: dkimcanon::Field| {
        (
            String::from_utf8_lossy(&header[f.name]).into_owned(),
            PyBytes::new(py, &header[f.raw]),
        )
    };
    Ok(fields.into_iter().map(field).collect())
}

#[pyfunction]
fn signed_data<'py>(
    py: Python<'py>,
    header: &[u8],
    names: Vec<String>,
    signature: &[u8],
    canon: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let canon = self::canon(canon)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let data = py
        .detach(|| dkimcanon::signed_data(header, &names, signature, canon))
        .map_err(|err| PyValueError::new_err(err.to_string()))?;
    Ok(PyBytes::new(py, &data))
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<BodyHasher>()?;
    m.add_function(wrap_pyfunction!(body_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(canon_header, m)?)?;
    m.add_function(wrap_pyfunction!(split_fields, m)?)?;
    m.add_function(wrap_pyfunction!(signed_data, m)?)
}
