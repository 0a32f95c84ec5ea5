//! The changing facts of a mailbox, packed, shared by all its sessions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::render;
use crate::set::SequenceSet;
use crate::view::SessionView;

/// A message's hot facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// UID.
    pub uid: u32,
    /// Bits in the order of [`render::FLAG_NAMES`].
    pub flags: u32,
    /// Blank-separated, sorted.
    pub keywords: String,
    /// Modification sequence.
    pub modseq: u64,
    /// Octets.
    pub size: u64,
    /// INTERNALDATE, milliseconds since 1970.
    pub received_ms: i64,
    /// Zone of INTERNALDATE, minutes east of UTC.
    pub zone: i16,
    /// SAVEDATE, milliseconds since 1970; 0 when unknown.
    pub save_ms: i64,
    /// The store's id.
    pub message_id: u64,
}

#[derive(Debug, Clone)]
struct Packed {
    uid: u32,
    flags: u32,
    /// Index into `keyword_sets`.
    keywords: u32,
    live: bool,
    zone: i16,
    modseq: u64,
    size: u64,
    received_ms: i64,
    save_ms: i64,
    message_id: u64,
}

impl Packed {
    /// INTERNALDATE as if its zone were UTC: for comparing calendar dates (RFC 9051 §6.4.4).
    fn local_ms(&self) -> i64 {
        self.received_ms + i64::from(self.zone) * 60_000
    }
}

/// Items that are answered from the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HotItem {
    /// UID, in UIDONLY mode where it is not implied.
    Uid,
    /// FLAGS.
    Flags,
    /// MODSEQ.
    ModSeq,
    /// INTERNALDATE.
    InternalDate,
    /// RFC822.SIZE.
    Size,
    /// SAVEDATE.
    SaveDate,
}

/// A search key that the index can decide.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// Any of the flag bits is set.
    Flag(u32),
    /// Has the keyword (lower case).
    Keyword(String),
    /// INTERNALDATE in its own zone in `from..to`, milliseconds.
    Received(i64, i64),
    /// INTERNALDATE in `from..to`, whatever its zone.
    Instant(i64, i64),
    /// SAVEDATE in `from..to`; INTERNALDATE where there is none (RFC 8514 §4.3).
    Saved(i64, i64),
    /// SAVEDATE is known.
    HasSaveDate,
    /// What only the message itself can tell: the caller's key of this number.
    Cold(usize),
    /// Larger than this.
    Larger(u64),
    /// Smaller than this.
    Smaller(u64),
    /// Modification sequence at least this.
    ModSeq(u64),
    /// UID in the set.
    Uid(SequenceSet),
    /// Sequence number in the set.
    Seq(SequenceSet),
    /// UID in an ascending list.
    In(Vec<u32>),
    /// All of them.
    And(Vec<SearchKey>),
    /// One of them.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// Not that.
    Not(Box<SearchKey>),
}

/// A change of flags: `flags & !clear | set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagEdit {
    /// Bits that are set.
    pub set: u32,
    /// Bits that are cleared before.
    pub clear: u32,
}

impl FlagEdit {
    fn apply(self, flags: u32) -> u32 {
        flags & !self.clear | self.set
    }
}

/// What a change of flags would do to live messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagPlan {
    /// Ranges of UIDs with all live messages that are meant and no others, ascending.
    pub spans: Vec<(u32, u32)>,
    /// How many messages get other flags.
    pub changed: u32,
    /// Bits that change in any of them.
    pub touched: u32,
    /// How many messages are meant.
    pub found: u32,
    /// How many of them have each bit now.
    pub have: [u32; 32],
    /// How many of them are neither seen nor deleted.
    pub are_unread: u32,
    /// Their octets.
    pub octets: u64,
    /// Numbers of their sets of keywords, see [`MailboxIndex::keywords`].
    keyword_sets: Vec<u32>,
    /// For every bit, how many messages more have it.
    pub more: [i64; 32],
    /// How many messages more are neither seen nor deleted.
    pub unread: i64,
}

/// The rows of a mailbox, ascending by UID. Removed ones stay until [`MailboxIndex::purge`], because sessions that have
/// not been told of the removal may still ask for them.
#[derive(Debug, Default)]
pub struct MailboxIndex {
    rows: Vec<Packed>,
    /// UIDs of the live rows, for new views.
    live: Arc<Vec<u32>>,
    keyword_sets: Vec<String>,
    keyword_ids: HashMap<String, u32>,
}

impl MailboxIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        let mut index = Self::default();
        index.keyword_id("");
        index
    }

    fn keyword_id(&mut self, keywords: &str) -> u32 {
        if let Some(&id) = self.keyword_ids.get(keywords) {
            return id;
        }
        let id = self.keyword_sets.len() as u32;
        self.keyword_sets.push(keywords.to_owned());
        self.keyword_ids.insert(keywords.to_owned(), id);
        id
    }

    /// Add or change messages.
    pub fn upsert(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let packed = Packed {
                uid: row.uid,
                flags: row.flags,
                keywords: self.keyword_id(&row.keywords),
                live: true,
                zone: row.zone,
                modseq: row.modseq,
                size: row.size,
                received_ms: row.received_ms,
                save_ms: row.save_ms,
                message_id: row.message_id,
            };
            let uid = packed.uid;
            let was_live = match self.rows.last() {
                Some(last) if uid <= last.uid => match self.find(uid) {
                    Ok(at) => std::mem::replace(&mut self.rows[at], packed).live,
                    Err(at) => {
                        self.rows.insert(at, packed);
                        false
                    }
                },
                _ => {
                    self.rows.push(packed);
                    false
                }
            };
            if !was_live {
                let at = self.live.partition_point(|&u| u < uid);
                Arc::make_mut(&mut self.live).insert(at, uid);
            }
        }
    }

    fn find(&self, uid: u32) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&uid, |r| r.uid)
    }

    /// Messages were expunged.
    pub fn remove(&mut self, uids: &[u32]) {
        for &uid in uids {
            if let Ok(at) = self.find(uid) {
                self.rows[at].live = false;
            }
        }
        match uids {
            [uid] => {
                if let Ok(at) = self.live.binary_search(uid) {
                    Arc::make_mut(&mut self.live).remove(at);
                }
            }
            _ => {
                let gone: HashSet<u32> = uids.iter().copied().collect();
                Arc::make_mut(&mut self.live).retain(|uid| !gone.contains(uid));
            }
        }
    }

    /// What `edit` would do to the messages of ascending `uids` that are there.
    #[must_use]
    pub fn plan_flags(&self, uids: &[u32], edit: FlagEdit) -> FlagPlan {
        let mut plan = FlagPlan::default();
        let (mut at, mut last): (usize, Option<usize>) = (0, None);
        for &uid in uids {
            at = advance(&self.rows, at, uid, |r| r.uid);
            let Some(row) = self.rows.get(at).filter(|r| r.uid == uid && r.live) else {
                continue;
            };
            // Other live messages in between end a span.
            let between = last.and_then(|last| self.rows.get(last + 1..at));
            match plan.spans.last_mut() {
                Some(span) if between.is_some_and(|rows| !rows.iter().any(|r| r.live)) => {
                    span.1 = uid;
                }
                _ => plan.spans.push((uid, uid)),
            }
            last = Some(at);
            plan.count(row, edit.apply(row.flags));
        }
        plan
    }

    /// Keywords of the messages that a plan is about, in no order.
    #[must_use]
    pub fn keywords(&self, plan: &FlagPlan) -> Vec<String> {
        let numbers: HashSet<u32> = plan.keyword_sets.iter().copied().collect();
        let sets = numbers
            .iter()
            .filter_map(|&n| self.keyword_sets.get(n as usize));
        let words: HashSet<&str> = sets.flat_map(|set| set.split_whitespace()).collect();
        words.into_iter().map(str::to_owned).collect()
    }

    /// Do what a plan was made for; the UIDs that changed, ascending.
    pub fn change_flags(&mut self, spans: &[(u32, u32)], edit: FlagEdit, modseq: u64) -> Vec<u32> {
        let mut changed = Vec::new();
        for &(from, to) in spans {
            let at = self.rows.partition_point(|r| r.uid < from);
            for row in self.rows.iter_mut().skip(at).take_while(|r| r.uid <= to) {
                let flags = edit.apply(row.flags);
                if row.live && flags != row.flags {
                    (row.flags, row.modseq) = (flags, modseq);
                    changed.push(row.uid);
                }
            }
        }
        changed
    }

    /// Forget removed messages: no session refers to them any more.
    pub fn purge(&mut self) {
        if self.rows.len() != self.live.len() {
            self.rows.retain(|r| r.live);
        }
    }

    /// UIDs of the messages that are there, ascending.
    #[must_use]
    pub fn live_uids(&self) -> Vec<u32> {
        self.live.to_vec()
    }

    /// What a new session sees.
    #[must_use]
    pub fn new_view(&self) -> SessionView {
        SessionView::shared(Arc::clone(&self.live))
    }

    /// The message is there and was not removed.
    #[must_use]
    pub fn is_live(&self, uid: u32) -> bool {
        self.find(uid).is_ok_and(|at| self.rows[at].live)
    }

    /// Modification sequence of a message that was not removed.
    #[must_use]
    pub fn modseq(&self, uid: u32) -> Option<u64> {
        let row = &self.rows[self.find(uid).ok()?];
        row.live.then_some(row.modseq)
    }

    /// Flags, also of a removed message.
    #[must_use]
    pub fn flags(&self, uid: u32) -> Option<u32> {
        Some(self.rows[self.find(uid).ok()?].flags)
    }

    /// Octets, also of a removed message; 0 of an unknown one.
    #[must_use]
    pub fn size(&self, uid: u32) -> u64 {
        self.find(uid).map_or(0, |at| self.rows[at].size)
    }

    /// UIDs of `uids` that have one of the flag bits and were not removed.
    #[must_use]
    pub fn flagged(&self, uids: &[u32], bits: u32) -> Vec<u32> {
        let has = |uid: &u32| {
            let row = self.find(*uid).ok().and_then(|at| self.rows.get(at));
            row.is_some_and(|r| r.live && r.flags & bits != 0)
        };
        uids.iter().copied().filter(has).collect()
    }

    /// UIDs in ascending ranges that were not removed.
    #[must_use]
    pub fn live_in(&self, spans: &[(u32, u32)]) -> Vec<u32> {
        let mut found = Vec::new();
        for &(from, to) in spans {
            let at = self.rows.partition_point(|r| r.uid < from);
            let rows = self.rows.iter().skip(at).take_while(|r| r.uid <= to);
            found.extend(rows.filter(|r| r.live).map(|r| r.uid));
        }
        found
    }

    /// A message's facts, also of a removed one.
    #[must_use]
    pub fn get(&self, uid: u32) -> Option<Row> {
        let row = &self.rows[self.find(uid).ok()?];
        Some(Row {
            uid: row.uid,
            flags: row.flags,
            keywords: self.keywords_of(row).to_owned(),
            modseq: row.modseq,
            size: row.size,
            received_ms: row.received_ms,
            zone: row.zone,
            save_ms: row.save_ms,
            message_id: row.message_id,
        })
    }

    fn keywords_of(&self, row: &Packed) -> &str {
        self.keyword_sets
            .get(row.keywords as usize)
            .map_or("", String::as_str)
    }

    /// The first message without `\Seen`.
    #[must_use]
    pub fn first_unseen(&self) -> Option<u32> {
        self.rows
            .iter()
            .find(|r| r.live && r.flags & 1 == 0)
            .map(|r| r.uid)
    }

    /// FETCH responses for `uids` of the view; UIDs that the index does not know are left out. Ascending ones are found
    /// fastest.
    #[must_use]
    pub fn render(
        &self,
        view: &SessionView,
        uids: &[u32],
        items: &[HotItem],
        uid_only: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(uids.len() * 48);
        let (mut row_at, mut seq_at, mut last) = (0, 0, 0);
        for &uid in uids {
            if uid < last {
                (row_at, seq_at) = (0, 0);
            }
            last = uid;
            // Both lists ascend: step where it is next, search where it is not.
            row_at = advance(&self.rows, row_at, uid, |r| r.uid);
            seq_at = advance(view.uids(), seq_at, uid, |u| *u);
            let (Some(row), Some(&seen)) = (self.rows.get(row_at), view.uids().get(seq_at)) else {
                continue;
            };
            if row.uid != uid || seen != uid {
                continue;
            }
            render::fetch_start(&mut out, seq_at as u32 + 1, uid, uid_only);
            let mut first = uid_only;
            for item in items {
                if *item == HotItem::Uid && !uid_only {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(b' ');
                }
                self.render_item(&mut out, row, *item);
            }
            out.extend_from_slice(b")\r\n");
        }
        out
    }

    /// Write one item of a message; nothing when the index does not know it.
    pub fn render_hot(&self, out: &mut Vec<u8>, uid: u32, item: HotItem) {
        if let Some(row) = self.find(uid).ok().and_then(|at| self.rows.get(at)) {
            self.render_item(out, row, item);
        }
    }

    fn render_item(&self, out: &mut Vec<u8>, row: &Packed, item: HotItem) {
        match item {
            HotItem::Uid => {
                out.extend_from_slice(b"UID ");
                render::number(out, u64::from(row.uid));
            }
            HotItem::Flags => {
                out.extend_from_slice(b"FLAGS ");
                render::flags(out, row.flags, self.keywords_of(row));
            }
            HotItem::ModSeq => {
                out.extend_from_slice(b"MODSEQ (");
                // 0 in old databases; clients may not see it (RFC 7162 §3.1).
                render::number(out, row.modseq.max(1));
                out.push(b')');
            }
            HotItem::InternalDate => {
                out.extend_from_slice(b"INTERNALDATE ");
                render::date_time(out, row.received_ms, row.zone);
            }
            HotItem::Size => {
                out.extend_from_slice(b"RFC822.SIZE ");
                render::number(out, row.size);
            }
            HotItem::SaveDate if row.save_ms == 0 => out.extend_from_slice(b"SAVEDATE NIL"),
            HotItem::SaveDate => {
                out.extend_from_slice(b"SAVEDATE ");
                render::date_time(out, row.save_ms, 0);
            }
        }
    }

    /// UIDs of the view that match, and those that a [`SearchKey::Cold`] must decide; ascending. Messages that were
    /// removed are not found.
    #[must_use]
    pub fn search(&self, view: &SessionView, key: &SearchKey) -> (Vec<u32>, Vec<u32>) {
        let plan = Plan::new(self, view, key);
        let (mut found, mut open) = (Vec::new(), Vec::new());
        let mut row_at = 0;
        let (first, end) = plan.bounds(view);
        let uids = view.uids().get(first..end).unwrap_or_default();
        for (at, &uid) in (first..).zip(uids) {
            row_at = advance(&self.rows, row_at, uid, |r| r.uid);
            let Some(row) = self.rows.get(row_at).filter(|r| r.uid == uid && r.live) else {
                continue;
            };
            match plan.decide(row, at as u32 + 1, &|_| None) {
                Some(true) => found.push(uid),
                Some(false) => {}
                None => open.push(uid),
            }
        }
        (found, open)
    }

    /// A key made ready for testing message by message.
    #[must_use]
    pub fn plan(&self, view: &SessionView, key: &SearchKey) -> SearchPlan {
        SearchPlan(Plan::new(self, view, key))
    }

    /// What a plan looks at of a message; None for an unknown one.
    #[must_use]
    pub fn facts(&self, uid: u32) -> Option<Facts> {
        let at = self.find(uid).ok()?;
        self.rows.get(at).cloned().map(Facts)
    }

    /// The highest modification sequence of `uids`.
    #[must_use]
    pub fn max_modseq(&self, uids: &[u32]) -> u64 {
        uids.iter()
            .filter_map(|&uid| Some(self.rows[self.find(uid).ok()?].modseq))
            .max()
            .unwrap_or(0)
    }
}

impl FlagPlan {
    fn count(&mut self, row: &Packed, new: u32) {
        let is_unread = |flags: u32| flags & (SEEN | DELETED) == 0;
        self.found += 1;
        self.octets += row.size;
        self.are_unread += u32::from(is_unread(row.flags));
        let mut left = row.flags;
        while left != 0 {
            self.have[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
        if self.keyword_sets.last() != Some(&row.keywords) {
            self.keyword_sets.push(row.keywords);
        }
        let mut bits = row.flags ^ new;
        if bits == 0 {
            return;
        }
        self.changed += 1;
        self.touched |= bits;
        self.unread += i64::from(is_unread(new)) - i64::from(is_unread(row.flags));
        while bits != 0 {
            let bit = bits.trailing_zeros();
            self.more[bit as usize] += if new >> bit & 1 == 1 { 1 } else { -1 };
            bits &= bits - 1;
        }
    }
}

/// Bits of [`render::FLAG_NAMES`].
const SEEN: u32 = 1;
const DELETED: u32 = 8;

/// A message's packed facts, copied out of the index.
pub struct Facts(Packed);

impl Facts {
    /// The store's id of the message.
    #[must_use]
    pub fn message_id(&self) -> u64 {
        self.0.message_id
    }
}

/// A search key resolved against a view and an index.
pub struct SearchPlan(Plan);

impl SearchPlan {
    /// Whether a message matches as far as that can be told by what `cold` knows of keys that need the message.
    pub fn decide(
        &self,
        facts: &Facts,
        view: &SessionView,
        cold: &impl Fn(usize) -> Option<bool>,
    ) -> Option<bool> {
        let seq = view.seq(facts.0.uid).unwrap_or(0);
        self.0.decide(&facts.0, seq, cold)
    }

    /// Whether a message matches; `cold` decides the keys that need the message.
    pub fn test(
        &self,
        facts: &Facts,
        view: &SessionView,
        cold: &mut impl FnMut(usize) -> bool,
    ) -> bool {
        let seq = view.seq(facts.0.uid).unwrap_or(0);
        self.0.finish(&facts.0, seq, cold)
    }
}

/// First index from `from` on whose key is not below `key`: a step or two, else a binary search.
fn advance<T>(items: &[T], from: usize, key: u32, key_of: impl Fn(&T) -> u32) -> usize {
    for (at, item) in items.iter().enumerate().skip(from).take(4) {
        if key_of(item) >= key {
            return at;
        }
    }
    let from = from.min(items.len());
    from + items[from..].partition_point(|item| key_of(item) < key)
}

/// A search key made ready: sets resolved to ranges, keywords to the keyword sets that hold them.
enum Plan {
    Const(bool),
    Flag(u32),
    Keyword(Vec<bool>),
    Received(i64, i64),
    Instant(i64, i64),
    Saved(i64, i64),
    HasSaveDate,
    Cold(usize),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    Uid(Vec<(u32, u32)>),
    Seq(Vec<(u32, u32)>),
    In(Vec<u32>),
    And(Vec<Plan>),
    Or(Box<Plan>, Box<Plan>),
    Not(Box<Plan>),
}

impl Plan {
    fn new(index: &MailboxIndex, view: &SessionView, key: &SearchKey) -> Self {
        let recurse = |key: &SearchKey| Self::new(index, view, key);
        match key {
            SearchKey::All => Self::Const(true),
            SearchKey::Flag(bits) => Self::Flag(*bits),
            SearchKey::Keyword(word) => {
                let has = |set: &String| set.split(' ').any(|k| k == word);
                Self::Keyword(index.keyword_sets.iter().map(has).collect())
            }
            SearchKey::Received(from, to) => Self::Received(*from, *to),
            SearchKey::Instant(from, to) => Self::Instant(*from, *to),
            SearchKey::Saved(from, to) => Self::Saved(*from, *to),
            SearchKey::HasSaveDate => Self::HasSaveDate,
            SearchKey::Cold(number) => Self::Cold(*number),
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            SearchKey::ModSeq(modseq) => Self::ModSeq(*modseq),
            SearchKey::Uid(set) => Self::Uid(set.ranges(view.uids().last().copied().unwrap_or(0))),
            SearchKey::Seq(set) => Self::Seq(set.ranges(view.uids().len() as u32)),
            SearchKey::In(uids) => Self::In(uids.clone()),
            SearchKey::And(keys) => Self::And(keys.iter().map(recurse).collect()),
            SearchKey::Or(a, b) => Self::Or(Box::new(recurse(a)), Box::new(recurse(b))),
            SearchKey::Not(key) => Self::Not(Box::new(recurse(key))),
        }
    }

    /// Positions in the view, first and after the last, outside of which nothing can match: so that a search for a few
    /// messages does not look at all.
    fn bounds(&self, view: &SessionView) -> (usize, usize) {
        let uids = view.uids();
        let between = |from: u32, to: u32| {
            let first = uids.partition_point(|&u| u < from);
            (first, uids.partition_point(|&u| u <= to).max(first))
        };
        match self {
            Self::Uid(ranges) => match (ranges.first(), ranges.last()) {
                (Some(first), Some(last)) => between(first.0, last.1),
                _ => (0, 0),
            },
            Self::Seq(ranges) => match (ranges.first(), ranges.last()) {
                (Some(first), Some(last)) => {
                    let end = (last.1 as usize).min(uids.len());
                    ((first.0 as usize).saturating_sub(1).min(end), end)
                }
                _ => (0, 0),
            },
            Self::In(wanted) => match (wanted.first(), wanted.last()) {
                (Some(&first), Some(&last)) => between(first, last),
                _ => (0, 0),
            },
            Self::And(keys) => {
                let all = keys.iter().map(|key| key.bounds(view));
                let (first, end) = all.fold((0, uids.len()), |a, b| (a.0.max(b.0), a.1.min(b.1)));
                (first, end.max(first))
            }
            _ => (0, uids.len()),
        }
    }

    /// `cold` says what is known of a cold key; None when one that is not known must decide.
    fn decide(
        &self,
        row: &Packed,
        seq: u32,
        cold: &impl Fn(usize) -> Option<bool>,
    ) -> Option<bool> {
        Some(match self {
            Self::Const(value) => *value,
            Self::Flag(bits) => row.flags & bits != 0,
            Self::Keyword(sets) => sets.get(row.keywords as usize).copied().unwrap_or(false),
            Self::Received(from, to) => (*from..*to).contains(&row.local_ms()),
            Self::Instant(from, to) => (*from..*to).contains(&row.received_ms),
            Self::Saved(from, to) if row.save_ms == 0 => (*from..*to).contains(&row.local_ms()),
            Self::Saved(from, to) => (*from..*to).contains(&row.save_ms),
            Self::HasSaveDate => row.save_ms != 0,
            Self::Cold(number) => return cold(*number),
            Self::Larger(size) => row.size > *size,
            Self::Smaller(size) => row.size < *size,
            Self::ModSeq(modseq) => row.modseq >= *modseq,
            Self::Uid(ranges) => inside(ranges, row.uid),
            Self::Seq(ranges) => inside(ranges, seq),
            Self::In(uids) => uids.binary_search(&row.uid).is_ok(),
            Self::And(keys) => {
                let mut all = Some(true);
                for key in keys {
                    match key.decide(row, seq, cold) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => all = None,
                    }
                }
                return all;
            }
            Self::Or(a, b) => match (a.decide(row, seq, cold), b.decide(row, seq, cold)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Self::Not(key) => !key.decide(row, seq, cold)?,
        })
    }

    fn finish(&self, row: &Packed, seq: u32, cold: &mut impl FnMut(usize) -> bool) -> bool {
        if let Some(decided) = self.decide(row, seq, &|_| None) {
            return decided;
        }
        match self {
            Self::Cold(number) => cold(*number),
            Self::And(keys) => keys.iter().all(|k| k.finish(row, seq, cold)),
            Self::Or(a, b) => a.finish(row, seq, cold) || b.finish(row, seq, cold),
            Self::Not(key) => !key.finish(row, seq, cold),
            _ => false,
        }
    }
}

fn inside(ranges: &[(u32, u32)], number: u32) -> bool {
    let at = ranges.partition_point(|r| r.1 < number);
    ranges.get(at).is_some_and(|r| r.0 <= number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(uid: u32, flags: u32, keywords: &str) -> Row {
        Row {
            uid,
            flags,
            keywords: keywords.into(),
            modseq: u64::from(uid) + 10,
            size: u64::from(uid) * 100,
            received_ms: 0,
            zone: 0,
            save_ms: 0,
            message_id: u64::from(uid),
        }
    }

    #[test]
    fn rendering() {
        let mut index = MailboxIndex::new();
        index.upsert([row(3, 1, "a b"), row(7, 0, ""), row(5, 8, "")]);
        let view = SessionView::new(index.live_uids());
        index.remove(&[7]);
        assert_eq!(index.flagged(&[3, 5, 7], 9), [3, 5]);
        assert_eq!(index.live_in(&[(1, 3), (5, 9)]), [3, 5]);
        let text = index.render(&view, &[5, 3], &[HotItem::Flags], false);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "* 2 FETCH (UID 5 FLAGS (\\Deleted))\r\n* 1 FETCH (UID 3 FLAGS (\\Seen a b))\r\n"
        );
        let text = index.render(&view, &[3, 7, 9], &[HotItem::Flags, HotItem::ModSeq], false);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "* 1 FETCH (UID 3 FLAGS (\\Seen a b) MODSEQ (13))\r\n* 3 FETCH (UID 7 FLAGS () MODSEQ (17))\r\n"
        );
        let text = index.render(
            &view,
            &[5],
            &[HotItem::Uid, HotItem::Size, HotItem::SaveDate],
            true,
        );
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "* 5 UIDFETCH (UID 5 RFC822.SIZE 500 SAVEDATE NIL)\r\n"
        );
        assert_eq!(index.live_uids(), [3, 5]);
        assert_eq!(index.first_unseen(), Some(5));
        index.purge();
        assert_eq!(index.get(7), None);
    }

    #[test]
    fn searching() {
        let mut index = MailboxIndex::new();
        index.upsert((1..=20).map(|n| row(n * 2, n % 4, if n % 3 == 0 { "x y" } else { "" })));
        let view = SessionView::new(index.live_uids());
        let set = |text| SequenceSet::parse(text).unwrap();
        let found = |key: &SearchKey| index.search(&view, key).0;
        assert_eq!(found(&SearchKey::Seq(set("1,*"))), [2, 40]);
        assert_eq!(found(&SearchKey::Uid(set("39:*"))), [40]);
        assert_eq!(found(&SearchKey::Seq(set("2:3,19:25"))), [4, 6, 38, 40]);
        assert_eq!(found(&SearchKey::In(vec![])), [0u32; 0]);
        assert_eq!(
            found(&SearchKey::And(vec![
                SearchKey::Uid(set("1:4")),
                SearchKey::Seq(set("9"))
            ])),
            [0u32; 0]
        );
        let key = SearchKey::And(vec![
            SearchKey::Keyword("y".into()),
            SearchKey::Not(Box::new(SearchKey::Flag(1))),
        ]);
        assert_eq!(found(&key), [12, 24, 36]);
        let key = SearchKey::Or(
            Box::new(SearchKey::In(vec![4, 5])),
            Box::new(SearchKey::Larger(3900)),
        );
        assert_eq!(found(&key), [4, 40]);
        let key = SearchKey::And(vec![
            SearchKey::Uid(set("1:8")),
            SearchKey::Or(
                Box::new(SearchKey::In(vec![2])),
                Box::new(SearchKey::Cold(0)),
            ),
        ]);
        assert_eq!(index.search(&view, &key), (vec![2], vec![4, 6, 8]));
        let plan = index.plan(&view, &key);
        let test = |uid, cold: bool| plan.test(&index.facts(uid).unwrap(), &view, &mut |_| cold);
        assert!(test(4, true) && !test(4, false) && !test(10, true));
    }

    proptest! {
        #[test]
        fn planned_changes_happen(
            rows in proptest::collection::vec((1u32..60, 0u32..1024), 0..50),
            gone in proptest::collection::vec(1u32..60, 0..10),
            uids in proptest::collection::btree_set(1u32..60, 0..40),
            set in 0u32..1024,
            clear in 0u32..1024,
        ) {
            let mut index = MailboxIndex::new();
            index.upsert(rows.iter().map(|&(uid, flags)| row(uid, flags, "")));
            index.remove(&gone);
            let uids: Vec<u32> = uids.into_iter().collect();
            let edit = FlagEdit { set, clear };
            let before: Vec<Row> = index.live_uids().iter().filter_map(|&u| index.get(u)).collect();
            let plan = index.plan_flags(&uids, edit);
            let changed = index.change_flags(&plan.spans, edit, 99);
            let mut expected = vec![];
            let (mut more, mut unread) = ([0i64; 32], 0i64);
            for old in &before {
                let old = old.clone();
                let new = index.get(old.uid).unwrap();
                let flags = if uids.contains(&old.uid) { old.flags & !clear | set } else { old.flags };
                prop_assert_eq!(new.flags, flags);
                if flags == old.flags {
                    prop_assert_eq!(new.modseq, old.modseq);
                } else {
                    expected.push(old.uid);
                    prop_assert_eq!(new.modseq, 99);
                }
                for (bit, more) in more.iter_mut().enumerate() {
                    *more += i64::from(flags >> bit & 1) - i64::from(old.flags >> bit & 1);
                }
                unread += i64::from(flags & 9 == 0) - i64::from(old.flags & 9 == 0);
            }
            let meant: Vec<&Row> = before.iter().filter(|r| uids.contains(&r.uid)).collect();
            prop_assert_eq!(plan.found as usize, meant.len());
            prop_assert_eq!(plan.octets, meant.iter().map(|r| r.size).sum::<u64>());
            prop_assert_eq!(plan.have[3] as usize, meant.iter().filter(|r| r.flags & 8 != 0).count());
            prop_assert_eq!(plan.are_unread as usize, meant.iter().filter(|r| r.flags & 9 == 0).count());
            prop_assert_eq!(plan.changed as usize, expected.len());
            prop_assert_eq!(changed, expected);
            prop_assert_eq!(plan.more, more);
            prop_assert_eq!(plan.unread, unread);
            // As few spans as there can be.
            let live: Vec<u32> = index.live_uids();
            for pair in plan.spans.windows(2) {
                prop_assert!(live.iter().any(|u| *u > pair[0].1 && *u < pair[1].0));
            }
        }

        #[test]
        fn views_agree_with_a_set(
            steps in proptest::collection::vec((any::<bool>(), proptest::collection::vec(1u32..40, 1..4)), 0..40),
        ) {
            let mut index = MailboxIndex::new();
            let mut model = std::collections::BTreeSet::new();
            for (adds, uids) in steps {
                let (view, before) = (index.new_view(), model.clone());
                if adds {
                    index.upsert(uids.iter().map(|&uid| row(uid, 0, "")));
                    model.extend(uids);
                } else {
                    index.remove(&uids);
                    model.retain(|uid| !uids.contains(uid));
                }
                prop_assert!(view.uids().iter().eq(before.iter()));
                prop_assert!(index.new_view().uids().iter().eq(model.iter()));
            }
        }

        #[test]
        fn upserts_agree_with_a_map(changes in proptest::collection::vec((1u32..50, 0u32..32), 0..80)) {
            let mut index = MailboxIndex::new();
            let mut model = std::collections::BTreeMap::new();
            for (uid, flags) in changes {
                index.upsert([row(uid, flags, "")]);
                model.insert(uid, flags);
            }
            let uids: Vec<u32> = model.keys().copied().collect();
            prop_assert_eq!(index.live_uids(), uids);
            for (uid, flags) in model {
                prop_assert_eq!(index.get(uid).map(|r| r.flags), Some(flags));
            }
        }
    }
}
