//! Values that tell whose they are: the key's number, the length, then the key's number over and over.

use crate::cli::settings::ByteSize;
use rand::{Rng, RngExt as _};
use shoal_proto::types::MAX_VALUE_BYTES;
use std::{fmt, str::FromStr};

/// The shortest value: key and length.
pub(crate) const MIN_BYTES: usize = 8;

/// How large values are, in bytes: any size in between is as likely as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// The text is neither a size nor a range of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a size such as 100 or 4KiB, or a range such as 10..4KiB, from {MIN_BYTES} bytes up to {}", ByteSize(MAX_VALUE_BYTES as u64))]
pub(crate) struct UnknownSizes;

impl Sizes {
    /// Whether all values are equally large.
    pub(crate) fn is_one(self) -> bool {
        self.least == self.most
    }

    /// Draws one.
    pub(crate) fn draw(self, rng: &mut impl Rng) -> usize {
        rng.random_range(self.least..=self.most)
    }

    /// The nearest size that a value can have.
    pub(crate) fn clamp(bytes: usize) -> usize {
        bytes.clamp(MIN_BYTES, MAX_VALUE_BYTES)
    }
}

impl FromStr for Sizes {
    type Err = UnknownSizes;

    fn from_str(text: &str) -> Result<Self, UnknownSizes> {
        let size = |text: &str| match text.parse() {
            Ok(ByteSize(bytes)) if bytes <= MAX_VALUE_BYTES as u64 => Ok(Self::clamp(bytes as usize)),
            _ => Err(UnknownSizes),
        };
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = (size(least)?, size(most)?);
        if least <= most { Ok(Self { least, most }) } else { Err(UnknownSizes) }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes| ByteSize(bytes as u64);
        write!(f, "{}", size(self.least))?;
        if self.is_one() { Ok(()) } else { write!(f, "..{}", size(self.most)) }
    }
}

/// The value of a key, `length` bytes long but not shorter than [`MIN_BYTES`].
pub(crate) fn make(key: u32, length: usize) -> Vec<u8> {
    let length = length.max(MIN_BYTES);
    let mut value = Vec::with_capacity(length + 4);
    value.extend_from_slice(&key.to_le_bytes());
    value.extend_from_slice(&(length as u32).to_le_bytes());
    while value.len() < length {
        value.extend_from_slice(&key.to_le_bytes());
    }
    value.truncate(length);
    value
}

/// Whether the value is one that [`make`] made for the key, whole.
pub(crate) fn is_of(key: u32, value: &[u8]) -> bool {
    let Some((head, rest)) = value.split_at_checked(MIN_BYTES) else { return false };
    let pattern = key.to_le_bytes();
    head.starts_with(&pattern)
        && head.ends_with(&(value.len() as u32).to_le_bytes())
        && rest.chunks(4).all(|chunk| pattern.starts_with(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_one_or_a_range() {
        let read = |text: &str| text.parse().map(|Sizes { least, most }| (least, most));
        assert_eq!(read("100"), Ok((100, 100)));
        assert_eq!(read("10..4KiB"), Ok((10, 4096)));
        assert_eq!(read("0..1kb"), Ok((MIN_BYTES, 1000)));
        for bad in ["", "..", "1..", "..1", "100..10", "9MiB", "1..2..3", "-1", "ten"] {
            assert_eq!(read(bad), Err(UnknownSizes), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn sizes_shown_are_the_sizes_read(one in 8usize..=MAX_VALUE_BYTES, other in 8usize..=MAX_VALUE_BYTES) {
            let sizes = Sizes { least: one.min(other), most: one.max(other) };
            prop_assert_eq!(sizes.to_string().parse(), Ok(sizes));
        }

        #[test]
        fn a_value_is_of_its_key_alone(key in any::<u32>(), other in any::<u32>(), length in 0usize..200) {
            let value = make(key, length);
            prop_assert_eq!(value.len(), length.max(MIN_BYTES));
            prop_assert!(is_of(key, &value));
            prop_assert_eq!(is_of(other, &value), other == key);
        }

        #[test]
        fn any_changed_byte_and_any_cut_is_noticed(key in any::<u32>(), length in 8usize..60, at in any::<usize>()) {
            let mut value = make(key, length);
            let at = at % value.len();
            prop_assert!(!is_of(key, &value[..at]));
            value[at] ^= 1;
            prop_assert!(!is_of(key, &value));
        }
    }
}
