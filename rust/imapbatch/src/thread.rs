//! THREAD (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES.

use std::collections::{HashMap, HashSet};

use imapparse::Row;
use mimeparse::{base_subject, decode_words, fields, references, unfold};

use crate::date::parse_date;
use crate::message::{Column, Loader, Stored};

/// How messages are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By base subject, each thread flat.
    OrderedSubject,
    /// By References and In-Reply-To, then by subject.
    References,
}

/// Columns that threading needs.
const COLUMNS: [Column; 5] = [
    Column::Header,
    Column::HeaderSize,
    Column::Prefix,
    Column::BlobId,
    Column::MessageRef,
];

#[derive(Debug)]
struct Message {
    uid: u32,
    sent_s: i64,
    subject: String,
    is_response: bool,
    id: String,
    references: Vec<String>,
}

/// Collects messages, then threads them.
#[derive(Debug)]
pub struct Threader {
    algorithm: Algorithm,
    messages: Vec<Message>,
    loader: Loader,
}

/// A message or, without one, what holds several together.
#[derive(Debug, Default)]
struct Node {
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

impl Threader {
    /// With this algorithm.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            messages: Vec::new(),
            loader: Loader::default(),
        }
    }

    /// Columns that rows must have.
    #[must_use]
    pub fn columns() -> &'static [Column] {
        &COLUMNS
    }

    /// Take a message and its facts from the mailbox index.
    pub fn add(&mut self, row: &Stored<'_>, hot: &Row) {
        let header = self.loader.header(row).unwrap_or_default();
        let first = |name: &str| fields(header).find(|f| f.is(name)).map(|f| unfold(f.value));
        let subject = first("subject")
            .map(|v| decode_words(&v))
            .unwrap_or_default();
        let (subject, is_response) = base_subject(&subject);
        let sent = first("date").and_then(|v| parse_date(&v));
        self.messages.push(Message {
            uid: row.uid,
            sent_s: sent.map_or(hot.received_ms / 1000, |d| d.utc_s),
            subject: subject.to_lowercase(),
            is_response,
            id: row.text(Column::MessageRef).to_owned(),
            references: references(
                first("references").as_deref(),
                first("in-reply-to").as_deref(),
            ),
        });
    }

    /// The threads for the wire: `(1)(2 3 (4)(5))`; `number` turns a UID into what is shown.
    #[must_use]
    pub fn finish(self, number: &dyn Fn(u32) -> u32) -> String {
        match self.algorithm {
            Algorithm::OrderedSubject => self.by_subject(number),
            Algorithm::References => Forest::new(&self.messages).render(number),
        }
    }

    fn by_subject(&self, number: &dyn Fn(u32) -> u32) -> String {
        let mut order: Vec<&Message> = self.messages.iter().collect();
        order.sort_by_key(|m| (m.sent_s, m.uid));
        let mut threads: Vec<Vec<&Message>> = Vec::new();
        let mut by_subject: HashMap<&str, usize> = HashMap::new();
        for message in order {
            let at = *by_subject.entry(&message.subject).or_insert_with(|| {
                threads.push(Vec::new());
                threads.len() - 1
            });
            threads[at].push(message);
        }
        let mut out = String::new();
        for thread in threads {
            let shown: Vec<String> = thread.iter().map(|m| number(m.uid).to_string()).collect();
            match shown.as_slice() {
                [] => {}
                [one] => out.push_str(&format!("({one})")),
                [root, only] => out.push_str(&format!("({root} {only})")),
                [root, rest @ ..] => out.push_str(&format!("({root} ({}))", rest.join(")("))),
            }
        }
        out
    }
}

struct Forest<'m> {
    messages: &'m [Message],
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl<'m> Forest<'m> {
    fn new(messages: &'m [Message]) -> Self {
        let mut forest = Self {
            messages,
            nodes: Vec::new(),
            roots: Vec::new(),
        };
        forest.link();
        forest.prune();
        forest.sort_all();
        forest.gather_subjects();
        forest.sort_all();
        forest
    }

    fn node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Step 1 of RFC 5256 §3: a node per message id, parents from references.
    fn link(&mut self) {
        let mut by_id: HashMap<&'m str, usize> = HashMap::new();
        for (at, message) in self.messages.iter().enumerate() {
            let known = by_id.get(message.id.as_str()).copied();
            // Without an id, or with one that another message has, a message stands for itself.
            let reusable =
                known.filter(|&n| !message.id.is_empty() && self.nodes[n].message.is_none());
            let node = reusable.unwrap_or_else(|| self.node());
            self.nodes[node].message = Some(at);
            if !message.id.is_empty() && known.is_none() {
                by_id.insert(&message.id, node);
            }
            let mut parent = None;
            for id in &message.references {
                let next = *by_id.entry(id).or_insert_with(|| {
                    self.nodes.push(Node::default());
                    self.nodes.len() - 1
                });
                if let Some(parent) = parent {
                    if self.nodes[next].parent.is_none() {
                        self.adopt(parent, next);
                    }
                }
                parent = Some(next);
            }
            self.detach(node);
            if let Some(parent) = parent {
                self.adopt(parent, node);
            }
        }
        self.roots = (0..self.nodes.len())
            .filter(|&n| self.nodes[n].parent.is_none())
            .collect();
    }

    fn detach(&mut self, node: usize) {
        if let Some(parent) = self.nodes[node].parent.take() {
            self.nodes[parent].children.retain(|&c| c != node);
        }
    }

    /// Unless that would make a loop.
    fn adopt(&mut self, parent: usize, child: usize) {
        let mut at = Some(parent);
        while let Some(node) = at {
            if node == child {
                return;
            }
            at = self.nodes[node].parent;
        }
        self.nodes[child].parent = Some(parent);
        self.nodes[parent].children.push(child);
    }

    /// Steps 3: nodes without a message give their children to their parent; at the top only a single child is raised.
    fn prune(&mut self) {
        let mut order = Vec::new();
        let mut stack = self.roots.clone();
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(&self.nodes[node].children);
        }
        let mut kept_roots = Vec::new();
        for &node in order.iter().rev() {
            if self.nodes[node].message.is_some() {
                if self.nodes[node].parent.is_none() {
                    kept_roots.push(node);
                }
                continue;
            }
            let children = std::mem::take(&mut self.nodes[node].children);
            let parent = self.nodes[node].parent;
            if parent.is_none() && children.len() > 1 {
                self.nodes[node].children = children;
                kept_roots.push(node);
                continue;
            }
            self.detach(node);
            for child in children {
                self.nodes[child].parent = parent;
                match parent {
                    Some(parent) => self.nodes[parent].children.push(child),
                    None => kept_roots.push(child),
                }
            }
        }
        let mut seen = HashSet::new();
        kept_roots.retain(|&n| self.nodes[n].parent.is_none() && seen.insert(n));
        self.roots = kept_roots;
    }

    /// Sent date and number of a node: of its message, else of its first child.
    fn order_key(&self, node: usize) -> (i64, u32) {
        let mut at = node;
        loop {
            if let Some(message) = self.nodes[at].message {
                let message = &self.messages[message];
                return (message.sent_s, message.uid);
            }
            match self.nodes[at].children.first() {
                Some(&child) => at = child,
                None => return (i64::MAX, u32::MAX),
            }
        }
    }

    fn sort_all(&mut self) {
        let mut order = Vec::new();
        let mut stack = self.roots.clone();
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(&self.nodes[node].children);
        }
        for &node in order.iter().rev() {
            let mut children = std::mem::take(&mut self.nodes[node].children);
            children.sort_by_key(|&c| self.order_key(c));
            self.nodes[node].children = children;
        }
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|&r| self.order_key(r));
        self.roots = roots;
    }

    fn subject_of(&self, node: usize) -> Option<(&'m str, bool)> {
        let holder = match self.nodes[node].message {
            Some(_) => node,
            None => *self.nodes[node].children.first()?,
        };
        let message = &self.messages[self.nodes[holder].message?];
        Some((&message.subject, message.is_response))
    }

    /// Step 5: threads with the same subject are put together.
    fn gather_subjects(&mut self) {
        let mut table: HashMap<&'m str, usize> = HashMap::new();
        for &root in &self.roots {
            let Some((subject, is_response)) = self.subject_of(root).filter(|s| !s.0.is_empty())
            else {
                continue;
            };
            match table.get(subject).copied() {
                None => {
                    table.insert(subject, root);
                }
                Some(other) => {
                    let other_is_dummy = self.nodes[other].message.is_none();
                    let other_responds = self.subject_of(other).is_some_and(|s| s.1);
                    let is_dummy = self.nodes[root].message.is_none();
                    if !other_is_dummy && (is_dummy || other_responds && !is_response) {
                        table.insert(subject, root);
                    }
                }
            }
        }
        let mut roots = Vec::new();
        let mut replaced: HashMap<usize, usize> = HashMap::new();
        for root in std::mem::take(&mut self.roots) {
            let entry = self
                .subject_of(root)
                .filter(|s| !s.0.is_empty())
                .and_then(|s| table.get(s.0).copied());
            let Some(other) = entry.filter(|&o| o != root) else {
                roots.push(root);
                continue;
            };
            let other = replaced.get(&other).copied().unwrap_or(other);
            self.merge(root, other, &mut replaced, &mut roots);
        }
        let gone: HashSet<usize> = replaced.keys().copied().collect();
        roots.retain(|r| !gone.contains(r) && self.nodes[*r].parent.is_none());
        self.roots = roots;
    }

    fn merge(
        &mut self,
        root: usize,
        other: usize,
        replaced: &mut HashMap<usize, usize>,
        roots: &mut Vec<usize>,
    ) {
        let is_dummy = self.nodes[root].message.is_none();
        let other_is_dummy = self.nodes[other].message.is_none();
        let responds = |node| self.subject_of(node).is_some_and(|s| s.1);
        if is_dummy && other_is_dummy {
            for child in std::mem::take(&mut self.nodes[root].children) {
                self.nodes[child].parent = Some(other);
                self.nodes[other].children.push(child);
            }
        } else if other_is_dummy || responds(root) && !responds(other) {
            self.adopt(other, root);
        } else {
            let dummy = self.node();
            self.adopt(dummy, other);
            self.adopt(dummy, root);
            replaced.insert(other, dummy);
            roots.push(dummy);
        }
    }

    fn render(&self, number: &dyn Fn(u32) -> u32) -> String {
        enum Step {
            Node(usize),
            Text(&'static str),
        }
        let mut out = String::new();
        for &root in &self.roots {
            out.push('(');
            let mut stack = vec![Step::Text(")"), Step::Node(root)];
            while let Some(step) = stack.pop() {
                let node = match step {
                    Step::Text(text) => {
                        out.push_str(text);
                        continue;
                    }
                    Step::Node(node) => node,
                };
                let children = &self.nodes[node].children;
                if let Some(message) = self.nodes[node].message {
                    out.push_str(&number(self.messages[message].uid).to_string());
                    if !children.is_empty() {
                        out.push(' ');
                    }
                    if let [only] = children.as_slice() {
                        stack.push(Step::Node(*only));
                        continue;
                    }
                }
                for &child in children.iter().rev() {
                    stack.extend([Step::Text(")"), Step::Node(child), Step::Text("(")]);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Cell;
    use proptest::prelude::*;

    /// UID, Message-ID, References, subject.
    type Case<'c> = (u32, &'c str, &'c str, &'c str);

    fn threads(algorithm: Algorithm, messages: &[Case<'_>]) -> String {
        let mut threader = Threader::new(algorithm);
        for (uid, id, refs, subject) in messages {
            let header = format!(
                "Subject: {subject}\r\nReferences: {refs}\r\nDate: Tue, 24 Nov 2026 10:{:02}:00 +0000\r\n\r\n",
                uid % 60
            );
            let columns = [Column::Header, Column::HeaderSize, Column::MessageRef];
            let cells = [
                Cell::Bytes(header.as_bytes()),
                Cell::Int(header.len() as i64),
                Cell::Bytes(id.as_bytes()),
            ];
            let row = Stored {
                uid: *uid,
                size: 1,
                columns: &columns,
                cells: &cells,
                path: None,
            };
            let hot = Row {
                uid: *uid,
                modseq: 1,
                size: 1,
                message_id: 1,
                ..Row::default()
            };
            threader.add(&row, &hot);
        }
        threader.finish(&|uid| uid)
    }

    #[test]
    fn by_subject() {
        let messages = [
            (1, "", "", "x"),
            (2, "", "", "y"),
            (3, "", "", "Re: x"),
            (4, "", "", "x"),
            (5, "", "", "Re: y"),
        ];
        assert_eq!(
            threads(Algorithm::OrderedSubject, &messages),
            "(1 (3)(4))(2 5)"
        );
    }

    #[test]
    fn by_references() {
        let table: [(&[Case<'_>], &str); 7] = [
            (
                &[
                    (1, "a@x", "", "s"),
                    (2, "b@x", "<a@x>", "Re: s"),
                    (3, "c@x", "<a@x> <b@x>", "Re: s"),
                ],
                "(1 2 3)",
            ),
            (
                &[
                    (1, "a@x", "", "s"),
                    (2, "b@x", "<a@x>", "t"),
                    (3, "c@x", "<a@x>", "t"),
                ],
                "(1 (2)(3))",
            ),
            // The parent is missing: two children keep a place for it.
            (
                &[(2, "b@x", "<a@x>", "t"), (3, "c@x", "<a@x>", "t")],
                "((2)(3))",
            ),
            (&[(2, "b@x", "<a@x>", "t")], "(2)"),
            // No references: the subject decides.
            (&[(1, "a@x", "", "s"), (2, "b@x", "", "Re: s")], "(1 2)"),
            (&[(1, "a@x", "", "s"), (2, "b@x", "", "s")], "((1)(2))"),
            // A loop of references.
            (
                &[(1, "a@x", "<b@x>", "s"), (2, "b@x", "<a@x>", "t")],
                "(2 1)",
            ),
        ];
        for (messages, expected) in table {
            assert_eq!(
                threads(Algorithm::References, messages),
                expected,
                "{messages:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_message_is_there_once(
            shape in proptest::collection::vec((0usize..8, proptest::collection::vec(0usize..8, 0..4), 0usize..3), 0..14),
        ) {
            let messages: Vec<(u32, String, String, String)> = shape
                .iter()
                .enumerate()
                .map(|(at, (id, refs, subject))| {
                    let refs: Vec<String> = refs.iter().map(|r| format!("<i{r}@x>")).collect();
                    (at as u32 + 1, format!("i{id}@x"), refs.join(" "), ["", "s", "Re: s"][*subject].to_owned())
                })
                .collect();
            let borrowed: Vec<Case<'_>> =
                messages.iter().map(|(u, i, r, s)| (*u, i.as_str(), r.as_str(), s.as_str())).collect();
            for algorithm in [Algorithm::References, Algorithm::OrderedSubject] {
                let text = threads(algorithm, &borrowed);
                let mut numbers: Vec<u32> = text
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|n| n.parse().ok())
                    .collect();
                numbers.sort_unstable();
                prop_assert_eq!(numbers, (1..=messages.len() as u32).collect::<Vec<u32>>(), "{}", text);
            }
        }
    }
}
