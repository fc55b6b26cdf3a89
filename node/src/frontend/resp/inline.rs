//! Commands typed by hand: words in one line, quoted as in a shell.

use super::{
    parser::ProtocolError,
    request::{Request, Span, Spans},
};
use bytes::Bytes;

/// Splits a line into words; `None` when there are none.
///
/// Between double quotes `\n \r \t \b \a \" \\` and `\xHH` are understood, between single quotes only `\'`.
///
/// # Errors
/// When a quote is not closed, or a closing quote is followed by anything but a blank.
pub(super) fn split(line: &[u8]) -> Result<Option<Request>, ProtocolError> {
    let mut words = Vec::with_capacity(line.len());
    let mut spans = Spans::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let start = words.len() as u32;
        rest = word(rest, &mut words)?.trim_ascii_start();
        spans.push(Span { start, end: words.len() as u32 });
    }
    Ok((!spans.is_empty()).then(|| Request::new(Bytes::from(words), spans)))
}

/// Takes one word off the line; returns what follows it.
fn word<'a>(mut line: &'a [u8], into: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match *line {
            [] => return Ok(line),
            [blank, ..] if blank.is_ascii_whitespace() => return Ok(line),
            [quote @ (b'"' | b'\''), ref rest @ ..] => {
                line = quoted(quote, rest, into)?;
                return match line.first() {
                    Some(next) if !next.is_ascii_whitespace() => Err(ProtocolError::UnbalancedQuotes),
                    _ => Ok(line),
                };
            }
            [byte, ref rest @ ..] => {
                into.push(byte);
                line = rest;
            }
        }
    }
}

/// Takes what stands before the closing quote; returns what follows it.
fn quoted<'a>(quote: u8, mut line: &'a [u8], into: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, rest) = match *line {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [byte, ref rest @ ..] if byte == quote => return Ok(rest),
            [b'\\', b'\'', ref rest @ ..] if quote == b'\'' => (b'\'', rest),
            [b'\\', b'x', high, low, ref rest @ ..]
                if quote == b'"' && hex(high).is_some() && hex(low).is_some() =>
            {
                (hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0), rest)
            }
            [b'\\', escaped, ref rest @ ..] if quote == b'"' => (unescape(escaped), rest),
            [byte, ref rest @ ..] => (byte, rest),
        };
        into.push(byte);
        line = rest;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, ProtocolError> {
        Ok(split(line.as_bytes())?.map_or_else(Vec::new, |r| r.arguments().map(<[u8]>::to_vec).collect()))
    }

    #[test]
    fn words_are_split_at_blanks_and_quotes_hold_them_together() {
        assert_eq!(words("SET k v").unwrap(), [b"SET".to_vec(), b"k".to_vec(), b"v".to_vec()]);
        assert_eq!(words("  \t ").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(words(r#"a "b c\n\x41\q" 'd\'e\n'"#).unwrap(), [&b"a"[..], b"b c\nAq", b"d'e\\n"]);
        assert_eq!(words(r#""" ''"#).unwrap(), [b"", b""]);
        assert_eq!(words(r#"a"b""#).unwrap(), [b"ab"]);
        assert_eq!(words(r#""\xZZ""#).unwrap(), [b"xZZ"]);
    }

    #[test]
    fn an_open_quote_or_a_quote_inside_a_word_is_refused() {
        for bad in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\"#, r#"""""#] {
            assert_eq!(words(bad), Err(ProtocolError::UnbalancedQuotes), "{bad}");
        }
    }
}
