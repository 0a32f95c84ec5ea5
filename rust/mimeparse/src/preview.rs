//! The start of a message's own text, for message lists.

use crate::charset::to_text;
use crate::decode::decode_part;
use crate::html;
use crate::part::{Kind, Part};

/// Characters of a preview.
const MAX_CHARS: usize = 256;
/// Raw octets of a part that are looked at.
const MAX_INPUT: usize = 1 << 20;
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
    let content = decode_part(&body[..body.len().min(MAX_INPUT)], &part.encoding)?;
    let text = to_text(&content, part.param("charset").unwrap_or_default());
    Some(if is_html {
        condense(&html::to_text(&text, MAX_HTML_TEXT))
    } else {
        condense(&text)
    })
}

/// Own lines only: quotes become one `[...]`, their attribution too, and a signature ends the text.
fn condense(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut used = 0;
    for line in text.lines() {
        lines.push(line.trim());
        used += line.len();
        // Enough for the result even when attributions are cut, without splitting a megabyte.
        if used > 64 * 1024 || lines.len() > 1000 {
            break;
        }
    }
    let mut out = String::new();
    let mut i = 0;
    while i < lines.len() && out.len() < 250 {
        let line = lines[i];
        if is_signature(&lines[i..]) {
            break;
        }
        if line.starts_with('>') {
            mark_quote(&mut out);
        } else if let Some(skip) = attribution(&lines[i..], out.is_empty()) {
            mark_quote(&mut out);
            i += skip;
            continue;
        } else if !(line.is_empty() || is_ellipsis(line) && out.ends_with("[...]\n")) {
            out.push_str(line);
            out.push('\n');
        }
        i += 1;
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

/// Lines to skip when these begin with the attribution of a quote (`On ... wrote:`).
fn attribution(lines: &[&str], at_start: bool) -> Option<usize> {
    let quote_after = |n: usize| {
        let next = lines.get(n).copied().unwrap_or_default();
        next.starts_with('>')
            || (next.is_empty() && lines.get(n + 1).is_some_and(|l| l.starts_with('>')))
    };
    let line = lines[0];
    if line.ends_with(':')
        && quote_after(1)
        && (at_start || line.bytes().any(|b| b.is_ascii_digit()))
    {
        return Some(1);
    }
    let second = lines.get(1).copied().unwrap_or_default();
    let wrapped = at_start && line.starts_with("On ") && second.ends_with(':') && quote_after(2);
    wrapped.then_some(2)
}

/// Dashes, then fewer than five lines, none empty, to the end.
fn is_signature(lines: &[&str]) -> bool {
    let Some((first, rest)) = lines.split_first() else {
        return false;
    };
    if first.len() < 2 || !first.bytes().all(|b| b == b'-') {
        return false;
    }
    let count = rest
        .iter()
        .rposition(|l| !l.is_empty())
        .map_or(0, |at| at + 1);
    count < SIGNATURE_LINES && rest[..count].iter().all(|l| !l.is_empty())
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
