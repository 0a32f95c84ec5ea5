//! HTML to plain text, for previews and search: tolerant, linear, without a tree.

/// Elements whose text is not shown.
const HIDDEN: [&str; 8] = [
    "dialog", "head", "map", "math", "script", "style", "svg", "template",
];
/// Elements that do not break a line.
const INLINE: [&str; 34] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "font", "i", "kbd",
    "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strong", "sub", "sup", "time",
    "u", "var", "wbr", "del", "ins", "img", "input", "label",
];

/// Text of an HTML document, at most about `limit` octets of it.
pub(crate) fn to_text(html: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut quote = 0usize;
    let mut rest = html;
    while !rest.is_empty() && out.len() < limit {
        let Some(at) = rest.find('<') else {
            text(&mut out, rest);
            break;
        };
        text(&mut out, &rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.find("-->").map_or("", |end| &after[end + 3..]);
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let closing = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        if HIDDEN.contains(&name.as_str()) && !closing && !tag.ends_with('/') {
            rest = after_element(rest, &name);
        } else {
            element(&mut out, &name, closing, &mut quote);
        }
    }
    out
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

fn element(out: &mut String, name: &str, closing: bool, quote: &mut usize) {
    match name {
        "td" | "th" => space(out),
        "blockquote" => {
            newline(out);
            *quote = if closing {
                quote.saturating_sub(1)
            } else {
                *quote + 1
            };
            if !closing {
                out.push_str("> ");
            }
        }
        _ if name.is_empty() || INLINE.contains(&name) => {}
        _ => {
            newline(out);
            if *quote > 0 && out.ends_with('\n') {
                out.push_str("> ");
            }
        }
    }
}

fn newline(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') && !out.ends_with("> ") {
        out.push('\n');
    }
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with([' ', '\n']) {
        out.push(' ');
    }
}

fn text(out: &mut String, raw: &str) {
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
            c if c.is_whitespace() => space(out),
            c => out.push(c),
        }
    }
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
        "mdash" => Some('\u{2014}'),
        "ndash" => Some('\u{2013}'),
        "hellip" => Some('\u{2026}'),
        "rsquo" => Some('\u{2019}'),
        "lsquo" => Some('\u{2018}'),
        "rdquo" => Some('\u{201d}'),
        "ldquo" => Some('\u{201c}'),
        "euro" => Some('\u{20ac}'),
        "zwnj" => Some('\u{200c}'),
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
    use super::to_text;

    #[test]
    fn table() {
        let cases = [
            ("<p>a &amp; b</p><p>c</p>", "a & b\nc\n"),
            ("<style>x{}</style>a<br>b", "a\nb"),
            ("<b>a</b><i>b</i>", "ab"),
            ("a <!-- x > y --> b", "a b"),
            ("&#233;&#xe9;&bogus;&", "éé&bogus;&"),
            ("<tr><td>a</td><td>b</td></tr>", "a b \n"),
            ("a < b", "a "),
            ("<script>if (a < b) {}</script>x", "x"),
        ];
        for (html, text) in cases {
            assert_eq!(to_text(html, 4096), text, "{html}");
        }
    }
}
