//! SEARCH programs.
use std::path::PathBuf;

use imapbatch::{ColdKey, Column, Tester};
use imapparse::SearchKey;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::batch::{merged, Rows};
use super::index::{MailboxIndex, SessionView};
use super::reader::SequenceSet;
use super::text::{slot, TextIndex};

/// UIDs that match, UIDs that are still to be tested, and ids of messages that the text index does not know.
type Narrowed = (Vec<u32>, Vec<u32>, Vec<u64>);

/// A search key, ready to be decided.
#[pyclass(module = "mox._rust", frozen)]
struct SearchProgram {
    key: SearchKey,
    cold: Vec<ColdKey>,
    columns: Vec<Column>,
}

fn key(value: &Bound<'_, PyTuple>, cold: &mut Vec<ColdKey>) -> PyResult<SearchKey> {
    let kind: String = value.get_item(0)?.extract()?;
    let number = |at: usize| -> PyResult<i64> { value.get_item(at)?.extract() };
    let unsigned = |at: usize| -> PyResult<u64> { value.get_item(at)?.extract() };
    let text = |at: usize| -> PyResult<String> { value.get_item(at)?.extract() };
    let lower = |at: usize| -> PyResult<String> { Ok(text(at)?.to_lowercase()) };
    let set = |at: usize| -> PyResult<imapparse::SequenceSet> {
        Ok(value.get_item(at)?.cast::<SequenceSet>()?.get().set.clone())
    };
    let mut nested = |at: usize| -> PyResult<Box<SearchKey>> {
        let inner = value.get_item(at)?;
        Ok(Box::new(key(inner.cast::<PyTuple>()?, cold)?))
    };
    let found = match kind.as_str() {
        "ALL" => SearchKey::All,
        "FLAG" => SearchKey::Flag(value.get_item(1)?.extract()?),
        "KEYWORD" => SearchKey::Keyword(text(1)?),
        "RECEIVED" => SearchKey::Received(number(1)?, number(2)?),
        "INSTANT" => SearchKey::Instant(number(1)?, number(2)?),
        "SAVED" => SearchKey::Saved(number(1)?, number(2)?),
        "HASSAVEDATE" => SearchKey::HasSaveDate,
        "LARGER" => SearchKey::Larger(unsigned(1)?),
        "SMALLER" => SearchKey::Smaller(unsigned(1)?),
        "MODSEQ" => SearchKey::ModSeq(unsigned(1)?),
        "UID" => SearchKey::Uid(set(1)?),
        "SEQ" => SearchKey::Seq(set(1)?),
        "IN" => {
            let mut uids: Vec<u32> = value.get_item(1)?.extract()?;
            uids.sort_unstable();
            SearchKey::In(uids)
        }
        "AND" => {
            let keys: Vec<Bound<'_, PyTuple>> = value.get_item(1)?.extract()?;
            SearchKey::And(keys.iter().map(|k| key(k, cold)).collect::<PyResult<_>>()?)
        }
        "OR" => SearchKey::Or(nested(1)?, nested(2)?),
        "NOT" => SearchKey::Not(nested(1)?),
        _ => {
            cold.push(match kind.as_str() {
                "HEADER" => ColdKey::Header(text(1)?, lower(2)?),
                "SENT" => ColdKey::Sent(number(1)?, number(2)?),
                "BODY" => ColdKey::Body(lower(1)?),
                "TEXT" => ColdKey::Text(lower(1)?),
                "EMAILID" => ColdKey::EmailId(text(1)?),
                "THREADID" => ColdKey::ThreadId(text(1)?),
                _ => return Err(PyValueError::new_err(format!("unknown key {kind}"))),
            });
            SearchKey::Cold(cold.len() - 1)
        }
    };
    Ok(found)
}

#[pymethods]
impl SearchProgram {
    #[new]
    fn new(value: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut cold = Vec::new();
        let key = key(value, &mut cold)?;
        let columns = merged(cold.iter().map(ColdKey::columns));
        Ok(Self { key, cold, columns })
    }

    #[getter]
    fn columns(&self) -> Vec<&'static str> {
        self.columns.iter().map(|c| c.name()).collect()
    }

    #[getter]
    fn reads_files(&self) -> bool {
        self.cold.iter().any(ColdKey::reads_file)
    }

    /// UIDs of the view that match, and those for `test` to decide.
    fn start(
        &self,
        py: Python<'_>,
        index: &MailboxIndex,
        view: &SessionView,
    ) -> (Vec<u32>, Vec<u32>) {
        let view = &view.view;
        py.detach(|| index.read().search(view, &self.key))
    }

    /// The text index can tell something about it.
    #[getter]
    fn has_needle(&self) -> bool {
        self.cold.iter().any(|key| key.needle().is_some())
    }

    /// Decide ascending `uids` by the text index as far as it can.
    fn narrow(
        &self,
        py: Python<'_>,
        index: &MailboxIndex,
        view: &SessionView,
        text: &TextIndex,
        uids: Vec<u32>,
    ) -> PyResult<Narrowed> {
        let view = &view.view;
        let needles: Vec<&str> = self.cold.iter().map(|k| k.needle().unwrap_or("")).collect();
        Ok(py.detach(|| -> std::io::Result<Narrowed> {
            let index = index.read();
            let plan = index.plan(view, &self.key);
            let mut lookup = text.lookup(&needles);
            let (mut found, mut open, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
            for uid in uids {
                let Some(facts) = index.facts(uid) else {
                    continue;
                };
                let id = facts.message_id();
                let known = lookup.block(id)?;
                if !known.is_some_and(|known| known.has(slot(id))) {
                    unknown.push(id);
                }
                let cold = |number| known.and_then(|known| known.of(number, slot(id)));
                match plan.decide(&facts, view, &cold) {
                    Some(true) => found.push(uid),
                    Some(false) => {}
                    None => open.push(uid),
                }
            }
            Ok((found, open, unknown))
        })?)
    }

    /// UIDs of rows (uid, *columns) that match.
    fn test(
        &self,
        py: Python<'_>,
        index: &MailboxIndex,
        view: &SessionView,
        rows: Vec<Bound<'_, PyTuple>>,
        paths: Vec<PathBuf>,
    ) -> PyResult<Vec<u32>> {
        let rows = Rows::new(&rows, paths)?;
        let view = &view.view;
        Ok(py.detach(|| {
            let plan = index.read().plan(view, &self.key);
            let mut tester = Tester::new(&self.cold);
            let mut found = Vec::new();
            rows.each(index, &self.columns, |row| {
                tester.next_message();
                let facts = index.read().facts(row.uid);
                if facts.is_some_and(|f| plan.test(&f, view, &mut |n| tester.test(n, row))) {
                    found.push(row.uid);
                }
            });
            found
        }))
    }
}

/// Adds this file's class to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SearchProgram>()
}
