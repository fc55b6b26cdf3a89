//! How long a unary call's client waits: the `grpc-timeout` header that every gRPC library sends.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>.

use crate::{coordinator::RequestOptions, frontend::error_map};
use std::time::Duration;
use tonic::{Request, Status};

const HEADER: &str = "grpc-timeout";
/// The longest number the protocol allows.
const DIGITS: usize = 8;

/// How long a call may take, given how long its client says it waits: a little less, so that the node's own word on a
/// timeout arrives in time. `None` when the client does not say.
///
/// # Errors
/// When what it says cannot be read.
pub(super) fn of<T>(request: &Request<T>) -> Result<Option<Duration>, Status> {
    let Some(value) = request.metadata().get(HEADER) else { return Ok(None) };
    let timeout = value.to_str().ok().and_then(parse);
    timeout.map(|timeout| Some(timeout - timeout / 20)).ok_or_else(|| {
        let why = format!("malformed {HEADER} {value:?}: expected up to {DIGITS} digits and a unit");
        error_map::fault(HEADER, why)
    })
}

/// The request as long as somebody waits for it.
pub(super) fn within(mut options: RequestOptions, patience: Option<Duration>) -> RequestOptions {
    options.timeout = match (options.timeout, patience) {
        (Some(timeout), Some(patience)) => Some(timeout.min(patience)),
        (timeout, patience) => timeout.or(patience),
    };
    options
}

pub(super) fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > DIGITS || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7_200)),
            ("3M", Duration::from_secs(180)),
            ("4S", Duration::from_secs(4)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "S", "5", "5s", "123456789m", "-1S", "+1S", "1.5S", "5µ"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_shorter_of_two_timeouts_counts() {
        let chosen = |timeout: Option<u64>, patience: Option<u64>| {
            let options = RequestOptions { timeout: timeout.map(Duration::from_secs), ..Default::default() };
            within(options, patience.map(Duration::from_secs)).timeout.map(|timeout| timeout.as_secs())
        };
        assert_eq!(chosen(None, None), None);
        assert_eq!(chosen(Some(1), None), Some(1));
        assert_eq!(chosen(None, Some(2)), Some(2));
        assert_eq!(chosen(Some(3), Some(2)), Some(2));
    }
}
