//! Dates of messages (RFC 5322 §3.3, §4.3) as they are found, not only as they should be.

/// A moment, and the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// The zone's offset from UTC in minutes, less than a day either way.
    pub offset_minutes: i32,
}

impl Date {
    /// The calendar date in its own zone: year, month, day.
    #[must_use]
    pub fn local_date(&self) -> (i64, u32, u32) {
        let local = self.seconds + i64::from(self.offset_minutes) * 60;
        from_days(local.div_euclid(86_400))
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// Offsets in hours of zones by name (RFC 5322 §4.3 and the commonest others); unknown ones count as UTC.
const ZONES: [(&str, i32); 17] = [
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("bst", 1),
    ("cet", 1),
    ("cest", 2),
    ("met", 1),
    ("mest", 2),
    ("eet", 2),
    ("eest", 3),
    ("msk", 3),
    ("jst", 9),
];
/// Octets of a value that are looked at.
const MAX_OCTETS: usize = 1000;
/// More words than this are no date.
const MAX_WORDS: usize = 16;

#[derive(Default)]
struct Found {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<i64>,
    time: Option<(u32, u32, u32)>,
    zone: Option<i32>,
    afternoon: Option<bool>,
}

/// A date in the form of RFC 5322 with obsolete and common deviations: missing day name, seconds or zone, names of
/// zones, comments, two-digit years, the order of asctime, ISO 8601. None when day, month, year or time are not there
/// or impossible.
#[must_use]
pub fn parse_date(value: &[u8]) -> Option<Date> {
    let text = without_comments(value);
    let mut found = Found::default();
    let words = text.split(|c: char| c.is_ascii_whitespace() || c == ',');
    for word in words.filter(|w| !w.is_empty()).take(MAX_WORDS) {
        found.word(word);
    }
    found.date()
}

fn without_comments(value: &[u8]) -> String {
    let mut depth = 0usize;
    let mut out = String::with_capacity(value.len().min(MAX_OCTETS));
    for &byte in value.iter().take(MAX_OCTETS) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(if byte.is_ascii_graphic() {
                char::from(byte.to_ascii_lowercase())
            } else {
                ' '
            }),
            _ => {}
        }
    }
    out
}

impl Found {
    fn word(&mut self, word: &str) {
        if word.contains(':') && !word.starts_with(['+', '-']) {
            return self.time_word(word);
        }
        if let Some(rest) = word.strip_prefix(['+', '-']) {
            self.zone = self.zone.or_else(|| offset(rest, word.starts_with('-')));
        } else if word.contains(['-', '/', '.']) {
            self.joined(word);
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.number(word);
        } else {
            self.name(word);
        }
    }

    /// `hh:mm[:ss[.fraction]]`, perhaps with a date before `t` and a zone behind.
    fn time_word(&mut self, word: &str) {
        let (date, time) = word.split_once('t').unwrap_or(("", word));
        if !date.is_empty() {
            self.joined(date);
        }
        let end = time
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')))
            .unwrap_or(time.len());
        let (clock, rest) = time.split_at(end);
        let mut parts = clock.split([':', '.']).map(str::parse::<u32>);
        let (Some(Ok(hour)), Some(Ok(minute))) = (parts.next(), parts.next()) else {
            return;
        };
        let second = parts.next().and_then(Result::ok).unwrap_or(0);
        self.time = self.time.or(Some((hour, minute, second)));
        if !rest.is_empty() {
            self.word(rest);
        }
    }

    /// `2-jan-2006`, `2006-01-02`, `02/01/2006` with the day first.
    fn joined(&mut self, word: &str) {
        let parts: Vec<&str> = word
            .split(['-', '/', '.'])
            .filter(|p| !p.is_empty())
            .collect();
        let [first, second, third] = parts[..] else {
            if let [single] = parts[..] {
                self.name(single);
            }
            return;
        };
        if first.len() == 4 {
            self.year = first.parse().ok();
            self.month = second.parse().ok();
            self.day = third.parse().ok();
        } else {
            self.number(first);
            match second.parse() {
                Ok(month) => self.month = Some(month),
                Err(_) => self.name(second),
            }
            self.number(third);
        }
    }

    fn number(&mut self, word: &str) {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let Ok(value) = digits.parse::<i64>() else {
            return;
        };
        if digits.len() <= 2 && self.day.is_none() {
            self.day = u32::try_from(value).ok();
        } else if self.year.is_none() {
            self.year = Some(match (digits.len(), value) {
                (..=2, ..=49) => value + 2000,
                (..=3, _) => value + 1900,
                _ => value,
            });
        }
    }

    fn name(&mut self, word: &str) {
        let month = word
            .get(..3)
            .and_then(|start| MONTHS.iter().position(|m| *m == start));
        match (month, word) {
            (Some(index), _) if self.month.is_none() => self.month = u32::try_from(index + 1).ok(),
            (_, "am") => self.afternoon = Some(false),
            (_, "pm") => self.afternoon = Some(true),
            // A name before the time is a day of the week.
            _ if self.time.is_some() && self.zone.is_none() => self.zone = named_zone(word),
            _ => {}
        }
    }

    fn date(self) -> Option<Date> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        let (mut hour, minute, second) = self.time?;
        match self.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let possible = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !possible {
            return None;
        }
        let local = to_days(year, month, day) * 86_400
            + i64::from(hour) * 3600
            + i64::from(minute) * 60
            + i64::from(second.min(59));
        let offset = self.zone.unwrap_or(0);
        Some(Date {
            seconds: local - i64::from(offset) * 60,
            // The instant stands, but no such zone can be written down.
            offset_minutes: if offset.abs() < 24 * 60 { offset } else { 0 },
        })
    }
}

/// `hhmm`, `hh:mm`, `hh` in minutes.
fn offset(digits: &str, negative: bool) -> Option<i32> {
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i32 = digits.parse().ok()?;
    let minutes = match digits.len() {
        1 | 2 => value * 60,
        _ => value / 100 * 60 + value % 100,
    };
    Some(if negative { -minutes } else { minutes })
}

fn named_zone(word: &str) -> Option<i32> {
    let end = word
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    if let Some(digits) = rest.strip_prefix(['+', '-']) {
        // `gmt+0200`
        return offset(digits, rest.starts_with('-'));
    }
    match name {
        "" => None,
        _ => ZONES
            .iter()
            .find(|(zone, _)| *zone == name)
            .map_or(Some(0), |(_, hours)| Some(hours * 60)),
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counted in years that begin in March so that leap days come last.
fn to_days(year: i64, month: u32, day: u32) -> i64 {
    let shifted = if month > 2 { year } else { year - 1 };
    let month = i64::from((month + 9) % 12);
    shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + (month * 306 + 5) / 10
        + i64::from(day)
        - 1
        - 719_468
}

fn from_days(days: i64) -> (i64, u32, u32) {
    // Some years too early at the start, never too late.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 }) - 1;
    while to_days(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && to_days(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - to_days(year, month, 1) + 1;
    (year, month, u32::try_from(day).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        let cases: &[(&str, i64, i32)] = &[
            ("Mon, 2 Jan 2006 15:04:05 -0700", 1_136_239_445, -420),
            (" 2 Jan 2006 15:04:05 -0700 (MST)\r\n", 1_136_239_445, -420),
            ("2 Jan 06 22:04 UT", 1_136_239_440, 0),
            ("Mon, 2 Jan 2006 22:04:05", 1_136_239_445, 0),
            ("Mon Jan  2 22:04:05 2006", 1_136_239_445, 0),
            ("Mon Jan  2 17:04:05 EST 2006", 1_136_239_445, -300),
            ("2006-01-02T22:04:05Z", 1_136_239_445, 0),
            ("2006-01-02T15:04:05.123-07:00", 1_136_239_445, -420),
            ("2006-01-02 22:04:05 +0000", 1_136_239_445, 0),
            ("2-Jan-2006 22:04:05 GMT", 1_136_239_445, 0),
            ("Monday, 2 January 2006 10:04:05 PM GMT", 1_136_239_445, 0),
            (
                "Mon, 02 Jan 2006 15:04:05 PST8PDT",
                1_136_239_445 + 3600,
                -480,
            ),
            (
                "Mon, 2 Jan (a (nested) comment) 2006 22:04:05 GMT+0000",
                1_136_239_445,
                0,
            ),
            (
                "Mon, 2 Jan 2006 22:04:05 GMT+0200",
                1_136_239_445 - 7200,
                120,
            ),
            ("Thu, 1 Jan 1970 00:00:00 +0000", 0, 0),
            ("Wed, 31 Dec 1969 23:59:60 +0000", -1, 0),
            ("29 Feb 2000 00:00 +0000", 951_782_400, 0),
            ("1 Jan 99 00:00 +0000", 915_148_800, 0),
            ("1 Jan 100 00:00 +0000", 946_684_800, 0),
            (
                "2 Jan 2006 15:04:05 -9900",
                1_136_239_445 - 25_200 + 356_400,
                0,
            ),
            ("12 May 2020 12:30 am +0000", 1_589_243_400, 0),
        ];
        for (text, seconds, offset_minutes) in cases {
            let expected = Date {
                seconds: *seconds,
                offset_minutes: *offset_minutes,
            };
            assert_eq!(parse_date(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn no_dates() {
        for text in [
            "",
            "yesterday",
            "31 Feb 2000 00:00",
            "29 Feb 1900 00:00",
            "1 Foo 2000 00:00",
            "1 Jan 2000",
            "1 Jan 2000 24:00",
            "1 Jan 2000 00:60",
            "1 Jan 10000 00:00",
            "0 Jan 2000 00:00",
            "1 Jan 99999999999999999999 00:00",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn date_in_its_own_zone() {
        let date = parse_date(b"1 Jan 2000 23:30 -0100").unwrap();
        assert_eq!(date.local_date(), (2000, 1, 1));
        let date = parse_date(b"31 Dec 1999 23:30 +0100").unwrap();
        assert_eq!(date.local_date(), (1999, 12, 31));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data: Vec<u8>, text in "[0-9a-z:+, ./()-]{0,60}") {
            let _ = parse_date(&data);
            let _ = parse_date(text.as_bytes());
        }

        #[test]
        fn every_moment_round_trips(seconds in -60_000_000_000i64..250_000_000_000, zone in -1439i32..1440) {
            let local = seconds + i64::from(zone) * 60;
            let (year, month, day) = Date { seconds, offset_minutes: zone }.local_date();
            prop_assume!((1..=9999).contains(&year) && year >= 1000);
            let clock = local.rem_euclid(86_400);
            let sign = if zone < 0 { '-' } else { '+' };
            let text = format!(
                "{day} {} {year} {:02}:{:02}:{:02} {sign}{:02}{:02}",
                MONTHS[month as usize - 1], clock / 3600, clock / 60 % 60, clock % 60, zone.abs() / 60, zone.abs() % 60
            );
            prop_assert_eq!(parse_date(text.as_bytes()), Some(Date { seconds, offset_minutes: zone }), "{}", text);
        }
    }
}
