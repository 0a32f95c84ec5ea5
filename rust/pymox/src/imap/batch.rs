//! Batches of message rows: FETCH, SORT, THREAD.
use std::path::PathBuf;

use imapbatch::{Algorithm, Cell, Column, Criterion, Failure, Item, Kind, Stored};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyTuple};

use super::index::{MailboxIndex, SessionView};

enum Value {
    Null,
    Int(i64),
    Bytes(PyBackedBytes),
    Text(PyBackedStr),
}

impl Value {
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self::Null);
        }
        if let Ok(data) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(data.clone().into()));
        }
        if let Ok(number) = value.extract::<i64>() {
            return Ok(Self::Int(number));
        }
        Ok(Self::Text(value.extract()?))
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(number) => Cell::Int(*number),
            Self::Bytes(data) => Cell::Bytes(data),
            Self::Text(text) => Cell::Bytes(text.as_bytes()),
        }
    }
}

/// Rows (uid, column, …) of a message table, held without the interpreter lock.
pub struct Rows {
    uids: Vec<u32>,
    values: Vec<Vec<Value>>,
    paths: Vec<PathBuf>,
}

impl Rows {
    /// `paths` is empty or has one for each row.
    pub fn new(rows: &[Bound<'_, PyTuple>], paths: Vec<PathBuf>) -> PyResult<Self> {
        let mut uids = Vec::with_capacity(rows.len());
        let mut values = Vec::with_capacity(rows.len());
        for row in rows {
            uids.push(row.get_item(0)?.extract()?);
            let cells = row.iter().skip(1).map(|value| Value::new(&value));
            values.push(cells.collect::<PyResult<Vec<_>>>()?);
        }
        if !paths.is_empty() && paths.len() != rows.len() {
            return Err(PyValueError::new_err("a path for each row is needed"));
        }
        Ok(Self {
            uids,
            values,
            paths,
        })
    }

    /// Call `work` with each row.
    pub fn each(
        &self,
        index: &MailboxIndex,
        columns: &[Column],
        mut work: impl FnMut(&Stored<'_>),
    ) {
        for (at, (uid, values)) in self.uids.iter().zip(&self.values).enumerate() {
            let cells: Vec<Cell<'_>> = values.iter().map(Value::cell).collect();
            let size = index.read().size(*uid);
            work(&Stored {
                uid: *uid,
                size,
                columns,
                cells: &cells,
                path: self.paths.get(at).map(PathBuf::as_path),
            });
        }
    }
}

/// The columns in a fixed order, each once.
pub fn merged<'c>(lists: impl Iterator<Item = &'c [Column]>) -> Vec<Column> {
    let mut columns: Vec<Column> = lists.flatten().copied().collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn names(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|c| c.name()).collect()
}

fn item(fields: &Bound<'_, PyTuple>) -> PyResult<Item> {
    let name: String = fields.get_item(0)?.extract()?;
    let unknown = || PyValueError::new_err(format!("unknown item {name:?}"));
    if fields.len() == 1 {
        return Item::simple(&name).ok_or_else(unknown);
    }
    let label: String = fields.get_item(1)?.extract()?;
    let part: Vec<usize> = fields.get_item(3)?.extract()?;
    let offset: Option<u64> = fields.get_item(6)?.extract()?;
    let count: Option<u64> = fields.get_item(7)?.extract()?;
    let partial = offset.zip(count);
    if name == "BODY[]" {
        let kind: String = fields.get_item(4)?.extract()?;
        return Ok(Item::Section {
            label,
            part,
            kind: Kind::parse(&kind).ok_or_else(unknown)?,
            fields: fields.get_item(5)?.extract()?,
            partial,
        });
    }
    Ok(Item::Binary {
        label,
        part,
        partial,
        size: name == "BINARY.SIZE[]",
    })
}

/// Wire bytes, and what had to be left out of which message.
type Rendered<'py> = (Bound<'py, PyBytes>, Vec<(u32, &'static str)>);

/// What a FETCH asks for.
#[pyclass(module = "mox._rust", frozen)]
struct FetchPlan {
    items: Vec<Item>,
    columns: Vec<Column>,
}

#[pymethods]
impl FetchPlan {
    #[new]
    fn new(items: Vec<Bound<'_, PyTuple>>) -> PyResult<Self> {
        let items: Vec<Item> = items.iter().map(item).collect::<PyResult<_>>()?;
        let columns = merged(items.iter().map(Item::columns));
        Ok(Self { items, columns })
    }

    #[getter]
    fn columns(&self) -> Vec<&'static str> {
        names(&self.columns)
    }

    #[getter]
    fn reads_files(&self) -> bool {
        self.items.iter().any(Item::reads_file)
    }

    #[getter]
    fn hot(&self) -> bool {
        self.columns.is_empty()
    }

    /// FETCH responses of rows (uid, *columns), and (uid, failure) for items that had to be left out.
    #[pyo3(signature = (index, view, rows, paths, uid_only = false, utf8 = false))]
    #[allow(clippy::too_many_arguments)]
    fn render<'py>(
        &self,
        py: Python<'py>,
        index: &MailboxIndex,
        view: &SessionView,
        rows: Vec<Bound<'py, PyTuple>>,
        paths: Vec<PathBuf>,
        uid_only: bool,
        utf8: bool,
    ) -> PyResult<Rendered<'py>> {
        let rows = Rows::new(&rows, paths)?;
        let view = &view.view;
        let (out, failures) = py.detach(|| {
            let mut out = Vec::new();
            let mut failures = Vec::new();
            let mut hot = |out: &mut Vec<u8>, uid, item| index.read().render_hot(out, uid, item);
            let mut loader = imapbatch::Loader::default();
            rows.each(index, &self.columns, |row| {
                failures.extend(imapbatch::render(
                    &mut out,
                    view,
                    &self.items,
                    row,
                    (uid_only, utf8),
                    &mut loader,
                    &mut hot,
                ));
            });
            (out, failures)
        });
        let text = |failure| match failure {
            Failure::NoSuchPart => "no such part",
            Failure::UnknownEncoding => "unknown encoding",
            Failure::Unreadable => "unreadable",
        };
        let failures = failures
            .into_iter()
            .map(|(uid, f)| (uid, text(f)))
            .collect();
        Ok((PyBytes::new(py, &out), failures))
    }

    /// FETCH responses with hot items only.
    #[pyo3(signature = (index, view, uids, uid_only = false))]
    fn render_hot<'py>(
        &self,
        py: Python<'py>,
        index: &MailboxIndex,
        view: &SessionView,
        uids: Vec<u32>,
        uid_only: bool,
    ) -> Bound<'py, PyBytes> {
        let hot = |item: &Item| match item {
            Item::Hot(item) => Some(*item),
            _ => None,
        };
        let items: Vec<_> = self.items.iter().filter_map(hot).collect();
        let view = &view.view;
        let out = py.detach(|| index.read().render(view, &uids, &items, uid_only));
        PyBytes::new(py, &out)
    }
}

/// Collects messages for SORT.
#[pyclass(module = "mox._rust")]
struct Sorter {
    sorter: Option<imapbatch::Sorter>,
    columns: Vec<Column>,
}

#[pymethods]
impl Sorter {
    #[new]
    fn new(criteria: Vec<(bool, String)>) -> PyResult<Self> {
        let parsed: Option<Vec<(bool, Criterion)>> = criteria
            .iter()
            .map(|(reverse, name)| Some((*reverse, Criterion::parse(name)?)))
            .collect();
        let criteria = parsed.ok_or_else(|| PyValueError::new_err("unknown sort criterion"))?;
        let columns = merged(criteria.iter().map(|(_, c)| c.columns()));
        Ok(Self {
            sorter: Some(imapbatch::Sorter::new(criteria)),
            columns,
        })
    }

    #[getter]
    fn columns(&self) -> Vec<&'static str> {
        names(&self.columns)
    }

    fn add(
        &mut self,
        py: Python<'_>,
        index: &MailboxIndex,
        rows: Vec<Bound<'_, PyTuple>>,
        paths: Vec<PathBuf>,
    ) -> PyResult<()> {
        let rows = Rows::new(&rows, paths)?;
        let (sorter, columns) = (&mut self.sorter, &self.columns);
        py.detach(|| {
            rows.each(index, columns, |row| {
                let hot = index.read().get(row.uid);
                if let (Some(sorter), Some(hot)) = (sorter.as_mut(), hot) {
                    sorter.add(row, &hot);
                }
            });
        });
        Ok(())
    }

    /// UIDs in order. The sorter is used up.
    fn finish(&mut self, py: Python<'_>) -> Vec<u32> {
        let sorter = self.sorter.take();
        py.detach(|| sorter.map(imapbatch::Sorter::finish).unwrap_or_default())
    }
}

/// Collects messages for THREAD.
#[pyclass(module = "mox._rust")]
struct Threader {
    threader: Option<imapbatch::Threader>,
}

#[pymethods]
impl Threader {
    #[new]
    fn new(algorithm: &str) -> PyResult<Self> {
        let algorithm = match algorithm {
            "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
            "REFERENCES" => Algorithm::References,
            _ => return Err(PyValueError::new_err("unknown thread algorithm")),
        };
        Ok(Self {
            threader: Some(imapbatch::Threader::new(algorithm)),
        })
    }

    #[getter]
    fn columns(&self) -> Vec<&'static str> {
        names(&merged(std::iter::once(imapbatch::Threader::columns())))
    }

    fn add(
        &mut self,
        py: Python<'_>,
        index: &MailboxIndex,
        rows: Vec<Bound<'_, PyTuple>>,
        paths: Vec<PathBuf>,
    ) -> PyResult<()> {
        let rows = Rows::new(&rows, paths)?;
        let columns = merged(std::iter::once(imapbatch::Threader::columns()));
        let threader = &mut self.threader;
        py.detach(|| {
            rows.each(index, &columns, |row| {
                let hot = index.read().get(row.uid);
                if let (Some(threader), Some(hot)) = (threader.as_mut(), hot) {
                    threader.add(row, &hot);
                }
            });
        });
        Ok(())
    }

    /// The threads for the wire, with UIDs or the view's sequence numbers. The threader is used up.
    fn finish(&mut self, py: Python<'_>, view: &SessionView, is_uid: bool) -> String {
        let Some(threader) = self.threader.take() else {
            return String::new();
        };
        let view = &view.view;
        py.detach(|| {
            threader.finish(&|uid| {
                if is_uid {
                    uid
                } else {
                    view.seq(uid).unwrap_or(0)
                }
            })
        })
    }
}

/// Adds this file's classes to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<FetchPlan>()?;
    m.add_class::<Sorter>()?;
    m.add_class::<Threader>()
}
