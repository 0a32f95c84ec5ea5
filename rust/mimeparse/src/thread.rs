//! Thread keys: base subject (RFC 5256 §2.1), canonical message ids, references (RFC 5322 §3.6.4).

/// More ids than this are ignored, oldest first.
const MAX_REFERENCES: usize = 100;

/// Octets of a subject that count: RFC 5322 §2.1.1 allows 998 in a line.
const MAX_SUBJECT: usize = 2000;

/// The base subject in lower case, and whether a reply or forward marker was removed.
#[must_use]
pub fn base_subject(subject: &str) -> (String, bool) {
    let mut end = subject.len().min(MAX_SUBJECT);
    while !subject.is_char_boundary(end) {
        end -= 1;
    }
    let text = lower_words(&subject[..end]);
    if text.contains('\0') {
        return (String::new(), false);
    }
    let mut response = false;
    let mut rest = text.as_str();
    loop {
        while let Some(before) = rest.trim_end().strip_suffix("(fwd)") {
            rest = before;
            response = true;
        }
        rest = rest.trim_end();
        loop {
            if let Some(after) = strip_marker(rest) {
                rest = after;
                response = true;
                continue;
            }
            match strip_blob(rest) {
                Some(after) if !after.is_empty() => rest = after,
                _ => break,
            }
        }
        let unwrapped = rest.strip_prefix("[fwd:").and_then(|r| r.strip_suffix(']'));
        match unwrapped {
            Some(inner) => {
                response = true;
                rest = inner.trim();
            }
            None => return (rest.trim().to_owned(), response),
        }
    }
}

/// In lower case, with one blank between words and none around them.
fn lower_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        push_lower(&mut out, word);
    }
    out
}

fn push_lower(out: &mut String, text: &str) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else {
        out.push_str(&text.to_lowercase());
    }
}

/// `[blob]` at the start, with blanks after it; not `[fwd: `.
fn strip_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    if inner.as_bytes()[end] != b']' || inner.starts_with("fwd:") {
        return None;
    }
    Some(inner[end + 1..].trim_start())
}

/// `*[blob] ("re" | "fw" | "fwd") [blob] ":"` at the start.
fn strip_marker(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = strip_blob(rest) {
        rest = after;
    }
    let after = ["fwd", "fw", "re"]
        .iter()
        .find_map(|m| rest.strip_prefix(m))?
        .trim_start();
    let after = strip_blob(after).unwrap_or(after);
    after.strip_prefix(':').map(str::trim_start)
}

/// The id between `<` and `>` in lower case, a local part that needs no quotes without them; None when there is none.
#[must_use]
pub fn canonical_message_id(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let inner = text.trim().strip_prefix('<')?;
    canonical(&inner[..inner.find('>')?])
}

fn canonical(id: &str) -> Option<String> {
    let mut lower = String::with_capacity(id.len());
    push_lower(&mut lower, id);
    let id = lower;
    let unquoted = id.rsplit_once('@').and_then(|(local, domain)| {
        let content = local.strip_prefix('"')?.strip_suffix('"')?;
        let is_dot_atom = content
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(|c| !c.is_ascii() || is_atext(c)));
        is_dot_atom.then(|| format!("{content}@{domain}"))
    });
    let id = unquoted.unwrap_or(id);
    (!id.is_empty()).then_some(id)
}

/// `atext` (RFC 5322 §3.2.3).
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Ids of References, oldest first; without one, the id at the start of In-Reply-To.
#[must_use]
pub fn references(references: Option<&[u8]>, in_reply_to: Option<&[u8]>) -> Vec<String> {
    let text = String::from_utf8_lossy(references.unwrap_or_default());
    let mut ids: Vec<String> = Vec::new();
    for piece in text.split('<').skip(1) {
        // A `<` before the `>`: the entry was cut off.
        let Some(end) = piece.find('>') else { continue };
        let id = &piece[..end];
        if id.contains([' ', '\t']) {
            ids.extend(canonical(&id.replace([' ', '\t'], "")));
        } else {
            ids.extend(canonical(id));
        }
    }
    if ids.is_empty() {
        ids.extend(in_reply_to.and_then(canonical_message_id));
    }
    if ids.len() > MAX_REFERENCES {
        ids.drain(..ids.len() - MAX_REFERENCES);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let cases = [
            ("test (fwd) (fwd) ", "test", true),
            ("Re: [list] Hello  World", "hello world", true),
            ("[list] re: [list] fwd: a b c", "a b c", true),
            ("[nonlist]", "[nonlist]", false),
            ("fwd [list]:", "", true),
            ("[fwd: re: inner]", "inner", true),
            ("re[2]: x", "x", true),
            ("report: x", "report: x", false),
            ("", "", false),
            ("a\0b", "", false),
        ];
        for (input, base, response) in cases {
            assert_eq!(
                base_subject(input),
                (base.to_owned(), response),
                "{input:?}"
            );
        }
    }

    #[test]
    fn ids() {
        assert_eq!(canonical_message_id(b" <A@B> x").as_deref(), Some("a@b"));
        assert_eq!(canonical_message_id(b"a@b"), None);
        assert_eq!(canonical_message_id(b"<>"), None);
        assert_eq!(
            canonical_message_id(b"<\"a.B\"@C>").as_deref(),
            Some("a.b@c")
        );
        assert_eq!(
            canonical_message_id(b"<\"a b\"@c>").as_deref(),
            Some("\"a b\"@c")
        );
        assert_eq!(canonical_message_id(b"<raw>").as_deref(), Some("raw"));
        assert_eq!(
            references(Some(b"<a@b> junk <cut <c @d>"), None),
            ["a@b", "c@d"]
        );
        assert_eq!(references(Some(b"<>"), Some(b"<x@y>")), ["x@y"]);
        assert_eq!(references(None, Some(b"text <x@y>")), Vec::<String>::new());
    }
}
