//! Address lists (RFC 5322 §3.4), keeping what can be understood of broken ones.

use std::borrow::Cow;

use crate::charset::to_text;
use crate::header::unfold;
use crate::words::decode_words;

/// More addresses than this are ignored; a header can hold one in every three octets.
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
    let mut list = Vec::new();
    parse_addresses(value, &mut list);
    list
}

/// Likewise, behind those of another field of that name.
pub(crate) fn parse_addresses(value: &[u8], list: &mut Vec<Address>) {
    let text = unfold(value);
    let mut scanner = Scanner {
        text: &text,
        at: 0,
        no_quote_from: usize::MAX,
        no_comment_from: usize::MAX,
    };
    while scanner.at < text.len() && list.len() < MAX_ADDRESSES {
        if let Some(address) = scanner.mailbox() {
            list.push(address);
        }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// From here on no quoted string ends, and no comment: looking again would take quadratic time.
    no_quote_from: usize,
    no_comment_from: usize,
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
                b'"' => match self.quoted() {
                    Some(text) if self.text.get(self.at) == Some(&b'@') => {
                        quoted_local = Some(text);
                    }
                    Some(text) => append(&mut phrase, &text),
                    // Without its end it quotes nothing.
                    None => self.at += 1,
                },
                b'(' => match self.comment() {
                    Some(text) => comment = text,
                    None => self.at += 1,
                },
                b'<' => angle = Some(self.angle()),
                b' ' | b'\t' => {
                    self.at += 1;
                    if !phrase.is_empty() && !phrase.ends_with(' ') {
                        phrase.push(' ');
                    }
                }
                _ => {
                    phrase.push_str(&self.word());
                }
            }
        }
        let phrase = trimmed(phrase);
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
        match bare_address(&phrase) {
            Some((localpart, domain)) => Some(Address {
                name: comment,
                localpart,
                domain,
            }),
            None => Some(Address {
                name: phrase,
                ..Address::default()
            }),
        }
    }

    /// Up to what separates words or addresses; a domain literal is kept whole.
    fn word(&mut self) -> Cow<'_, str> {
        let start = self.at;
        let mut in_literal = false;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'[' => in_literal = self.at > start && self.text[self.at - 1] == b'@',
                b']' => in_literal = false,
                b',' | b';' | b'"' | b'(' | b'<' | b' ' | b'\t' if self.at > start => break,
                b':' if self.at > start && !in_literal => break,
                _ => {}
            }
            self.at += 1;
        }
        to_text(&self.text[start..self.at], "")
    }

    /// Content of the quoted string that begins here; None, and nothing taken, when it does not end.
    fn quoted(&mut self) -> Option<String> {
        if self.at >= self.no_quote_from {
            return None;
        }
        let mut out = Vec::new();
        let mut at = self.at + 1;
        while let Some(&byte) = self.text.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    self.at = at;
                    return Some(into_text(out));
                }
                b'\\' => {
                    out.extend(self.text.get(at));
                    at += 1;
                }
                _ => out.push(byte),
            }
        }
        self.no_quote_from = self.at;
        None
    }

    /// Content of the comment that begins here, likewise.
    fn comment(&mut self) -> Option<String> {
        if self.at >= self.no_comment_from {
            return None;
        }
        let (mut depth, mut out) = (0usize, Vec::new());
        let mut at = self.at;
        while let Some(&byte) = self.text.get(at) {
            at += 1;
            match byte {
                b'\\' => {
                    out.extend(self.text.get(at));
                    at += 1;
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at = at;
                return Some(trimmed(into_text(out)));
            }
            if depth > 1 || byte != b'(' {
                out.push(byte);
            }
        }
        self.no_comment_from = self.at;
        None
    }

    /// The usual `local@domain>`, without anything that has to be looked at closer.
    fn plain_angle(&mut self) -> Option<(String, String)> {
        let rest = &self.text[self.at..];
        let mut domain_at = None;
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                b'>' => {
                    let domain_at: usize = domain_at?;
                    let text = std::str::from_utf8(&rest[..at]).ok()?;
                    self.at += at + 1;
                    return Some((
                        text[..domain_at].to_owned(),
                        text[domain_at + 1..].to_owned(),
                    ));
                }
                b'@' if at == 0 => return None,
                b'@' => domain_at = Some(at),
                b',' | b'"' | b'(' => return None,
                0x21..=0x7e => {}
                _ => return None,
            }
        }
        None
    }

    /// `<route:local@domain>`; a missing `>` ends at the next comma.
    fn angle(&mut self) -> (String, String) {
        self.at += 1;
        if let Some(found) = self.plain_angle() {
            return found;
        }
        let (mut local, mut raw) = (None, Vec::new());
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'>' => {
                    self.at += 1;
                    break;
                }
                b',' if raw.first() != Some(&b'@') => break,
                b'"' => {
                    if let Some(text) = self.quoted() {
                        local = Some(text);
                        continue;
                    }
                }
                b'(' if self.comment().is_some() => continue,
                b' ' | b'\t' => {}
                _ => raw.push(byte),
            }
            self.at += 1;
        }
        let mut text = into_text(raw);
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

/// As other text of a header; octets that are UTF-8 are not copied.
fn into_text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap_or_else(|e| to_text(e.as_bytes(), "").into_owned())
}

fn trimmed(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    if text.starts_with(char::is_whitespace) {
        text = text.trim_start().to_owned();
    }
    text
}

/// `local@domain`, perhaps with blanks around `@` and dots (RFC 5322 §4.4).
fn bare_address(phrase: &str) -> Option<(String, String)> {
    let (localpart, domain) = phrase.rsplit_once('@')?;
    if phrase.bytes().all(|b| b.is_ascii_graphic()) {
        return Some((localpart.to_owned(), domain.to_owned()));
    }
    let join = |text: &str| -> Option<String> {
        let parts: Vec<&str> = text.trim().split('.').map(str::trim).collect();
        (!parts.iter().any(|p| p.contains(' '))).then(|| parts.join("."))
    };
    Some((join(localpart)?, join(domain)?))
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
            ("a @ b . c", &[("", "a", "b.c")]),
            ("a b@c", &[("a b@c", "", "")]),
            (
                "a@[IPv6:::1], b@[1.2.3.4]",
                &[("", "a", "[IPv6:::1]"), ("", "b", "[1.2.3.4]")],
            ),
            ("\"open <a@b>, c@d", &[("open", "a", "b"), ("", "c", "d")]),
            ("(open a@b, c@d", &[("open a@b", "", ""), ("", "c", "d")]),
            ("(a (b) c) x@y (d\\) e)", &[("d) e", "x", "y")]),
            ("a@b; c@d", &[("", "a", "b"), ("", "c", "d")]),
            ("A: B: c@d;, e@f;", &[("", "c", "d"), ("", "e", "f")]),
            ("x <a@b> junk, c@d", &[("x junk", "a", "b"), ("", "c", "d")]),
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
