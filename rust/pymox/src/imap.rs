//! Bindings of `imapparse`.
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use imapparse::{render, Event, HotItem, Limits, Row, SearchKey, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

/// A sequence set as the client wrote it.
#[pyclass(module = "mox._rust", frozen, from_py_object)]
#[derive(Clone)]
struct SequenceSet {
    set: imapparse::SequenceSet,
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
                let flags = to_python(py, &Value::List(start.flags))?;
                (
                    "append",
                    start.tag,
                    start.mailbox,
                    flags,
                    start.date_ms,
                    start.size,
                    start.sync,
                )
                    .into_pyobject(py)?
            }
            Event::Error { tag, error, fatal } => {
                ("error", tag, error.code, error.text, error.unknown, fatal).into_pyobject(py)?
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

/// What one session sees of a mailbox.
#[pyclass(module = "mox._rust")]
struct SessionView {
    view: imapparse::SessionView,
}

#[pymethods]
impl SessionView {
    #[new]
    fn new(uids: Vec<u32>) -> Self {
        Self {
            view: imapparse::SessionView::new(uids),
        }
    }

    fn __len__(&self) -> usize {
        self.view.uids().len()
    }

    fn uid(&self, seq: u32) -> Option<u32> {
        self.view.uid(seq)
    }

    fn seq(&self, uid: u32) -> Option<u32> {
        self.view.seq(uid)
    }

    fn uids(&self) -> Vec<u32> {
        self.view.uids().to_vec()
    }

    #[getter]
    fn max_uid(&self) -> u32 {
        self.view.uids().last().copied().unwrap_or(0)
    }

    fn append(&mut self, uids: Vec<u32>) -> usize {
        self.view.append(&uids)
    }

    fn expunge<'py>(&mut self, py: Python<'py>, mut uids: Vec<u32>) -> Bound<'py, PyBytes> {
        uids.sort_unstable();
        let mut out = Vec::new();
        for seq in self.view.expunge(&uids) {
            out.extend_from_slice(b"* ");
            render::number(&mut out, u64::from(seq));
            out.extend_from_slice(b" EXPUNGE\r\n");
        }
        PyBytes::new(py, &out)
    }

    fn resolve(&self, set: &SequenceSet, is_uid: bool) -> PyResult<Vec<u32>> {
        self.view
            .resolve(&set.set, is_uid)
            .ok_or_else(|| PyValueError::new_err("message number out of range"))
    }
}

type HotRow = (u32, u32, String, u64, u64, i64, i64, u64);

/// Hot rows of a mailbox, shared by all sessions of the process.
#[pyclass(module = "mox._rust", frozen)]
struct MailboxIndex {
    index: RwLock<imapparse::MailboxIndex>,
}

impl MailboxIndex {
    fn read(&self) -> RwLockReadGuard<'_, imapparse::MailboxIndex> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, imapparse::MailboxIndex> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hot_item(name: &str) -> Option<HotItem> {
    Some(match name {
        "UID" => HotItem::Uid,
        "FLAGS" => HotItem::Flags,
        "MODSEQ" => HotItem::ModSeq,
        "INTERNALDATE" => HotItem::InternalDate,
        "RFC822.SIZE" => HotItem::Size,
        "SAVEDATE" => HotItem::SaveDate,
        _ => return None,
    })
}

#[pymethods]
impl MailboxIndex {
    #[new]
    fn new() -> Self {
        Self {
            index: RwLock::new(imapparse::MailboxIndex::new()),
        }
    }

    fn upsert(&self, rows: Vec<HotRow>) {
        let row =
            |(uid, flags, keywords, modseq, size, received_ms, save_ms, message_id): HotRow| Row {
                uid,
                flags,
                keywords,
                modseq,
                size,
                received_ms,
                save_ms,
                message_id,
            };
        self.write().upsert(rows.into_iter().map(row));
    }

    fn remove(&self, uids: Vec<u32>) {
        self.write().remove(&uids);
    }

    fn purge(&self) {
        self.write().purge();
    }

    fn live_uids(&self) -> Vec<u32> {
        self.read().live_uids()
    }

    fn new_view(&self) -> SessionView {
        SessionView {
            view: imapparse::SessionView::new(self.read().live_uids()),
        }
    }

    fn first_unseen(&self) -> Option<u32> {
        self.read().first_unseen()
    }

    fn get(&self, uid: u32) -> Option<HotRow> {
        let row = self.read().get(uid)?;
        Some((
            row.uid,
            row.flags,
            row.keywords,
            row.modseq,
            row.size,
            row.received_ms,
            row.save_ms,
            row.message_id,
        ))
    }

    /// FETCH responses for `rows` of (uid, column, …): hot items come from the index, others from the columns in order.
    fn render_fetch<'py>(
        &self,
        py: Python<'py>,
        view: &SessionView,
        plan: Vec<(String, String)>,
        rows: Vec<Bound<'py, PyTuple>>,
        uid_only: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let index = self.read();
        let mut out = Vec::new();
        for row in &rows {
            let uid: u32 = row.get_item(0)?.extract()?;
            let Some(seq) = view.view.seq(uid) else {
                continue;
            };
            render::fetch_start(&mut out, seq, uid, uid_only);
            let mut first = uid_only;
            let mut column = 0;
            for (label, kind) in &plan {
                if kind == "hot" {
                    if let Some(item) = hot_item(label).filter(|i| uid_only || *i != HotItem::Uid) {
                        if !std::mem::take(&mut first) {
                            out.push(b' ');
                        }
                        index.render_hot(&mut out, uid, item);
                    }
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(b' ');
                }
                column += 1;
                out.extend_from_slice(label.as_bytes());
                out.push(b' ');
                cold(&mut out, kind, &row.get_item(column)?)?;
            }
            out.extend_from_slice(b")\r\n");
        }
        Ok(PyBytes::new(py, &out))
    }

    #[pyo3(signature = (view, uids, items, uid_only = false))]
    fn render_flags<'py>(
        &self,
        py: Python<'py>,
        view: &SessionView,
        uids: Vec<u32>,
        items: Vec<String>,
        uid_only: bool,
    ) -> Bound<'py, PyBytes> {
        let items: Vec<HotItem> = items.iter().filter_map(|name| hot_item(name)).collect();
        let view = &view.view;
        let out = py.detach(|| self.read().render(view, &uids, &items, uid_only));
        PyBytes::new(py, &out)
    }

    fn search(
        &self,
        py: Python<'_>,
        view: &SessionView,
        key: &Bound<'_, PyTuple>,
    ) -> PyResult<Vec<u32>> {
        let key = search_key(key)?;
        let view = &view.view;
        Ok(py.detach(|| self.read().search(view, &key)))
    }
}

/// A column of a FETCH response: `raw` as it is, `literal` and `string` by their octets, None as NIL.
fn cold(out: &mut Vec<u8>, kind: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if value.is_none() {
        out.extend_from_slice(b"NIL");
        return Ok(());
    }
    match kind {
        "raw" => out.extend_from_slice(value.cast::<PyBytes>()?.as_bytes()),
        "literal" => {
            let data = value.cast::<PyBytes>()?.as_bytes();
            out.push(b'{');
            render::number(out, data.len() as u64);
            out.extend_from_slice(b"}\r\n");
            out.extend_from_slice(data);
        }
        "int" => render::number(out, value.extract::<u64>()?),
        "string" => render::string(out, value.extract::<String>()?.as_bytes(), false),
        "utf8" => render::string(out, value.extract::<String>()?.as_bytes(), true),
        _ => return Err(PyValueError::new_err(format!("unknown kind {kind:?}"))),
    }
    Ok(())
}

fn search_key(key: &Bound<'_, PyTuple>) -> PyResult<SearchKey> {
    let kind: String = key.get_item(0)?.extract()?;
    let number = |at: usize| -> PyResult<i64> { key.get_item(at)?.extract() };
    let unsigned = |at: usize| -> PyResult<u64> { key.get_item(at)?.extract() };
    let nested = |at: usize| -> PyResult<Box<SearchKey>> {
        Ok(Box::new(search_key(key.get_item(at)?.cast::<PyTuple>()?)?))
    };
    let set = |at: usize| -> PyResult<imapparse::SequenceSet> {
        Ok(key.get_item(at)?.cast::<SequenceSet>()?.get().set.clone())
    };
    Ok(match kind.as_str() {
        "ALL" => SearchKey::All,
        "FLAG" => SearchKey::Flag(key.get_item(1)?.extract()?),
        "KEYWORD" => SearchKey::Keyword(key.get_item(1)?.extract()?),
        "RECEIVED" => SearchKey::Received(number(1)?, number(2)?),
        "SAVED" => SearchKey::Saved(number(1)?, number(2)?),
        "LARGER" => SearchKey::Larger(unsigned(1)?),
        "SMALLER" => SearchKey::Smaller(unsigned(1)?),
        "MODSEQ" => SearchKey::ModSeq(unsigned(1)?),
        "UID" => SearchKey::Uid(set(1)?),
        "SEQ" => SearchKey::Seq(set(1)?),
        "IN" => {
            let mut uids: Vec<u32> = key.get_item(1)?.extract()?;
            uids.sort_unstable();
            SearchKey::In(uids)
        }
        "AND" => {
            let keys: Vec<Bound<'_, PyTuple>> = key.get_item(1)?.extract()?;
            SearchKey::And(keys.iter().map(search_key).collect::<PyResult<_>>()?)
        }
        "OR" => SearchKey::Or(nested(1)?, nested(2)?),
        "NOT" => SearchKey::Not(nested(1)?),
        _ => {
            return Err(PyValueError::new_err(format!(
                "the index cannot decide {kind}"
            )))
        }
    })
}

#[pyfunction]
#[pyo3(signature = (value, utf8 = false))]
fn quote_string<'py>(py: Python<'py>, value: &str, utf8: bool) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    render::string(&mut out, value.as_bytes(), utf8);
    PyBytes::new(py, &out)
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

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SequenceSet>()?;
    m.add_class::<Command>()?;
    m.add_class::<CommandReader>()?;
    m.add_class::<SessionView>()?;
    m.add_class::<MailboxIndex>()?;
    m.add_function(wrap_pyfunction!(quote_string, m)?)?;
    m.add_function(wrap_pyfunction!(quote_mailbox, m)?)?;
    m.add_function(wrap_pyfunction!(format_set, m)?)?;
    m.add_function(wrap_pyfunction!(list_match, m)?)
}
