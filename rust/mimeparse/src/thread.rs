//! Thread keys: base subject (RFC 5256 §2.1), canonical message ids, references (RFC 5322 §3.6.4).

/// More ids than this are ignored, oldest first.
const MAX_REFERENCES: usize = 100;

/// The base subject in lower case, and whether a reply or forward marker was removed.
#[must_use]
pub fn base_subject(subject: &str) -> (String, bool) {
    let mut text = subject
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let mut response = false;
    loop {
        while let Some(rest) = text.trim_end().strip_suffix("(fwd)") {
            text = rest.to_owned();
            response = true;
        }
        text.truncate(text.trim_end().len());
        let mut rest = text.as_str();
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
        let unwrapped = rest
            .strip_prefix("[fwd:")
            .and_then(|r| r.strip_suffix(']'))
            .map(str::trim);
        match unwrapped {
            Some(inner) => {
                response = true;
                text = inner.to_owned();
            }
            None => {
                text = rest.trim().to_owned();
                break;
            }
        }
    }
    if text.contains('\0') {
        text.clear();
    }
    (text, response)
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

/// The id between `<` and `>` in lower case; None when there is none.
#[must_use]
pub fn canonical_message_id(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let inner = text.trim().strip_prefix('<')?;
    let id = inner[..inner.find('>')?].to_lowercase();
    (!id.is_empty()).then_some(id)
}

/// Ids of References, oldest first; without one, the id at the start of In-Reply-To.
#[must_use]
pub fn references(references: Option<&[u8]>, in_reply_to: Option<&[u8]>) -> Vec<String> {
    let text = String::from_utf8_lossy(references.unwrap_or_default()).into_owned();
    let mut ids: Vec<String> = Vec::new();
    for piece in text.split('<').skip(1) {
        // A `<` before the `>`: the entry was cut off.
        let Some(end) = piece.find('>') else { continue };
        let id: String = piece[..end]
            .chars()
            .filter(|c| !matches!(c, ' ' | '\t'))
            .collect::<String>()
            .to_lowercase();
        if !id.is_empty() {
            ids.push(id);
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
            references(Some(b"<a@b> junk <cut <c @d>"), None),
            ["a@b", "c@d"]
        );
        assert_eq!(references(Some(b"<>"), Some(b"<x@y>")), ["x@y"]);
        assert_eq!(references(None, Some(b"text <x@y>")), Vec::<String>::new());
    }
}
