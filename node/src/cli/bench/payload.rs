//! Values that tell whose they are: the key's number, the length, then the key's number over and over.

/// The shortest value: key and length.
pub(crate) const MIN_BYTES: usize = 8;

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

    proptest! {
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
