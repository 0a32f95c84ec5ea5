//! What holds for every name, pattern, set and rendered string.
use imapparse::{
    decode_utf7, encode_utf7, format_set, list_match, render, Command, CommandReader, Event,
    Limits, SequenceSet, Value,
};
use proptest::prelude::*;

/// The obvious way: try every length for a wildcard.
fn naive_match(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((wildcard @ ('*' | '%'), rest)) => (0..=name.len())
            .take_while(|&n| *wildcard == '*' || n == 0 || name[n - 1] != '/')
            .any(|n| naive_match(rest, &name[n..])),
        Some((c, rest)) => name.first() == Some(c) && naive_match(rest, &name[1..]),
    }
}

/// What a server's reader makes of `a LOGIN <first> <second>`.
fn login(first: &[u8], second: &[u8]) -> Option<Command> {
    let mut reader = CommandReader::new(Limits::default());
    reader.feed(&[b"a LOGIN ", first, b" ", second, b"\r\n"].concat());
    loop {
        match reader.next()? {
            Event::Continue => {}
            Event::Command(command) => return Some(command),
            _ => return None,
        }
    }
}

proptest! {
    #[test]
    fn patterns_match_as_the_obvious_way(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(list_match(&pattern, &name), naive_match(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn any_pattern_and_name_are_survived(pattern: String, name: String) {
        let _ = list_match(&pattern, &name);
    }

    #[test]
    fn rendered_strings_are_read_back(text in "[^\0]{0,40}") {
        let (mut string, mut astring) = (Vec::new(), Vec::new());
        render::string(&mut string, text.as_bytes(), false);
        render::astring(&mut astring, &text, false);
        prop_assert!(text.is_ascii() == string.is_ascii());
        let found = login(&string, &astring);
        let value = Value::Str(text);
        prop_assert_eq!(found.map(|c| c.args), Some(vec![value.clone(), value]));
    }

    #[test]
    fn names_are_read_back(name: String, data: Vec<u8>) {
        prop_assert_eq!(decode_utf7(encode_utf7(&name).as_bytes()), Some(name));
        if let Some(name) = decode_utf7(&data) {
            prop_assert_eq!(encode_utf7(&name).into_bytes(), data);
        }
    }

    #[test]
    fn any_set_is_sorted_and_joined(text in "[0-9:,*$]{0,30}", any: String, max: u32) {
        let _ = SequenceSet::parse(&any);
        if let Some(set) = SequenceSet::parse(&text) {
            let ranges = set.ranges(max);
            prop_assert!(ranges.iter().all(|(low, high)| low <= high));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            if let Some(mut numbers) = set.written(1000) {
                numbers.sort_unstable();
                numbers.dedup();
                let back = SequenceSet::parse(&format_set(&numbers)).map(|s| s.ranges(0));
                prop_assert_eq!(back.unwrap_or_default(), ranges);
            }
        }
    }
}
