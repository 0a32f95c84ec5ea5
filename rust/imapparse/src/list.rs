//! LIST patterns (RFC 9051 §6.3.9): `*` matches anything, `%` anything but the separator.

/// `name` matches `pattern`. Linear in the square of the name at worst, and in the pattern.
#[must_use]
pub fn list_match(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let pattern = without_repetition(pattern);
    if pattern.iter().filter(|c| !is_wildcard(**c)).count() > name.len() {
        return false;
    }
    // Reachable positions of the name after each character of the pattern.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for c in pattern {
        let mut next = vec![false; name.len() + 1];
        match c {
            '*' | '%' => {
                let mut open = false;
                for at in 0..=name.len() {
                    if at > 0 && c == '%' && name[at - 1] == '/' {
                        open = false;
                    }
                    open = open || reached[at];
                    next[at] = open;
                }
            }
            _ => {
                for at in 0..name.len() {
                    next[at + 1] = reached[at] && name[at] == c;
                }
            }
        }
        reached = next;
    }
    reached[name.len()]
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '%')
}

/// Wildcards side by side are one: `*` if there is one among them.
fn without_repetition(pattern: &str) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(pattern.len());
    for c in pattern.chars() {
        match out.last_mut() {
            Some(last) if is_wildcard(*last) && is_wildcard(c) => {
                if c == '*' {
                    *last = c;
                }
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::list_match;

    #[test]
    fn table() {
        let cases = [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("%b", "a/b", false),
            ("", "", true),
            ("", "a", false),
            ("a%%b", "axxb", true),
            ("%*", "a/b", true),
            ("*%", "a/b", true),
            ("é*", "éa", true),
        ];
        for (pattern, name, matches) in cases {
            assert_eq!(list_match(pattern, name), matches, "{pattern} {name}");
        }
        assert!(!list_match(&"*a".repeat(500), &"a".repeat(400)));
    }
}
