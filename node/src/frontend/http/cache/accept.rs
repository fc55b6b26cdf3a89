//! Which form of an answer a client takes best: the header `Accept` (RFC 9110, section 12.5.1).

use super::super::problem::Problem;
use axum::http::{HeaderMap, header};

pub(super) const JSON: &str = "application/json";
pub(super) const BYTES: &str = "application/octet-stream";

/// A form that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON document.
    Json,
    /// The value as it is.
    Bytes,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Bytes => BYTES,
        }
    }
}

/// What a client says of a range of media types.
#[derive(Debug, PartialEq, Eq)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// How much it likes them, in thousandths; 0 is not at all.
    quality: u16,
}

/// The form the client likes best; of forms it likes equally the one offered first.
///
/// # Errors
/// When it takes none of them.
pub(super) fn negotiate(headers: &HeaderMap, offered: &[Format]) -> Result<Format, Problem> {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    best(&accepted.join(","), offered).ok_or_else(|| {
        let types: Vec<&str> = offered.iter().map(|format| format.media_type()).collect();
        Problem::not_acceptable(format!("this answer can be had as {}", types.join(" or ")))
    })
}

fn best(accept: &str, offered: &[Format]) -> Option<Format> {
    if accept.trim().is_empty() {
        return offered.first().copied();
    }
    let ranges: Vec<Range<'_>> = split(accept, ',').into_iter().filter_map(Range::parse).collect();
    let mut best = None;
    for format in offered {
        let quality = quality(&ranges, format.media_type());
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((*format, quality));
        }
    }
    best.map(|(format, _)| format)
}

/// What the most specific range that matches says, 0 if none does.
fn quality(ranges: &[Range<'_>], media_type: &str) -> u16 {
    let matching = ranges.iter().filter_map(|range| Some((range.specificity(media_type)?, range.quality)));
    matching.max().map_or(0, |(_, quality)| quality)
}

impl<'a> Range<'a> {
    /// `None` for what is no media range: it asks for nothing.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split(text, ';').into_iter().map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                quality = weight(value.trim())?;
            }
        }
        Some(Self { kind, subtype, quality })
    }

    fn specificity(&self, media_type: &str) -> Option<u8> {
        let (kind, subtype) = media_type.split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(kind) => Some(1),
            (own, own_subtype)
                if own.eq_ignore_ascii_case(kind) && own_subtype.eq_ignore_ascii_case(subtype) =>
            {
                Some(2)
            }
            _ => None,
        }
    }
}

/// A weight from 0 to 1 with up to three decimals, in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// Splits where the separator is not inside a quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Format::*, *};
    use proptest::prelude::*;

    #[test]
    fn the_form_with_the_largest_weight_is_chosen() {
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("application/octet-stream", Some(Bytes)),
            ("APPLICATION/Octet-Stream", Some(Bytes)),
            ("application/octet-stream, */*", Some(Json)),
            ("application/octet-stream, */*;q=0.5", Some(Bytes)),
            ("*/*;q=0.5, application/json;q=0.1", Some(Bytes)),
            ("application/json; q=0.2, application/octet-stream; q=0.20", Some(Json)),
            ("application/json;q=0.2,application/octet-stream;q=0.201", Some(Bytes)),
            ("application/json;q=0, */*", Some(Bytes)),
            ("application/json;q=0", None),
            ("text/html, image/*", None),
            ("*/*;q=0", None),
            ("*/json", None),
            ("application/json;charset=utf-8;Q=0.4, application/octet-stream;q=.5", Some(Json)),
            ("application/json;profile=\"a, */*;q=0\"", Some(Json)),
            ("application/json;profile=\"\\\",text/html\";q=0, application/octet-stream", Some(Bytes)),
            ("nonsense, application/octet-stream", Some(Bytes)),
            ("application/json;q=2, application/octet-stream;q=0.001", Some(Bytes)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Json)),
        ] {
            assert_eq!(best(accept, &[Json, Bytes]), expected, "{accept}");
        }
        assert_eq!(best("application/octet-stream", &[Json]), None);
    }

    #[test]
    fn weights_have_up_to_three_decimals() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0.5", Some(500)),
            ("0.", Some(0)),
            ("0.001", Some(1)),
            ("1.001", None),
            ("0.0001", None),
            ("2", None),
            ("-0", None),
            ("+1", None),
            ("0.+5", None),
            ("", None),
            ("nan", None),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_understood_or_not_acceptable(accept in "[a-z*/;,=\"\\\\ q.01é-]{0,64}") {
            let chosen = best(&accept, &[Json, Bytes]);
            // What is offered first wins ties, so that turning the offer round may only change between equals.
            prop_assert_eq!(chosen.is_some(), best(&accept, &[Bytes, Json]).is_some());
        }

        #[test]
        fn of_two_weights_the_larger_wins(json in 0..=1000u16, bytes in 0..=1000u16) {
            let q = |thousandths: u16| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            let accept = format!("application/json;q={}, {BYTES} ; q={}", q(json), q(bytes));
            let expected = if json.max(bytes) == 0 { None } else if json >= bytes { Some(Json) } else { Some(Bytes) };
            prop_assert_eq!(best(&accept, &[Json, Bytes]), expected);
        }
    }
}
