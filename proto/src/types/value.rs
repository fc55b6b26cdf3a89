use bytes::Bytes;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;

/// A cached value: any bytes, at most [`MAX_VALUE_BYTES`] of them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(Bytes);

/// The value is longer than [`MAX_VALUE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("value of {len} bytes exceeds the limit of {MAX_VALUE_BYTES} bytes")]
pub struct ValueTooLong {
    /// Length of the refused value.
    pub len: usize,
}

impl Value {
    /// Takes the bytes as a value.
    ///
    /// # Errors
    /// When there are more than [`MAX_VALUE_BYTES`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, ValueTooLong> {
        let bytes = bytes.into();
        if bytes.len() > MAX_VALUE_BYTES { Err(ValueTooLong { len: bytes.len() }) } else { Ok(Self(bytes)) }
    }

    /// A part of it, sharing its buffer. Panics past its end.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self(self.0.slice(range))
    }

    /// The bytes of the value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value's shared buffer.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// A handle on the value's shared buffer.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The hash that stands for the value in a [`Version`](super::Version).
    #[must_use]
    pub fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}
