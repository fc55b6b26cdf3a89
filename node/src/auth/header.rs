//! Pure: what the header `Authorization` presents, in HTTP and in gRPC's metadata.

use super::DEFAULT_USER;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// What a client shows to be recognised. It cannot be printed.
pub struct Presented {
    /// Who it says it is; `None` leaves that to the secret.
    pub name: Option<Vec<u8>>,
    /// The secret.
    pub secret: Vec<u8>,
}

/// Reads `Bearer SECRET` or `Basic BASE64(name:secret)`, in which an empty name means the default user. `None` when it is
/// neither.
#[must_use]
pub fn presented(value: &[u8]) -> Option<Presented> {
    let (scheme, rest) = value.split_at_checked(value.iter().position(|byte| *byte == b' ')?)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some(Presented { name: None, secret: rest.to_vec() });
    }
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(rest).ok()?;
    let (name, secret) = pair.split_at_checked(pair.iter().position(|byte| *byte == b':')?)?;
    let name = if name.is_empty() { DEFAULT_USER.as_bytes() } else { name };
    Some(Presented { name: Some(name.to_vec()), secret: secret[1..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<(Option<String>, String)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        presented(value.as_bytes()).map(|shown| (shown.name.map(text), text(shown.secret)))
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        let named = |name: &str, secret: &str| Some((Some(name.to_owned()), secret.to_owned()));
        assert_eq!(read("Bearer abc"), Some((None, "abc".into())));
        assert_eq!(read("bearer  abc "), Some((None, "abc".into())));
        // "app:pass:word", ":password" and "app:".
        assert_eq!(read("Basic YXBwOnBhc3M6d29yZA=="), named("app", "pass:word"));
        assert_eq!(read("basic OnBhc3N3b3Jk"), named("default", "password"));
        assert_eq!(read("BASIC YXBwOg=="), named("app", ""));
    }

    #[test]
    fn anything_else_presents_nothing() {
        for value in ["", "Bearer", "Basic", "abc", "Digest abc", "Basic abc:def", "Basic YXBw"] {
            assert!(read(value).is_none(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = presented(&value);
            let _ = presented(&[b"Basic ", value.as_slice()].concat());
        }
    }
}
