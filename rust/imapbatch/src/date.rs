//! Dates in message headers (RFC 5322 §3.3 and §4.3), as tolerant as mail in the wild needs.

/// A parsed Date field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentDate {
    /// Seconds since 1970 in UTC.
    pub utc_s: i64,
    /// Day since 1970 in the sender's own zone.
    pub local_day: i64,
}

/// Parse `Tue, 24 Nov 2026 10:00:00 +0100 (CET)` and its common misspellings; None when there is no date in it.
#[must_use]
pub fn parse_date(value: &[u8]) -> Option<SentDate> {
    let text = String::from_utf8_lossy(value);
    let text = without_comments(&text);
    let mut words = text
        .split(|c: char| c.is_ascii_whitespace() || c == ',')
        .filter(|w| !w.is_empty())
        .skip_while(|w| !w.starts_with(|c: char| c.is_ascii_digit()));
    let first = words.next()?;
    let (day, month, year) = match first.split_once('-') {
        // `24-Nov-2026`
        Some((day, rest)) => {
            let (month, year) = rest.split_once('-')?;
            (day, month, year)
        }
        None => (first, words.next()?, words.next()?),
    };
    let month = imapparse::render::month_number(month.get(..3)?)?;
    let year = full_year(year)?;
    let local_day = imapparse::render::day_number(year, month, day.parse().ok()?)?;
    let seconds = words.next().map_or(Some(0), time_of_day)?;
    let zone = words.next().map_or(0, zone_minutes);
    Some(SentDate {
        utc_s: local_day * 86_400 + seconds - zone * 60,
        local_day,
    })
}

fn without_comments(text: &str) -> String {
    let mut depth = 0usize;
    text.chars()
        .filter(|&c| {
            match c {
                '(' => depth += 1,
                ')' if depth > 0 => {
                    depth -= 1;
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

/// RFC 5322 §4.3: two digits mean 1950 to 2049, three count from 1900.
fn full_year(text: &str) -> Option<i64> {
    let year: i64 = text.parse().ok().filter(|y| (0..=9999).contains(y))?;
    Some(match text.len() {
        1 | 2 if year < 50 => year + 2000,
        1..=3 => year + 1900,
        _ => year,
    })
}

fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text
        .split([':', '.'])
        .map(|p| p.parse::<i64>().ok().filter(|n| (0..=60).contains(n)));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().flatten().unwrap_or(0);
    (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60 + second)
}

fn zone_minutes(text: &str) -> i64 {
    let number = text.strip_prefix(['+', '-']).filter(|d| d.len() == 4);
    if let Some(value) = number.and_then(|d| d.parse::<i64>().ok()) {
        let minutes = value / 100 * 60 + value % 100;
        return if text.starts_with('-') {
            -minutes
        } else {
            minutes
        };
    }
    60 * match text.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        let day = |text: &str| parse_date(text.as_bytes()).map(|d| (d.utc_s, d.local_day));
        let expected = Some((1_795_510_800, 20_781));
        for text in [
            "Tue, 24 Nov 2026 10:00:00 +0100",
            "24 Nov 2026 10:00 +0100 (CET)",
            " Tue,24 Nov 2026 10:00:00 +0100",
            "Tue, 24 November 26 09:00:00 GMT",
            "24-Nov-2026 10:00:00 +0100",
            "Tue (day) 24 Nov 2026 04:00:00 EST",
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
        assert_eq!(day("Mon, 1 Jan 1970 23:30:00 -0100"), Some((88_200, 0)));
        for bad in [
            "",
            "x",
            "Tue, 32 Nov 2026 10:00:00 +0000",
            "24 Foo 2026",
            "24 Nov",
        ] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_input_breaks_it(input in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_date(&input);
        }
    }
}
