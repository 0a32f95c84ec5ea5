//! HTML to plain text, for previews, search and word tokens: tolerant, linear, without a tree.

/// Elements whose text is not shown.
const HIDDEN: [&str; 8] = [
    "dialog", "head", "map", "math", "script", "style", "svg", "template",
];
/// Elements that do not break a line.
const INLINE: [&str; 34] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "input", "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span",
    "strong", "sub", "sup", "time", "u", "var", "wbr",
];
/// Longest name of an element that means something here.
const MAX_NAME: usize = 10;

/// Text of an HTML document, at most about `limit` octets of it, quotes marked by `> `.
pub(crate) fn to_text(html: &str, limit: usize) -> String {
    Extractor::new(limit, false).run(html)
}

/// All text, with the alternative texts of images.
pub(crate) fn all_text(html: &str) -> String {
    Extractor::new(usize::MAX, true).run(html)
}

struct Extractor {
    out: String,
    limit: usize,
    with_alt: bool,
    quote: usize,
}

impl Extractor {
    fn new(limit: usize, with_alt: bool) -> Self {
        Self {
            out: String::new(),
            limit,
            with_alt,
            quote: 0,
        }
    }

    fn run(mut self, html: &str) -> String {
        let mut rest = html;
        while !rest.is_empty() && self.out.len() < self.limit {
            let Some(at) = rest.find('<') else {
                self.text(rest);
                break;
            };
            self.text(&rest[..at]);
            rest = self.markup(&rest[at..]);
        }
        self.out
    }

    /// What begins with `<`; returns what follows it.
    fn markup<'a>(&mut self, html: &'a str) -> &'a str {
        let inner = &html[1..];
        if let Some(comment) = inner.strip_prefix("!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        let closing = inner.starts_with('/');
        let name = element_name(inner.strip_prefix('/').unwrap_or(inner));
        let Some(name) = name else {
            if inner.starts_with(['!', '?', '/']) {
                return inner.find('>').map_or("", |end| &inner[end + 1..]);
            }
            // No markup at all.
            self.out.push('<');
            return inner;
        };
        let Some(end) = tag_end(inner) else { return "" };
        let (tag, rest) = (&inner[..end], &inner[end + 1..]);
        if HIDDEN.contains(&name.as_str()) {
            if closing || tag.ends_with('/') {
                return rest;
            }
            return after_element(rest, &name);
        }
        if self.with_alt && name == "img" {
            if let Some(alt) = attribute(tag, "alt") {
                self.space();
                self.text(alt);
                self.space();
            }
        }
        self.element(&name, closing);
        rest
    }

    fn element(&mut self, name: &str, closing: bool) {
        match name {
            "td" | "th" => self.space(),
            "blockquote" => {
                self.newline();
                if closing {
                    self.quote = self.quote.saturating_sub(1);
                } else {
                    self.quote += 1;
                    self.out.push_str("> ");
                }
            }
            _ if INLINE.binary_search(&name).is_ok() => {}
            _ => {
                self.newline();
                if self.quote > 0 && self.out.ends_with('\n') {
                    self.out.push_str("> ");
                }
            }
        }
    }

    fn newline(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') && !self.out.ends_with("> ") {
            self.out.push('\n');
        }
    }

    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
    }

    fn text(&mut self, raw: &str) {
        let mut rest = raw;
        while let Some(first) = rest.chars().next() {
            let (shown, len) = if first == '&' {
                entity(rest)
            } else {
                (first, first.len_utf8())
            };
            rest = &rest[len..];
            match shown {
                '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{ad}' | '\u{34f}' => {}
                c if c.is_whitespace() => self.space(),
                c => self.out.push(c),
            }
        }
    }
}

/// The lower-case name at the start of a tag; None when no tag begins like this.
fn element_name(tag: &str) -> Option<String> {
    if !tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let letters = tag
        .bytes()
        .take_while(u8::is_ascii_alphanumeric)
        .take(MAX_NAME + 1);
    Some(
        letters
            .map(|b| char::from(b.to_ascii_lowercase()))
            .collect(),
    )
}

/// Index of the `>` that ends a tag; one in a quoted value does not, if its quote is closed not too far
/// behind the first one.
fn tag_end(tag: &str) -> Option<usize> {
    let first = tag.find('>')?;
    let bytes = tag.as_bytes();
    let mut quote = None;
    let mut last = 0;
    for (at, &byte) in bytes.iter().enumerate().take(first + 512) {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') if last == b'=' => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    Some(first)
}

/// Value of an attribute, with its entities.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some(equals) = rest.find('=') {
        let found = rest[..equals].trim_end();
        let before = found.len().checked_sub(name.len() + 1);
        let is_it = before.is_some_and(|at| {
            found.as_bytes()[at].is_ascii_whitespace()
                && found.as_bytes()[at + 1..].eq_ignore_ascii_case(name.as_bytes())
        });
        let value = rest[equals + 1..].trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote)?,
            _ => value.split_at(
                value
                    .find(|c: char| c.is_ascii_whitespace())
                    .unwrap_or(value.len()),
            ),
        };
        if is_it {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// What follows the end tag of `name`; what is inside may hold any other `<`.
fn after_element<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        let tag = &rest[at + 2..];
        if tag
            .get(..name.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
        {
            return tag.find('>').map_or("", |end| &tag[end + 1..]);
        }
        rest = tag;
    }
    ""
}

/// A character reference at the start of `text`: the character and its length here.
fn entity(text: &str) -> (char, usize) {
    let Some(end) = text.bytes().take(12).position(|b| b == b';') else {
        return ('&', 1);
    };
    let name = &text[1..end];
    let found = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "copy" => Some('\u{a9}'),
        "reg" => Some('\u{ae}'),
        "mdash" => Some('\u{2014}'),
        "ndash" => Some('\u{2013}'),
        "hellip" => Some('\u{2026}'),
        "rsquo" => Some('\u{2019}'),
        "lsquo" => Some('\u{2018}'),
        "rdquo" => Some('\u{201d}'),
        "ldquo" => Some('\u{201c}'),
        "laquo" => Some('\u{ab}'),
        "raquo" => Some('\u{bb}'),
        "bull" => Some('\u{2022}'),
        "middot" => Some('\u{b7}'),
        "trade" => Some('\u{2122}'),
        "euro" => Some('\u{20ac}'),
        "pound" => Some('\u{a3}'),
        "auml" => Some('\u{e4}'),
        "ouml" => Some('\u{f6}'),
        "uuml" => Some('\u{fc}'),
        "Auml" => Some('\u{c4}'),
        "Ouml" => Some('\u{d6}'),
        "Uuml" => Some('\u{dc}'),
        "szlig" => Some('\u{df}'),
        "agrave" => Some('\u{e0}'),
        "aacute" => Some('\u{e1}'),
        "acirc" => Some('\u{e2}'),
        "ccedil" => Some('\u{e7}'),
        "egrave" => Some('\u{e8}'),
        "eacute" => Some('\u{e9}'),
        "ecirc" => Some('\u{ea}'),
        "iacute" => Some('\u{ed}'),
        "ntilde" => Some('\u{f1}'),
        "oacute" => Some('\u{f3}'),
        "uacute" => Some('\u{fa}'),
        "zwnj" => Some('\u{200c}'),
        "zwj" => Some('\u{200d}'),
        "shy" => Some('\u{ad}'),
        _ => numeric(name),
    };
    found.map_or(('&', 1), |c| (c, end + 1))
}

fn numeric(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let value = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::{all_text, to_text};

    #[test]
    fn table() {
        let cases = [
            ("<p>a &amp; b</p><p>c</p>", "a & b\nc\n"),
            ("<style>x{}</style>a<br>b", "a\nb"),
            ("<b>a</b><i>b</i>", "ab"),
            ("a <!-- x > y --> b", "a b"),
            ("&#233;&#xe9;&bogus;&", "éé&bogus;&"),
            ("<tr><td>a</td><td>b</td></tr>", "a b \n"),
            ("a < b", "a < b"),
            ("1<2 <b>x</b>", "1<2 x"),
            ("<a title=\"x > y\">b</a>", "b"),
            ("<a title=\"open>b</a>", "b"),
            ("<!doctype html><?xml x?></>b", "b"),
            ("<script>if (a < b) {}</script>x", "x"),
            ("<blockquote>a<br>b</blockquote>c", "> a\n> b\nc"),
            ("x<unclosed", "x"),
        ];
        for (html, text) in cases {
            assert_eq!(to_text(html, 4096), text, "{html}");
        }
    }

    #[test]
    fn alternative_texts() {
        for (html, text) in [
            ("a<img src=x alt='b c'>d", "a b c d"),
            ("<img alt=b>", "b "),
            ("<img data-alt=b salt=c>", ""),
            ("<IMG ALT=\"&amp;\">", "& "),
        ] {
            assert_eq!(all_text(html), text, "{html}");
        }
    }
}
