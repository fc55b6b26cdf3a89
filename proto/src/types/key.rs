use bytes::Bytes;
use std::fmt;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// A cache key: any bytes, at most [`MAX_KEY_BYTES`] of them. The empty key is a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

/// The key is longer than [`MAX_KEY_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key of {len} bytes exceeds the limit of {MAX_KEY_BYTES} bytes")]
pub struct KeyTooLong {
    /// Length of the refused key.
    pub len: usize,
}

impl Key {
    /// Takes the bytes as a key.
    ///
    /// # Errors
    /// When there are more than [`MAX_KEY_BYTES`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, KeyTooLong> {
        let bytes = bytes.into();
        if bytes.len() > MAX_KEY_BYTES { Err(KeyTooLong { len: bytes.len() }) } else { Ok(Self(bytes)) }
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's shared buffer.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// A handle on the key's shared buffer.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

/// Printable bytes as they are, others escaped, at most 64 of them.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(64)];
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.0.len() { write!(f, "…({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_empty_or_64_kib_but_no_longer() {
        assert!(Key::new("").is_ok());
        assert!(Key::new(vec![0; MAX_KEY_BYTES]).is_ok());
        assert_eq!(Key::new(vec![0; MAX_KEY_BYTES + 1]), Err(KeyTooLong { len: MAX_KEY_BYTES + 1 }));
    }
}
