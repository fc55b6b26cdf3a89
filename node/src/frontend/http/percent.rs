//! Keys in paths and queries: any bytes, percent-encoded (RFC 3986).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What is not written as it is: all but the characters RFC 3986 reserves for nothing.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A `%` without two hex digits behind it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a percent-encoded byte: write % itself as %25")]
pub(super) struct Malformed(String);

/// The bytes that the text stands for. A `+` is a plus.
///
/// # Errors
/// When a `%` is not followed by two hex digits.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    for (at, _) in text.match_indices('%') {
        let encoded: String = text[at..].chars().take(3).collect();
        if encoded.len() != 3 || !encoded[1..].bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Malformed(encoded));
        }
    }
    Ok(percent_decode_str(text).collect())
}

/// The text that stands for `bytes`, as one segment of a path or one item of a list.
pub(super) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_read_byte_by_byte() {
        for (text, bytes) in [
            ("", b"".as_slice()),
            ("plain", b"plain"),
            ("a%2Fb%2cc", b"a/b,c"),
            ("a+b%20c", b"a+b c"),
            ("%00%ff%25", b"\x00\xff%"),
            ("größe", "größe".as_bytes()),
        ] {
            assert_eq!(decode(text).unwrap(), bytes, "{text}");
        }
        for (text, named) in [("%", "%"), ("a%2", "%2"), ("%zz", "%zz"), ("%%41", "%%4"), ("%é1", "%é1")] {
            assert_eq!(decode(text), Err(Malformed(named.into())), "{text}");
        }
        assert_eq!(encode(b"a/b,c d%\xff"), "a%2Fb%2Cc%20d%25%FF");
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_again(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn lists_are_split_where_they_were_joined(keys in prop::collection::vec(any::<Vec<u8>>(), 1..8)) {
            let list: Vec<String> = keys.iter().map(|key| encode(key)).collect();
            let split: Vec<Vec<u8>> = list.join(",").split(',').map(|text| decode(text).unwrap()).collect();
            prop_assert_eq!(split, keys);
        }

        #[test]
        fn any_text_is_decoded_or_refused(text: String) {
            match decode(&text) {
                Ok(bytes) => prop_assert!(bytes.len() <= text.len()),
                Err(Malformed(encoded)) => prop_assert!(text.contains(&encoded)),
            }
        }
    }
}
