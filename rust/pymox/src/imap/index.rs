//! Session views and the mailbox index.
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use imapparse::{render, FlagEdit, HotItem, Row};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::reader::SequenceSet;

/// What one session sees of a mailbox.
#[pyclass(module = "mox._rust")]
pub struct SessionView {
    pub view: imapparse::SessionView,
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

    /// Removes UIDs; the EXPUNGE responses, or VANISHED.
    #[pyo3(signature = (uids, vanished = false))]
    fn expunge<'py>(
        &mut self,
        py: Python<'py>,
        mut uids: Vec<u32>,
        vanished: bool,
    ) -> Bound<'py, PyBytes> {
        uids.sort_unstable();
        let mut out = Vec::new();
        if vanished {
            uids.retain(|&uid| self.view.seq(uid).is_some());
            self.view.expunge(&uids);
            render::vanished(&mut out, &uids, false);
        } else {
            render::expunged(&mut out, &self.view.expunge(&uids));
        }
        PyBytes::new(py, &out)
    }

    #[pyo3(signature = (set, is_uid, clamp = false))]
    fn resolve(&self, set: &SequenceSet, is_uid: bool, clamp: bool) -> PyResult<Vec<u32>> {
        self.view
            .resolve(&set.set, is_uid, clamp)
            .ok_or_else(|| PyValueError::new_err("message number out of range"))
    }

    /// The UIDs of `uids` that are in the view, ascending.
    fn known(&self, mut uids: Vec<u32>) -> Vec<u32> {
        uids.sort_unstable();
        uids.retain(|&uid| self.view.seq(uid).is_some());
        uids
    }

    /// Sequence numbers of UIDs; ones that are not in the view are left out.
    fn seqs(&self, uids: Vec<u32>) -> Vec<u32> {
        uids.into_iter()
            .filter_map(|uid| self.view.seq(uid))
            .collect()
    }

    /// UIDs of a set, or of all below `below`, that are not in the view.
    fn missing(&self, set: Option<&SequenceSet>, below: u32) -> Vec<u32> {
        let star = self.view.uids().last().copied().unwrap_or(0);
        let ranges = set.map_or_else(|| vec![(1, u32::MAX)], |set| set.set.ranges(star));
        self.view.missing(&ranges, below)
    }
}

type HotRow = (u32, u32, String, u64, u64, i64, i64, u64, i16);

/// What a change of flags would do.
#[pyclass(module = "mox._rust", frozen)]
struct FlagPlan {
    plan: imapparse::FlagPlan,
    #[pyo3(get)]
    keywords: Vec<String>,
}

#[pymethods]
impl FlagPlan {
    /// Pairs of little-endian 32-bit numbers.
    #[getter]
    fn spans<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let pairs = self.plan.spans.iter();
        let data: Vec<u8> = pairs
            .flat_map(|(from, to)| [from.to_le_bytes(), to.to_le_bytes()])
            .flatten()
            .collect();
        PyBytes::new(py, &data)
    }

    #[getter]
    fn changed(&self) -> u32 {
        self.plan.changed
    }

    #[getter]
    fn touched(&self) -> u32 {
        self.plan.touched
    }

    /// How many messages are meant, how many of them are deleted, unread, unseen, and their octets.
    #[getter]
    fn totals(&self) -> (u32, u32, u32, u32, u64) {
        let plan = &self.plan;
        let unseen = plan.found - plan.have[0];
        (
            plan.found,
            plan.have[3],
            plan.are_unread,
            unseen,
            plan.octets,
        )
    }

    /// How many messages more are deleted, unread, unseen.
    #[getter]
    fn counts(&self) -> (i64, i64, i64) {
        (self.plan.more[3], self.plan.unread, -self.plan.more[0])
    }
}

fn pairs(data: &[u8]) -> Vec<(u32, u32)> {
    let number = |half: &[u8]| half.try_into().map_or(0, u32::from_le_bytes);
    data.chunks_exact(8)
        .map(|pair| (number(&pair[..4]), number(&pair[4..])))
        .collect()
}

/// Hot rows of a mailbox, shared by all sessions of the process.
#[pyclass(module = "mox._rust", frozen)]
pub struct MailboxIndex {
    index: RwLock<imapparse::MailboxIndex>,
}

impl MailboxIndex {
    pub fn read(&self) -> RwLockReadGuard<'_, imapparse::MailboxIndex> {
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
            |(uid, flags, keywords, modseq, size, received_ms, save_ms, message_id, zone): HotRow| Row {
                uid,
                flags,
                keywords,
                modseq,
                size,
                received_ms,
                zone,
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
            view: self.read().new_view(),
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
            row.zone,
        ))
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

    /// Sum of the sizes of `uids`.
    fn sizes(&self, uids: Vec<u32>) -> Vec<u64> {
        let index = self.read();
        uids.into_iter().map(|uid| index.size(uid)).collect()
    }

    /// UIDs of `uids` changed after `modseq`, of those that are not removed.
    fn newer(&self, uids: Vec<u32>, modseq: u64) -> Vec<u32> {
        let index = self.read();
        let newer = |uid: &u32| index.modseq(*uid).is_some_and(|m| m > modseq);
        uids.into_iter().filter(newer).collect()
    }

    /// What `flags & !clear | set` would do to the messages of ascending `uids` that are there.
    fn plan_flags(&self, py: Python<'_>, uids: Vec<u32>, set: u32, clear: u32) -> FlagPlan {
        let (plan, keywords) = py.detach(|| {
            let index = self.read();
            let plan = index.plan_flags(&uids, FlagEdit { set, clear });
            let keywords = index.keywords(&plan);
            (plan, keywords)
        });
        FlagPlan { plan, keywords }
    }

    /// Do what a plan with these spans was made for; the UIDs that changed, ascending.
    fn change_flags(
        &self,
        py: Python<'_>,
        spans: &[u8],
        set: u32,
        clear: u32,
        modseq: u64,
    ) -> Vec<u32> {
        let spans = pairs(spans);
        let edit = FlagEdit { set, clear };
        py.detach(|| self.write().change_flags(&spans, edit, modseq))
    }

    /// UIDs of `uids` that have one of the flag bits and were not removed.
    fn flagged(&self, uids: Vec<u32>, bits: u32) -> Vec<u32> {
        self.read().flagged(&uids, bits)
    }

    /// UIDs in the spans of a plan that were not removed.
    fn live_in(&self, spans: &[u8]) -> Vec<u32> {
        self.read().live_in(&pairs(spans))
    }

    /// (UID, modseq) of those of `uids` that changed after `modseq`, of those that are not removed.
    fn modseqs(&self, uids: Vec<u32>, modseq: u64) -> Vec<(u32, u64)> {
        let index = self.read();
        let newer = |uid: u32| Some((uid, index.modseq(uid)?)).filter(|row| row.1 > modseq);
        uids.into_iter().filter_map(newer).collect()
    }

    /// UIDs of `uids` that were removed.
    fn removed(&self, uids: Vec<u32>) -> Vec<u32> {
        let index = self.read();
        uids.into_iter()
            .filter(|&uid| !index.is_live(uid))
            .collect()
    }

    fn max_modseq(&self, uids: Vec<u32>) -> u64 {
        self.read().max_modseq(&uids)
    }

    /// UIDs of the view whose flags have none of `bits`, of those in `uids`.
    fn without_flag(&self, uids: Vec<u32>, bits: u32) -> Vec<u32> {
        let index = self.read();
        let lacks = |uid: &u32| index.flags(*uid).is_some_and(|flags| flags & bits == 0);
        uids.into_iter().filter(lacks).collect()
    }
}

/// Adds this file's classes to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SessionView>()?;
    m.add_class::<FlagPlan>()?;
    m.add_class::<MailboxIndex>()
}
