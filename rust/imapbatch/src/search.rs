//! Search keys that need the message (RFC 9051 §6.4.4).

use mimeparse::{decode_words, fields, unfold};

use crate::date::parse_date;
use crate::message::{Column, Loader, Stored};

/// A key; texts are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColdKey {
    /// The header field has the text; without text, the field exists.
    Header(String, String),
    /// The Date field's calendar day, in its own zone, is in `from..to`.
    Sent(i64, i64),
    /// The text parts have the text.
    Body(String),
    /// Header or text parts have the text.
    Text(String),
    /// EMAILID.
    EmailId(String),
    /// THREADID.
    ThreadId(String),
}

impl ColdKey {
    /// Columns that deciding needs.
    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        match self {
            Self::Header(..) | Self::Sent(..) => &[
                Column::Header,
                Column::HeaderSize,
                Column::Prefix,
                Column::BlobId,
            ],
            Self::Body(_) | Self::Text(_) => &[Column::Structure, Column::Prefix, Column::BlobId],
            Self::EmailId(_) => &[Column::BlobId],
            Self::ThreadId(_) => &[Column::ThreadId],
        }
    }

    /// What one of the message's texts must contain for the key to match, in lower case.
    #[must_use]
    pub fn needle(&self) -> Option<&str> {
        match self {
            Self::Header(_, text) | Self::Body(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Deciding reads the message's file.
    #[must_use]
    pub fn reads_file(&self) -> bool {
        matches!(self, Self::Body(_) | Self::Text(_))
    }
}

/// Decides the keys of one message after another. BODY and TEXT keys of a message are all decided in one pass over it.
#[derive(Debug)]
pub struct Tester<'k> {
    keys: &'k [ColdKey],
    loader: Loader,
    texts: Option<Vec<bool>>,
}

impl<'k> Tester<'k> {
    /// For these keys.
    #[must_use]
    pub fn new(keys: &'k [ColdKey]) -> Self {
        Self {
            keys,
            loader: Loader::default(),
            texts: None,
        }
    }

    /// Another message comes.
    pub fn next_message(&mut self) {
        self.texts = None;
    }

    /// Whether key `number` matches. What cannot be read matches nothing.
    pub fn test(&mut self, number: usize, row: &Stored<'_>) -> bool {
        match self.keys.get(number) {
            Some(ColdKey::Header(name, text)) => self.header(row, name, text),
            Some(ColdKey::Sent(from, to)) => self
                .sent(row)
                .is_some_and(|day| (*from..*to).contains(&day)),
            Some(ColdKey::Body(_) | ColdKey::Text(_)) => self.text(number, row),
            Some(ColdKey::EmailId(id)) => *id == format!("E{}", row.int(Column::BlobId)),
            Some(ColdKey::ThreadId(id)) => *id == format!("T{}", row.int(Column::ThreadId)),
            None => false,
        }
    }

    fn header(&mut self, row: &Stored<'_>, name: &str, text: &str) -> bool {
        let Ok(header) = self.loader.header(row) else {
            return false;
        };
        fields(header).filter(|f| f.is(name)).any(|field| {
            if text.is_empty() {
                return true;
            }
            let value = unfold(field.value);
            let raw = String::from_utf8_lossy(&value).to_lowercase();
            raw.contains(text)
                || value.contains(&b'=') && decode_words(&value).to_lowercase().contains(text)
        })
    }

    fn sent(&mut self, row: &Stored<'_>) -> Option<i64> {
        let header = self.loader.header(row).ok()?;
        let field = fields(header).find(|f| f.is("date"))?;
        parse_date(&unfold(field.value)).map(|date| date.local_day)
    }

    fn text(&mut self, number: usize, row: &Stored<'_>) -> bool {
        if self.texts.is_none() {
            self.texts = Some(
                self.all_texts(row)
                    .unwrap_or_else(|| vec![false; self.keys.len()]),
            );
        }
        self.texts
            .as_ref()
            .and_then(|found| found.get(number).copied())
            .unwrap_or(false)
    }

    fn all_texts(&mut self, row: &Stored<'_>) -> Option<Vec<bool>> {
        let root = mimeparse::read_structure(row.bytes(Column::Structure))?;
        let data = self.loader.range(row, 0, row.size).ok()?;
        let mut found = vec![false; self.keys.len()];
        for with_headers in [false, true] {
            let (numbers, needles): (Vec<usize>, Vec<&str>) = self
                .keys
                .iter()
                .enumerate()
                .filter_map(|(number, key)| match key {
                    ColdKey::Body(text) if !with_headers => Some((number, text.as_str())),
                    ColdKey::Text(text) if with_headers => Some((number, text.as_str())),
                    _ => None,
                })
                .unzip();
            if needles.is_empty() {
                continue;
            }
            let results = mimeparse::search(data, &root, &needles, with_headers);
            for (number, result) in numbers.into_iter().zip(results) {
                found[number] = result;
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Cell;

    #[test]
    fn keys() {
        let message = "Subject: =?utf-8?q?Caf=C3=A9?= one\r\nDate: Tue, 24 Nov 2026 23:30:00 -0100\r\nX: \r\n\r\nBody Grüße\r\n";
        let parsed = mimeparse::parse(message.as_bytes(), &mimeparse::Limits::default());
        let structure = mimeparse::write_structure(&parsed.root);
        let columns = [
            Column::Structure,
            Column::Prefix,
            Column::Header,
            Column::HeaderSize,
            Column::BlobId,
        ];
        let cells = [
            Cell::Bytes(&structure),
            Cell::Bytes(message.as_bytes()),
            Cell::Bytes(&message.as_bytes()[..parsed.header_size]),
            Cell::Int(parsed.header_size as i64),
            Cell::Int(9),
        ];
        let row = Stored {
            uid: 1,
            size: message.len() as u64,
            columns: &columns,
            cells: &cells,
            path: None,
        };
        let header = |name: &str, text: &str| ColdKey::Header(name.into(), text.into());
        for (key, expected) in [
            (header("SUBJECT", "café"), true),
            (header("SUBJECT", "=?utf-8?q?caf"), true),
            (header("SUBJECT", "two"), false),
            (header("X", ""), true),
            (header("Y", ""), false),
            (ColdKey::Sent(20_781, 20_782), true),
            (ColdKey::Sent(20_782, i64::MAX), false),
            (ColdKey::Body("grüße".into()), true),
            (ColdKey::Body("café".into()), false),
            (ColdKey::Text("café".into()), true),
            (ColdKey::EmailId("E9".into()), true),
            (ColdKey::ThreadId("T9".into()), false),
        ] {
            let keys = [ColdKey::Body("nothere".into()), key];
            assert_eq!(Tester::new(&keys).test(1, &row), expected, "{:?}", keys[1]);
        }
    }
}
