//! SORT (RFC 5256 §2.2, RFC 5957).

use std::cmp::Ordering;

use imapparse::Row;
use mimeparse::{fields, parse_address_list, unfold};

use crate::date::parse_date;
use crate::message::{Column, Loader, Stored};

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// INTERNALDATE.
    Arrival,
    /// Mailbox of the first Cc address.
    Cc,
    /// Date field in UTC, INTERNALDATE where there is none.
    Date,
    /// Display name of the first From address, or the address.
    DisplayFrom,
    /// The same of To.
    DisplayTo,
    /// Mailbox of the first From address.
    From,
    /// Octets.
    Size,
    /// Base subject.
    Subject,
    /// Mailbox of the first To address.
    To,
}

impl Criterion {
    /// By its name in the command; None for an unknown one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ARRIVAL" => Self::Arrival,
            "CC" => Self::Cc,
            "DATE" => Self::Date,
            "DISPLAYFROM" => Self::DisplayFrom,
            "DISPLAYTO" => Self::DisplayTo,
            "FROM" => Self::From,
            "SIZE" => Self::Size,
            "SUBJECT" => Self::Subject,
            "TO" => Self::To,
            _ => return None,
        })
    }

    /// Columns that it needs.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Arrival | Self::Size => &[],
            Self::Subject => &[Column::SubjectBase],
            _ => &[
                Column::Header,
                Column::HeaderSize,
                Column::Prefix,
                Column::BlobId,
            ],
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
}

/// Collects messages, then puts them in order.
#[derive(Debug)]
pub struct Sorter {
    criteria: Vec<(bool, Criterion)>,
    messages: Vec<(Vec<Key>, u32)>,
    loader: Loader,
}

impl Sorter {
    /// By these criteria; true reverses one.
    #[must_use]
    pub fn new(criteria: Vec<(bool, Criterion)>) -> Self {
        Self {
            criteria,
            messages: Vec::new(),
            loader: Loader::default(),
        }
    }

    /// Take a message and its facts from the mailbox index.
    pub fn add(&mut self, row: &Stored<'_>, hot: &Row) {
        let criteria: Vec<Criterion> = self.criteria.iter().map(|c| c.1).collect();
        let keys = criteria.iter().map(|c| self.key(*c, row, hot)).collect();
        self.messages.push((keys, row.uid));
    }

    fn key(&mut self, criterion: Criterion, row: &Stored<'_>, hot: &Row) -> Key {
        match criterion {
            Criterion::Arrival => Key::Number(hot.received_ms),
            Criterion::Size => Key::Number(i64::try_from(hot.size).unwrap_or(i64::MAX)),
            Criterion::Subject => Key::Text(row.text(Column::SubjectBase).to_lowercase()),
            Criterion::Date => {
                let sent = self.field(row, "date").and_then(|v| parse_date(&v));
                Key::Number(sent.map_or(hot.received_ms / 1000, |d| d.utc_s))
            }
            Criterion::From => Key::Text(self.address(row, "from", false)),
            Criterion::To => Key::Text(self.address(row, "to", false)),
            Criterion::Cc => Key::Text(self.address(row, "cc", false)),
            Criterion::DisplayFrom => Key::Text(self.address(row, "from", true)),
            Criterion::DisplayTo => Key::Text(self.address(row, "to", true)),
        }
    }

    fn field(&mut self, row: &Stored<'_>, name: &str) -> Option<Vec<u8>> {
        let header = self.loader.header(row).ok()?;
        let found = fields(header).find(|f| f.is(name))?;
        Some(unfold(found.value).into_owned())
    }

    fn address(&mut self, row: &Stored<'_>, name: &str, display: bool) -> String {
        let Some(value) = self.field(row, name) else {
            return String::new();
        };
        let Some(first) = parse_address_list(&value).into_iter().next() else {
            return String::new();
        };
        let first = first.decoded();
        let text = match (display, first.name.is_empty()) {
            (true, false) => first.name,
            (true, true) => format!("{}@{}", first.localpart, first.domain),
            (false, _) => first.localpart,
        };
        text.to_lowercase()
    }

    /// UIDs in order; equal ones by UID.
    #[must_use]
    pub fn finish(mut self) -> Vec<u32> {
        let criteria = self.criteria;
        self.messages.sort_by(|(a, a_uid), (b, b_uid)| {
            for ((left, right), (reverse, _)) in a.iter().zip(b).zip(&criteria) {
                let order = if *reverse {
                    right.cmp(left)
                } else {
                    left.cmp(right)
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
            a_uid.cmp(b_uid)
        });
        self.messages.into_iter().map(|(_, uid)| uid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Cell;

    fn sorted(criteria: &[(bool, Criterion)]) -> Vec<u32> {
        let mut sorter = Sorter::new(criteria.to_vec());
        for (uid, header, subject, size) in [
            (
                1,
                "From: Zed <b@example.org>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\n\r\n",
                "B",
                5,
            ),
            (
                2,
                "From: <A@example.org>\r\nDate: Tue, 24 Nov 2026 09:30:00 +0000\r\n\r\n",
                "a",
                5,
            ),
            (3, "From: c@example.org\r\n\r\n", "b", 1),
        ] {
            let columns = [Column::Header, Column::HeaderSize, Column::SubjectBase];
            let cells = [
                Cell::Bytes(header.as_bytes()),
                Cell::Int(header.len() as i64),
                Cell::Bytes(subject.as_bytes()),
            ];
            let row = Stored {
                uid,
                size,
                columns: &columns,
                cells: &cells,
                path: None,
            };
            let hot = Row {
                uid,
                modseq: 1,
                size,
                received_ms: i64::from(uid) * 1000,
                message_id: 1,
                ..Row::default()
            };
            sorter.add(&row, &hot);
        }
        sorter.finish()
    }

    #[test]
    fn orders() {
        assert_eq!(sorted(&[(false, Criterion::Subject)]), [2, 1, 3]);
        assert_eq!(sorted(&[(true, Criterion::Subject)]), [1, 3, 2]);
        assert_eq!(
            sorted(&[(false, Criterion::Size), (true, Criterion::Arrival)]),
            [3, 2, 1]
        );
        assert_eq!(sorted(&[(false, Criterion::Date)]), [3, 1, 2]);
        assert_eq!(sorted(&[(false, Criterion::From)]), [2, 1, 3]);
        assert_eq!(sorted(&[(false, Criterion::DisplayFrom)]), [2, 3, 1]);
    }
}
