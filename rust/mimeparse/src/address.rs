//! Address lists (RFC 5322 §3.4), keeping what can be understood of broken ones.

use crate::header::unfold;
use crate::words::decode_words;

/// More addresses than this in one field are ignored.
const MAX_ADDRESSES: usize = 10_000;

/// A mailbox. Strings are as they stand in the header, without quotes and comments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Display name, may be empty and may hold encoded words.
    pub name: String,
    /// Local part without quotes; empty with an empty domain where no address could be found.
    pub localpart: String,
    /// Domain, empty when the text had no `@`.
    pub domain: String,
}

impl Address {
    /// The same with encoded words in the name decoded.
    #[must_use]
    pub fn decoded(mut self) -> Self {
        if self.name.contains("=?") {
            self.name = decode_words(self.name.as_bytes());
        }
        self
    }
}

/// The mailboxes of a field's value, groups flattened.
#[must_use]
pub fn parse_address_list(value: &[u8]) -> Vec<Address> {
    let text = unfold(value);
    let mut scanner = Scanner { text: &text, at: 0 };
    let mut list = Vec::new();
    while scanner.at < text.len() && list.len() < MAX_ADDRESSES {
        if let Some(address) = scanner.mailbox() {
            list.push(address);
        }
    }
    list
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// One element up to a comma, a semicolon, the colon of a group, or the end.
    fn mailbox(&mut self) -> Option<Address> {
        let mut phrase = String::new();
        let mut comment = String::new();
        let mut angle: Option<(String, String)> = None;
        let mut quoted_local = None;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b',' | b';' => {
                    self.at += 1;
                    break;
                }
                b':' if angle.is_none() => {
                    // The name of a group: its members follow.
                    self.at += 1;
                    return None;
                }
                b'"' => {
                    let text = self.quoted();
                    if self.text.get(self.at) == Some(&b'@') {
                        quoted_local = Some(text);
                    } else {
                        append(&mut phrase, &text);
                    }
                }
                b'(' => comment = self.comment(),
                b'<' => angle = Some(self.angle()),
                b' ' | b'\t' => {
                    self.at += 1;
                    if !phrase.is_empty() && !phrase.ends_with(' ') {
                        phrase.push(' ');
                    }
                }
                _ => {
                    let word = self.word();
                    phrase.push_str(&word);
                }
            }
        }
        let phrase = phrase.trim().to_owned();
        if let Some((localpart, domain)) = angle {
            let name = if phrase.is_empty() { comment } else { phrase };
            return Some(Address {
                name,
                localpart,
                domain,
            });
        }
        if let Some(localpart) = quoted_local {
            let domain = phrase.trim_start_matches('@').to_owned();
            return Some(Address {
                name: comment,
                localpart,
                domain,
            });
        }
        if phrase.is_empty() {
            return None;
        }
        match phrase.rsplit_once('@') {
            Some((localpart, domain)) if !phrase.contains(' ') => Some(Address {
                name: comment,
                localpart: localpart.to_owned(),
                domain: domain.to_owned(),
            }),
            _ => Some(Address {
                name: phrase,
                ..Address::default()
            }),
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            if matches!(byte, b',' | b';' | b':' | b'"' | b'(' | b'<' | b' ' | b'\t')
                && self.at > start
            {
                break;
            }
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn quoted(&mut self) -> String {
        self.at += 1;
        let mut out = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    out.extend(self.text.get(self.at));
                    self.at += 1;
                }
                _ => out.push(byte),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn comment(&mut self) -> String {
        let (mut depth, mut out) = (0usize, Vec::new());
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => {
                    out.extend(self.text.get(self.at));
                    self.at += 1;
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth > 1 || byte != b'(' {
                out.push(byte);
            }
        }
        String::from_utf8_lossy(&out).trim().to_owned()
    }

    /// `<route:local@domain>`; a missing `>` ends at the next comma.
    fn angle(&mut self) -> (String, String) {
        self.at += 1;
        let (mut local, mut raw) = (None, Vec::new());
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'>' => {
                    self.at += 1;
                    break;
                }
                b',' if raw.first() != Some(&b'@') => break,
                b'"' => {
                    let text = self.quoted();
                    local = Some(text);
                    continue;
                }
                b'(' => {
                    self.comment();
                    continue;
                }
                b' ' | b'\t' => {}
                _ => raw.push(byte),
            }
            self.at += 1;
        }
        let mut text = String::from_utf8_lossy(&raw).into_owned();
        if text.starts_with('@') {
            // An obsolete route.
            if let Some((_, rest)) = text.split_once(':') {
                text = rest.to_owned();
            }
        }
        if let Some(local) = local {
            return (
                local,
                text.rsplit_once('@')
                    .map(|(_, d)| d.to_owned())
                    .unwrap_or_default(),
            );
        }
        match text.rsplit_once('@') {
            Some((localpart, domain)) => (localpart.to_owned(), domain.to_owned()),
            None => (text, String::new()),
        }
    }
}

fn append(phrase: &mut String, text: &str) {
    if !phrase.is_empty() && !phrase.ends_with(' ') {
        phrase.push(' ');
    }
    phrase.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::parse_address_list;

    #[test]
    fn table() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str, &'static str)],
        );
        let cases: &[Case] = &[
            ("a@b.c", &[("", "a", "b.c")]),
            (
                "X Y <a@b>, \"Z, W\" <c@d>",
                &[("X Y", "a", "b"), ("Z, W", "c", "d")],
            ),
            ("a@b (X Y)", &[("X Y", "a", "b")]),
            (
                "group: a@b, c@d; e@f",
                &[("", "a", "b"), ("", "c", "d"), ("", "e", "f")],
            ),
            ("undisclosed-recipients:;", &[]),
            ("\" \"@example.com", &[("", " ", "example.com")]),
            ("<\"a b\"@c>", &[("", "a b", "c")]),
            ("no address", &[("no address", "", "")]),
            ("<@route,@two:a@b>", &[("", "a", "b")]),
            ("<>", &[("", "", "")]),
            ("a@b <c@d", &[("a@b", "c", "d")]),
            (",,;", &[]),
            ("=?utf-8?q?x?= <a@b>", &[("=?utf-8?q?x?=", "a", "b")]),
        ];
        for (input, wanted) in cases {
            let got = parse_address_list(input.as_bytes());
            let shown: Vec<_> = got
                .iter()
                .map(|a| (a.name.as_str(), a.localpart.as_str(), a.domain.as_str()))
                .collect();
            assert_eq!(shown, *wanted, "{input}");
        }
    }
}
