//! Accept-Encoding (RFC 9110 §12.5.3).

/// Whether a client that sent this Accept-Encoding value wants gzip: by that name, as `x-gzip`, or by `*`; with a weight
/// above zero that is not below an explicit one of `identity`.
///
/// ```
/// use gzipstream::accepts_gzip;
///
/// assert!(accepts_gzip("br, gzip;q=0.5"));
/// assert!(!accepts_gzip("gzip;q=0, *"));
/// ```
pub fn accepts_gzip(value: &str) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for element in value.split(',') {
        let mut parts = element.split(';');
        let coding = parts.next().unwrap_or_default().trim();
        let weight = weight(parts);
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = gzip.max(Some(weight));
        } else if coding == "*" {
            any = any.max(Some(weight));
        } else if coding.eq_ignore_ascii_case("identity") {
            identity = identity.max(Some(weight));
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The weight in thousandths; 1000 without `q`, 0 for one that is none.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> u16 {
    for parameter in parameters {
        if let Some((name, value)) = parameter.split_once('=') {
            if name.trim().eq_ignore_ascii_case("q") {
                return thousandths(value.trim()).unwrap_or(0);
            }
        }
    }
    1000
}

/// `qvalue` (RFC 9110 §12.4.2): 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}
