use std::{fmt, str::FromStr};
use tonic::{Request, metadata::AsciiMetadataValue};

/// What a client proves to nodes that ask for it: the secret of a token, or the cluster's password. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(AsciiMetadataValue);

/// The text cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is printable ASCII without blanks around it")]
pub struct InvalidToken;

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(secret: &str) -> Result<Self, InvalidToken> {
        if secret.is_empty()
            || secret.trim() != secret
            || !secret.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        {
            return Err(InvalidToken);
        }
        let mut header =
            AsciiMetadataValue::try_from(format!("Bearer {secret}")).map_err(|_| InvalidToken)?;
        // Kept out of what compresses headers by repeating them.
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A request in the name of `token`.
pub(crate) fn request<T>(token: Option<&Token>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(Token(header)) = token {
        request.metadata_mut().insert("authorization", header.clone());
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let token: Token = "hunter2".parse().unwrap();
        assert_eq!(format!("{token:?}"), "Token");
        let request = request(Some(&token), ());
        assert_eq!(request.metadata().get("authorization").unwrap().as_bytes(), b"Bearer hunter2");
        assert!(!format!("{request:?}").contains("hunter2"), "{request:?}");
        assert!("correct horse battery staple".parse::<Token>().is_ok());
        for bad in ["", " ", "word ", "li\nne", "grün"] {
            assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad:?}");
        }
    }
}
