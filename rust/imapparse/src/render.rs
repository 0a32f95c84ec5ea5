//! Response data (RFC 9051 §9): strings, dates, FETCH lines.

use crate::utf7::encode_utf7;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// System flags and known keywords by bit, in the order of output.
pub const FLAG_NAMES: [&str; 10] = [
    "\\Seen",
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Draft",
    "$Forwarded",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$MDNSent",
];

/// A quoted string where possible, else a literal. Without `utf8` only ASCII can be quoted.
pub fn string(out: &mut Vec<u8>, value: &[u8], utf8: bool) {
    let quotable = value.len() <= 4096
        && value
            .iter()
            .all(|&b| !matches!(b, 0 | b'\r' | b'\n') && (utf8 || b < 0x80))
        && (!utf8 || std::str::from_utf8(value).is_ok());
    if !quotable {
        out.extend_from_slice(format!("{{{}}}\r\n", value.len()).as_bytes());
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// An atom where possible, else a string.
pub fn astring(out: &mut Vec<u8>, value: &str, utf8: bool) {
    let atom = !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
        && !value.eq_ignore_ascii_case("NIL");
    if atom {
        out.extend_from_slice(value.as_bytes());
    } else {
        string(out, value.as_bytes(), utf8);
    }
}

/// A mailbox name: modified UTF-7 unless `utf8`.
pub fn mailbox(out: &mut Vec<u8>, name: &str, utf8: bool) {
    if utf8 {
        astring(out, name, true);
    } else {
        astring(out, &encode_utf7(name), false);
    }
}

/// `"_2-Jan-2006 15:04:05 +0100"` of milliseconds since 1970, in a zone of `zone` minutes east of UTC.
pub fn date_time(out: &mut Vec<u8>, ms: i64, zone: i16) {
    let seconds = ms.div_euclid(1000) + i64::from(zone) * 60;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let name = MONTHS.get(month as usize - 1).unwrap_or(&"Jan");
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let sign = if zone < 0 { '-' } else { '+' };
    let (east, minutes) = (zone.unsigned_abs() / 60, zone.unsigned_abs() % 60);
    let text = format!(
        "\"{day:2}-{name}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{east:02}{minutes:02}\""
    );
    out.extend_from_slice(text.as_bytes());
}

/// Year, month, day of a day number since 1970 (Gregorian).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Day number since 1970 of a date; None for what is no date.
pub fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Month number of its English abbreviation in any case.
pub fn month_number(name: &str) -> Option<i64> {
    MONTHS
        .iter()
        .position(|m| m.eq_ignore_ascii_case(name))
        .map(|at| at as i64 + 1)
}

/// `(\Seen $Junk keyword)` of flag bits and a blank-separated list of keywords.
pub fn flags(out: &mut Vec<u8>, bits: u32, keywords: &str) {
    out.push(b'(');
    let mut first = true;
    let mut push = |out: &mut Vec<u8>, name: &str| {
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    };
    for (bit, name) in FLAG_NAMES.iter().enumerate() {
        if bits & (1 << bit) != 0 {
            push(out, name);
        }
    }
    for keyword in keywords.split_ascii_whitespace() {
        push(out, keyword);
    }
    out.push(b')');
}

/// Decimal digits.
pub fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `* VANISHED 1:3,7` lines (RFC 7162 §3.2.10) for ascending UIDs, each line of bounded length; nothing without UIDs.
pub fn vanished(out: &mut Vec<u8>, uids: &[u32], earlier: bool) {
    const LONGEST_SET: usize = 4096 - 32;
    let start: &[u8] = if earlier {
        b"* VANISHED (EARLIER) "
    } else {
        b"* VANISHED "
    };
    let set = crate::set::format_set(uids);
    let mut rest = set.as_str();
    while !rest.is_empty() {
        let cut = if rest.len() <= LONGEST_SET {
            rest.len()
        } else {
            rest[..LONGEST_SET].rfind(',').unwrap_or(LONGEST_SET)
        };
        out.extend_from_slice(start);
        out.extend_from_slice(&rest.as_bytes()[..cut]);
        out.extend_from_slice(b"\r\n");
        rest = rest[cut..].trim_start_matches(',');
    }
}

/// `* SEARCH` lines (RFC 3501 §7.2.5), at least one; with the highest modification sequence unless that is 0.
pub fn search(out: &mut Vec<u8>, numbers: &[u32], modseq: u64) {
    const LINE: usize = 100;
    let mut line = |numbers: &[u32]| {
        out.extend_from_slice(b"* SEARCH");
        for &n in numbers {
            out.push(b' ');
            number(out, u64::from(n));
        }
        if modseq > 0 {
            out.extend_from_slice(b" (MODSEQ ");
            number(out, modseq);
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
    };
    if numbers.is_empty() {
        line(&[]);
    }
    numbers.chunks(LINE).for_each(line);
}

/// `* 3 EXPUNGE` lines.
pub fn expunged(out: &mut Vec<u8>, seqs: &[u32]) {
    for &seq in seqs {
        out.extend_from_slice(b"* ");
        number(out, u64::from(seq));
        out.extend_from_slice(b" EXPUNGE\r\n");
    }
}

/// Start of a FETCH response: `* 5 FETCH (UID 7`, or with UIDONLY (RFC 9586) `* 7 UIDFETCH (`.
pub fn fetch_start(out: &mut Vec<u8>, seq: u32, uid: u32, uid_only: bool) {
    out.extend_from_slice(b"* ");
    if uid_only {
        number(out, u64::from(uid));
        out.extend_from_slice(b" UIDFETCH (");
    } else {
        number(out, u64::from(seq));
        out.extend_from_slice(b" FETCH (UID ");
        number(out, u64::from(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_and_names() {
        assert_eq!(shown(|o| string(o, b"a\"b\\", false)), "\"a\\\"b\\\\\"");
        assert_eq!(shown(|o| string(o, "é".as_bytes(), false)), "{2}\r\né");
        assert_eq!(shown(|o| string(o, "é".as_bytes(), true)), "\"é\"");
        assert_eq!(shown(|o| string(o, b"a\r\n", true)), "{3}\r\na\r\n");
        assert_eq!(shown(|o| astring(o, "Inbox", false)), "Inbox");
        assert_eq!(shown(|o| astring(o, "a]b", false)), "\"a]b\"");
        assert_eq!(shown(|o| astring(o, "", false)), "\"\"");
        assert_eq!(shown(|o| mailbox(o, "Entwürfe", false)), "Entw&APw-rfe");
        assert_eq!(shown(|o| mailbox(o, "Entwürfe", true)), "\"Entwürfe\"");
    }

    #[test]
    fn dates() {
        assert_eq!(
            shown(|o| date_time(o, 0, 0)),
            "\" 1-Jan-1970 00:00:00 +0000\""
        );
        assert_eq!(
            shown(|o| date_time(o, 1_709_210_096_789, 0)),
            "\"29-Feb-2024 12:34:56 +0000\""
        );
        assert_eq!(
            shown(|o| date_time(o, -1, 0)),
            "\"31-Dec-1969 23:59:59 +0000\""
        );
        assert_eq!(
            shown(|o| date_time(o, 0, -210)),
            "\"31-Dec-1969 20:30:00 -0330\""
        );
        assert_eq!(day_number(2024, 2, 29), Some(19_782));
        assert_eq!(day_number(2023, 2, 29), None);
        for day in (-800_000..800_000).step_by(37) {
            let (y, m, d) = civil(day);
            assert_eq!(day_number(y, m, d), Some(day));
        }
    }

    #[test]
    fn removals() {
        assert_eq!(
            shown(|o| expunged(o, &[3, 3])),
            "* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n"
        );
        assert_eq!(
            shown(|o| vanished(o, &[3, 4, 9], false)),
            "* VANISHED 3:4,9\r\n"
        );
        let odd: Vec<u32> = (1..5000).map(|n| n * 2).collect();
        let text = shown(|o| vanished(o, &odd, true));
        assert!(text
            .lines()
            .all(|l| l.len() < 4096 && l.starts_with("* VANISHED (EARLIER) ")));
        let all: Vec<&str> = text.lines().flat_map(|l| l[21..].split(',')).collect();
        assert_eq!(all.len(), odd.len());
    }

    #[test]
    fn flag_lists() {
        assert_eq!(
            shown(|o| flags(o, 0b1_0000_1001, "work")),
            "(\\Seen \\Deleted $Phishing work)"
        );
        assert_eq!(shown(|o| flags(o, 0, "")), "()");
    }
}
