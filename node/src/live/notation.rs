//! Pure: how live settings are written, in and out of numbers.

use shoal_proto::types::Consistency;
use std::time::Duration;

/// Levels of the log, the quietest first.
pub(super) const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What Redis calls some of them.
const REDIS_LOG_LEVELS: [(&str, &str); 4] =
    [("nothing", "off"), ("warning", "warn"), ("notice", "info"), ("verbose", "debug")];
/// Classes of clients whose replies Redis limits; here there is but the first.
const NORMAL: &str = "normal";

/// What a setting counts, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// A whole number.
    Count,
    /// Whole seconds, plainly or with a unit.
    Seconds,
    /// Milliseconds, always with a unit.
    Span,
    /// Bytes, plainly or with one of Redis's units: `kb`, `mb` and `gb` are powers of 1024, `k`, `m` and `g` of 1000.
    Bytes,
    /// `normal HARD SOFT SECONDS`, of which the hard limit counts, or bytes alone.
    OutputLimit,
    /// A consistency level.
    Level,
    /// A level of the log.
    Log,
}

impl Notation {
    /// Reads a value; the error says what was expected.
    pub(super) fn parse(self, text: &str) -> Result<u64, &'static str> {
        match self {
            Self::Count => text.parse().map_err(|_| "argument couldn't be parsed into an integer"),
            Self::Seconds => match text.parse() {
                Ok(seconds) => Ok(seconds),
                Err(_) => span(text).map(|span| span.as_secs()).ok_or("expected seconds"),
            },
            Self::Span => {
                let span = span(text).ok_or("expected a time such as 500ms or 2s")?;
                Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Bytes => bytes(text).ok_or("argument must be a memory value"),
            Self::OutputLimit => output_limit(text),
            Self::Level => text
                .parse::<Consistency>()
                .map(|level| level as u64)
                .map_err(|_| "expected ONE, TWO, THREE, QUORUM or ALL"),
            Self::Log => {
                let text = text.to_ascii_lowercase();
                let ours = REDIS_LOG_LEVELS.iter().find(|(theirs, _)| *theirs == text);
                let name = ours.map_or(text.as_str(), |(_, ours)| ours);
                let place = LOG_LEVELS.iter().position(|level| *level == name);
                place.map(|place| place as u64).ok_or("expected off, error, warn, info, debug or trace")
            }
        }
    }

    /// Writes a value so that [`Notation::parse`] reads it.
    pub(super) fn show(self, value: u64) -> String {
        match self {
            Self::Count | Self::Seconds | Self::Bytes => value.to_string(),
            Self::Span => humantime::format_duration(Duration::from_millis(value)).to_string(),
            Self::OutputLimit => format!("{NORMAL} {value} 0 0"),
            Self::Level => Consistency::LEVELS[value as usize].name().into(),
            Self::Log => LOG_LEVELS[value as usize].into(),
        }
    }
}

fn span(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" | "kib" => 1 << 10,
        "m" => 1_000_000,
        "mb" | "mib" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" | "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn output_limit(text: &str) -> Result<u64, &'static str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [limit] => bytes(limit).ok_or("argument must be a memory value"),
        [class, hard, "0", "0"] if class.eq_ignore_ascii_case(NORMAL) => {
            bytes(hard).ok_or("Error in hard, soft or soft_seconds setting in client-output-buffer-limit")
        }
        [class, _, _, _] if class.eq_ignore_ascii_case(NORMAL) => {
            Err("a soft limit is not offered: write 0 0")
        }
        [_, _, _, _] => Err("there is but one class of clients here: normal"),
        _ => Err("Wrong number of arguments in buffer limit configuration."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        for (notation, value) in [
            (Notation::Count, 10_000),
            (Notation::Seconds, 300),
            (Notation::Span, 1_500),
            (Notation::Bytes, 1 << 30),
            (Notation::OutputLimit, 1 << 20),
            (Notation::Level, 3),
            (Notation::Log, 2),
        ] {
            assert_eq!(notation.parse(&notation.show(value)), Ok(value), "{notation:?}");
        }
    }

    #[test]
    fn values_are_read_as_redis_and_settings_write_them() {
        for (notation, text, value) in [
            (Notation::Seconds, "5m", Some(300)),
            (Notation::Seconds, "-1", None),
            (Notation::Span, "250ms", Some(250)),
            (Notation::Span, "250", None),
            (Notation::Bytes, "1k", Some(1_000)),
            (Notation::Bytes, "1KB", Some(1_024)),
            (Notation::Bytes, "2GiB", Some(2 << 30)),
            (Notation::Bytes, "1 mb", None),
            (Notation::Bytes, "99999999999gb", None),
            (Notation::OutputLimit, "normal 2mb 0 0", Some(2 << 20)),
            (Notation::OutputLimit, "normal 2mb 1mb 60", None),
            (Notation::OutputLimit, "pubsub 2mb 0 0", None),
            (Notation::OutputLimit, "", None),
            (Notation::Level, "quorum", Some(3)),
            (Notation::Level, "most", None),
            (Notation::Log, "Notice", Some(3)),
            (Notation::Log, "loud", None),
        ] {
            assert_eq!(notation.parse(text).ok(), value, "{notation:?} {text:?}");
        }
    }
}
