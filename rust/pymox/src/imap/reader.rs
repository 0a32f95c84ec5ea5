//! Commands and their reader.
use imapparse::{Event, Limits, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

/// A sequence set as the client wrote it.
#[pyclass(module = "mox._rust", frozen, from_py_object)]
#[derive(Clone)]
pub struct SequenceSet {
    pub set: imapparse::SequenceSet,
}

#[pymethods]
impl SequenceSet {
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        let set = imapparse::SequenceSet::parse(text)
            .ok_or_else(|| PyValueError::new_err("not a sequence set"))?;
        Ok(Self { set })
    }

    #[getter]
    fn is_saved(&self) -> bool {
        self.set.is_saved()
    }

    /// The numbers of ascending `numbers` that are in the set, with `*` as `star`.
    fn filter(&self, numbers: Vec<u32>, star: u32) -> Vec<u32> {
        let ranges = self.set.ranges(star);
        let inside = |number: &u32| {
            let at = ranges.partition_point(|r| r.1 < *number);
            ranges.get(at).is_some_and(|r| r.0 <= *number)
        };
        numbers.into_iter().filter(inside).collect()
    }

    #[getter]
    fn is_star(&self) -> bool {
        self.set.is_single() && self.set.has_star()
    }
}

/// A parsed command.
#[pyclass(module = "mox._rust", frozen)]
struct Command {
    #[pyo3(get)]
    tag: String,
    #[pyo3(get)]
    name: String,
    #[pyo3(get)]
    args: Py<PyTuple>,
}

fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Nil => py.None().into_bound(py),
        Value::Bool(yes) => yes.into_pyobject(py)?.to_owned().into_any(),
        Value::Num(number) => number.into_pyobject(py)?.into_any(),
        Value::Str(text) => text.into_pyobject(py)?.into_any(),
        Value::Bytes(data) => PyBytes::new(py, data).into_any(),
        Value::Set(set) => Bound::new(py, SequenceSet { set: set.clone() })?.into_any(),
        Value::List(values) => {
            let items = values
                .iter()
                .map(|v| to_python(py, v))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Tuple(values) => tuple(py, values)?.into_any(),
    })
}

fn tuple<'py>(py: Python<'py>, values: &[Value]) -> PyResult<Bound<'py, PyTuple>> {
    let items = values
        .iter()
        .map(|v| to_python(py, v))
        .collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, items)
}

/// The start of a message in APPEND or REPLACE.
#[pyclass(module = "mox._rust", frozen, get_all)]
struct MessageLiteral {
    tag: String,
    name: &'static str,
    replaced: Option<SequenceSet>,
    mailbox: String,
    flags: Py<PyAny>,
    date: Option<(i64, i64)>,
    size: u64,
    sync: bool,
}

/// What is wrong with a command.
#[pyclass(module = "mox._rust", frozen, get_all)]
struct CommandError {
    tag: String,
    name: String,
    code: &'static str,
    text: String,
    unknown: bool,
    fatal: bool,
}

/// Cuts the stream of one connection into commands.
#[pyclass(module = "mox._rust")]
struct CommandReader {
    reader: imapparse::CommandReader,
}

#[pymethods]
impl CommandReader {
    #[new]
    #[pyo3(signature = (max_line = 16384, max_literal = 102_400, max_literals_total = 1_024_000))]
    fn new(max_line: usize, max_literal: u64, max_literals_total: u64) -> Self {
        let limits = Limits {
            line: max_line,
            literal: max_literal,
            literals_total: max_literals_total,
            ..Limits::default()
        };
        Self {
            reader: imapparse::CommandReader::new(limits),
        }
    }

    fn feed(&mut self, data: &[u8]) {
        self.reader.feed(data);
    }

    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(event) = self.reader.next() else {
            return Ok(None);
        };
        let event = match event {
            Event::Continue => ("continue",).into_pyobject(py)?,
            Event::Command(command) => {
                let args = tuple(py, &command.args)?.unbind();
                let command = Command {
                    tag: command.tag,
                    name: command.name,
                    args,
                };
                ("command", command).into_pyobject(py)?
            }
            Event::Append(start) => {
                let literal = MessageLiteral {
                    tag: start.tag,
                    name: start.name,
                    replaced: start.replaced.map(|set| SequenceSet { set }),
                    mailbox: start.mailbox,
                    flags: to_python(py, &Value::List(start.flags))?.unbind(),
                    date: start.date,
                    size: start.size,
                    sync: start.sync,
                };
                ("append", literal).into_pyobject(py)?
            }
            Event::Error {
                tag,
                word,
                error,
                fatal,
            } => {
                let error = CommandError {
                    tag,
                    name: word,
                    code: error.code,
                    text: error.text,
                    unknown: error.unknown,
                    fatal,
                };
                ("error", error).into_pyobject(py)?
            }
            Event::Line(line) => ("line", PyBytes::new(py, &line)).into_pyobject(py)?,
        };
        Ok(Some(event))
    }

    fn take_literal<'py>(&mut self, py: Python<'py>, count: usize) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.reader.take_literal(count))
    }

    fn expect_line(&mut self) {
        self.reader.expect_line();
    }

    fn abandon(&mut self) {
        self.reader.abandon();
    }

    fn set_utf8(&mut self, utf8: bool) {
        self.reader.set_utf8(utf8);
    }

    fn drain<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.reader.drain())
    }
}

/// Adds this file's classes to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SequenceSet>()?;
    m.add_class::<Command>()?;
    m.add_class::<MessageLiteral>()?;
    m.add_class::<CommandError>()?;
    m.add_class::<CommandReader>()
}
