//! Replies of RESP2.

use bytes::{Buf as _, Bytes, BytesMut};
use shoal_proto::types::MAX_VALUE_BYTES;

/// Longer lines are no reply to anything a worker sends.
const MAX_LINE_BYTES: usize = 4 * 1024;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK` and the like.
    Done,
    Value(Bytes),
    Nothing,
    /// The first word of an error.
    Error(String),
}

/// The bytes are none of these replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the next reply off the input; `None` while it is incomplete.
pub(crate) fn next(input: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
    let Some(end) = input.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n') else {
        return if input.len() < MAX_LINE_BYTES { Ok(None) } else { Err(Malformed) };
    };
    let line = str::from_utf8(input[..end].strip_suffix(b"\r").ok_or(Malformed)?).map_err(|_| Malformed)?;
    let start = end + 1;
    let reply = match line.split_at_checked(1).ok_or(Malformed)? {
        ("+", _) => Reply::Done,
        ("-", text) => Reply::Error(text.split(' ').next().unwrap_or_default().to_owned()),
        ("$", "-1") => Reply::Nothing,
        ("$", length) => {
            let length: usize = length.parse().map_err(|_| Malformed)?;
            if length > MAX_VALUE_BYTES {
                return Err(Malformed);
            }
            let whole = start + length + 2;
            if input.len() < whole {
                // At most a value: what was promised is checked above.
                input.reserve(whole - input.len());
                return Ok(None);
            }
            if !input[..whole].ends_with(b"\r\n") {
                return Err(Malformed);
            }
            input.advance(start);
            let value = input.split_to(length).freeze();
            input.advance(2);
            return Ok(Some(Reply::Value(value)));
        }
        _ => return Err(Malformed),
    };
    input.advance(start);
    Ok(Some(reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> (Vec<Reply>, usize) {
        let mut input = BytesMut::from(bytes);
        let replies = std::iter::from_fn(|| next(&mut input).unwrap()).collect();
        (replies, input.len())
    }

    #[test]
    fn replies_are_taken_one_by_one() {
        let (replies, left) = all(b"+OK\r\n$3\r\na\r\n\r\n$-1\r\n-TRYAGAIN only 1 of 3\r\n$0\r\n\r\n$2\r\nx");
        let value = |bytes: &'static [u8]| Reply::Value(Bytes::from_static(bytes));
        let error = Reply::Error("TRYAGAIN".into());
        assert_eq!(replies, [Reply::Done, value(b"a\r\n"), Reply::Nothing, error, value(b"")]);
        assert_eq!(left, 5);
    }

    #[test]
    fn other_bytes_are_refused() {
        let long = vec![b'+'; MAX_LINE_BYTES];
        for bad in
            [&b"\n"[..], b"OK\r\n", b"+OK\n", b"$x\r\n", b"$8388609\r\n", b"$1\r\nabc", b"*1\r\n", &long]
        {
            assert_eq!(next(&mut BytesMut::from(bad)), Err(Malformed), "{:?}", Bytes::copy_from_slice(bad));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_none_are_taken_early(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next(&mut input) {}
            let value = [b"$5\r\n12345\r\n".as_slice(), &bytes].concat();
            for cut in 0..11 {
                prop_assert_eq!(next(&mut BytesMut::from(&value[..cut])), Ok(None));
            }
            let mut input = BytesMut::from(&value[..]);
            prop_assert_eq!(next(&mut input), Ok(Some(Reply::Value(Bytes::from_static(b"12345")))));
            prop_assert_eq!(&input[..], &bytes[..]);
        }
    }
}
