use super::error::CommandError;
use shoal_proto::types::UnixMillis;
use std::time::Duration;

/// Reads an integer as strictly as Redis: no plus, no blanks, no leading zeros.
pub(super) fn integer(text: &[u8]) -> Result<i64, CommandError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let value = if canonical { std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()) } else { None };
    value.ok_or(CommandError::NotAnInteger)
}

/// Whether a text is an integer as Redis would keep it: in one way only, and in 64 bits.
pub(in crate::frontend::resp) fn is_integer(text: &[u8]) -> bool {
    integer(text).is_ok()
}

/// What the number of an expiry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
}

impl Unit {
    /// Milliseconds in one.
    fn millis(self) -> i64 {
        match self {
            Self::Seconds => 1000,
            Self::Millis => 1,
        }
    }
}

/// A time to live; `None` when it is zero or negative.
///
/// # Errors
/// When it would end past what a version can name; the error names `command`.
pub(super) fn time_to_live(
    amount: i64,
    unit: Unit,
    now: UnixMillis,
    command: &'static str,
) -> Result<Option<Duration>, CommandError> {
    let millis = amount.checked_mul(unit.millis()).ok_or(CommandError::Expire(command))?;
    let Some(millis) = u64::try_from(millis).ok().filter(|millis| *millis > 0) else { return Ok(None) };
    let duration = Duration::from_millis(millis);
    now.checked_add(duration).map(|_| Some(duration)).ok_or(CommandError::Expire(command))
}

/// An instant of expiry; `None` when it is zero or negative.
///
/// # Errors
/// When it lies past what a version can name; the error names `command`.
pub(super) fn instant(
    amount: i64,
    unit: Unit,
    command: &'static str,
) -> Result<Option<UnixMillis>, CommandError> {
    let millis = amount.checked_mul(unit.millis()).ok_or(CommandError::Expire(command))?;
    let Some(at) = u64::try_from(millis).ok().filter(|millis| *millis > 0).map(UnixMillis) else {
        return Ok(None);
    };
    if at > UnixMillis::MAX { Err(CommandError::Expire(command)) } else { Ok(Some(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in
            [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(integer(text.as_bytes()), Ok(value));
        }
        for bad in ["", "-", "+1", " 1", "1 ", "01", "-0", "1.0", "0x1", "9223372036854775808", "1e3", "٣"] {
            assert_eq!(integer(bad.as_bytes()), Err(CommandError::NotAnInteger), "{bad:?}");
        }
    }

    #[test]
    fn times_are_bounded_by_what_a_version_can_name() {
        let now = UnixMillis(UnixMillis::MAX.0 - 5_000);
        let ttl = |amount, unit| time_to_live(amount, unit, now, "SET");
        assert_eq!(ttl(5, Unit::Seconds), Ok(Some(Duration::from_secs(5))));
        assert_eq!(ttl(5_001, Unit::Millis), Err(CommandError::Expire("SET")));
        assert_eq!(ttl(i64::MAX, Unit::Seconds), Err(CommandError::Expire("SET")));
        assert_eq!(ttl(i64::MIN, Unit::Seconds), Err(CommandError::Expire("SET")));
        assert_eq!((ttl(0, Unit::Seconds), ttl(-1, Unit::Millis)), (Ok(None), Ok(None)));
        assert_eq!(instant(7, Unit::Seconds, "SET"), Ok(Some(UnixMillis(7_000))));
        assert_eq!(instant(1 << 42, Unit::Millis, "SET"), Err(CommandError::Expire("SET")));
        assert_eq!(instant(0, Unit::Millis, "SET"), Ok(None));
    }
}
