//! The start of a message's own text, for message lists.

use crate::charset::to_text;
use crate::decode::decode_part;
use crate::html;
use crate::part::{Kind, Part};

/// Characters of a preview.
const MAX_CHARS: usize = 256;
/// Raw octets of a part that are looked at; in HTML much may stand before the text.
const MAX_INPUT: usize = 1 << 20;
/// Of a plain text three times what is looked at: so much a transfer encoding may take.
const MAX_PLAIN_INPUT: usize = 3 * MAX_TEXT;
/// A preview that has this many octets is long enough.
const ENOUGH: usize = 250;
/// Octets and lines of a text that are looked at: enough for the result even when quotes are cut.
const MAX_TEXT: usize = 64 * 1024;
const MAX_LINES: usize = 1000;
/// Octets of text from HTML that are looked at.
const MAX_HTML_TEXT: usize = 4096;
/// A signature has fewer lines than this after its dashes.
const SIGNATURE_LINES: usize = 5;

/// Preview with LF line ends; empty when the message has no text.
pub(crate) fn preview(data: &[u8], root: &Part) -> String {
    first_text(data, root).unwrap_or_default()
}

fn first_text(data: &[u8], part: &Part) -> Option<String> {
    if part
        .disposition
        .as_ref()
        .is_some_and(|(value, _)| value.eq_ignore_ascii_case("attachment"))
    {
        return None;
    }
    match part.kind {
        Kind::Multipart if part.media_subtype == "ENCRYPTED" => None,
        Kind::Multipart if part.media_subtype == "SIGNED" => {
            part.children.first().and_then(|c| first_text(data, c))
        }
        Kind::Multipart => part.children.iter().find_map(|c| first_text(data, c)),
        Kind::Message => None,
        Kind::Leaf => leaf(data, part).filter(|text| !text.is_empty()),
    }
}

fn leaf(data: &[u8], part: &Part) -> Option<String> {
    let is_html = part.media_type == "TEXT" && part.media_subtype == "HTML";
    let is_plain =
        part.media_type.is_empty() || (part.media_type == "TEXT" && part.media_subtype == "PLAIN");
    if !is_html && !is_plain {
        return None;
    }
    let body = part.body(data);
    let max = if is_html { MAX_INPUT } else { MAX_PLAIN_INPUT };
    let decoded = decode_part(&body[..body.len().min(max)], &part.encoding)?;
    let mut content = &*decoded;
    if body.len() > max {
        // No character that was cut in two.
        let end = memchr::memrchr(b'\n', content).map_or(content.len(), |at| at + 1);
        content = &content[..end];
    }
    let text = to_text(content, part.param("charset").unwrap_or_default());
    Some(if is_html {
        condense(&html::to_text(&text, MAX_HTML_TEXT))
    } else {
        condense(&text)
    })
}

/// The lines of a text without blanks around them, split when they are looked at.
struct Lines<'a> {
    rest: std::str::Lines<'a>,
    seen: Vec<&'a str>,
    octets: usize,
}

impl<'a> Lines<'a> {
    fn get(&mut self, index: usize) -> Option<&'a str> {
        while self.seen.len() <= index && self.octets <= MAX_TEXT && self.seen.len() <= MAX_LINES {
            let line = self.rest.next()?;
            self.octets += line.len();
            self.seen.push(line.trim());
        }
        self.seen.get(index).copied()
    }

    /// The line there, empty behind the end.
    fn at(&mut self, index: usize) -> &'a str {
        self.get(index).unwrap_or_default()
    }
}

/// Own lines only: quotes become one `[...]`, their attribution too, and a signature ends the text.
fn condense(text: &str) -> String {
    let mut lines = Lines {
        rest: text.lines(),
        seen: Vec::new(),
        octets: 0,
    };
    let mut out = String::with_capacity(2 * ENOUGH);
    let mut i = 0;
    while let Some(line) = lines.get(i).filter(|_| out.len() < ENOUGH) {
        if is_signature(&mut lines, i) {
            break;
        }
        if line.starts_with('>') {
            mark_quote(&mut out);
        } else if let Some(skip) = attribution(&mut lines, i, out.is_empty()) {
            mark_quote(&mut out);
            i += skip;
            continue;
        } else if !(line.is_empty() || is_ellipsis(line) && out.ends_with("[...]\n")) {
            out.push_str(line);
            out.push('\n');
        }
        i += 1;
    }
    let is_plain = |b: u8| b == b'\n' || (0x20..0x7f).contains(&b);
    if out.bytes().all(is_plain) {
        out.truncate(MAX_CHARS);
        return out;
    }
    out.chars()
        .filter(|&c| c == '\n' || !c.is_control())
        .take(MAX_CHARS)
        .collect()
}

fn is_ellipsis(line: &str) -> bool {
    matches!(line, "[...]" | "[\u{2026}]" | "...")
}

fn mark_quote(out: &mut String) {
    let last = out.lines().last().unwrap_or_default();
    if !is_ellipsis(last) {
        out.push_str("[...]\n");
    }
}

/// Lines to skip when those from `i` on begin with the attribution of a quote (`On ... wrote:`).
fn attribution(lines: &mut Lines<'_>, i: usize, at_start: bool) -> Option<usize> {
    let line = lines.at(i);
    if line.ends_with(':')
        && (at_start || line.bytes().any(|b| b.is_ascii_digit()))
        && is_quote(lines, i + 1)
    {
        return Some(1);
    }
    let wrapped = at_start
        && line.starts_with("On ")
        && lines.at(i + 1).ends_with(':')
        && is_quote(lines, i + 2);
    wrapped.then_some(2)
}

/// A quote begins in this line, or in the next when this one is empty.
fn is_quote(lines: &mut Lines<'_>, i: usize) -> bool {
    let line = lines.at(i);
    line.starts_with('>') || (line.is_empty() && lines.at(i + 1).starts_with('>'))
}

/// Dashes, then fewer than five lines, none empty, to the end.
fn is_signature(lines: &mut Lines<'_>, i: usize) -> bool {
    let line = lines.at(i);
    if line.len() < 2 || !line.bytes().all(|b| b == b'-') {
        return false;
    }
    let mut end = i + 1;
    while !lines.at(end).is_empty() {
        end += 1;
        if end - i > SIGNATURE_LINES {
            return false;
        }
    }
    while let Some(line) = lines.get(end) {
        if !line.is_empty() {
            return false;
        }
        end += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::{parse, Limits};

    fn preview(message: &str) -> String {
        parse(message.replace('\n', "\r\n").as_bytes(), &Limits::default()).preview
    }

    #[test]
    fn table() {
        let cases = [
            ("\nhello\n\n  world\n", "hello\nworld\n"),
            ("\nOn 1 May, X wrote:\n> a\n> b\nme\n", "[...]\nme\n"),
            ("\na\n> q\n[...]\nb\n-- \nname\nphone\n", "a\n[...]\nb\n"),
            (
                "Content-Type: text/html\n\n<p>x<style>y</style></p>z\n",
                "x\nz\n",
            ),
            ("\na\n--\n\n\nb\n", "a\n--\nb\n"),
            ("\na\n--\nx\n\n\n", "a\n"),
            ("\na\n--", "a\n"),
            ("Content-Type: image/png\n\nabc\n", ""),
            ("Content-Disposition: attachment\n\nabc\n", ""),
        ];
        for (message, text) in cases {
            assert_eq!(preview(message), text, "{message}");
        }
    }

    #[test]
    fn one_very_long_line_is_cut() {
        let text = format!(
            "Content-Transfer-Encoding: quoted-printable\n\n{}\n",
            "ab ".repeat(70_000)
        );
        assert_eq!(preview(&text).chars().count(), 256);
    }
}
