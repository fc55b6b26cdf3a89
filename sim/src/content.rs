//! Keys and values that give away where they come from: no two writes store the same bytes.

use shoal_proto::types::{Key, Value};
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// A key of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u16);

impl KeyId {
    /// The key as clients send it.
    #[must_use]
    pub fn to_key(self) -> Key {
        // A name of this length always fits.
        Key::new(self.to_string().into_bytes()).unwrap_or_else(|_| unreachable!("a short key"))
    }

    /// Recognizes a key of the workload.
    #[must_use]
    pub fn parse(key: &Key) -> Option<Self> {
        let number = std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix("key-")?.parse().ok()?;
        let id = Self(number);
        (id.to_key() == *key).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key-{}", self.0)
    }
}

/// Names the one write that stored a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId {
    /// Who wrote.
    pub client: u16,
    /// The writer's how manyth operation it was.
    pub sequence: u32,
    /// What it wrote to.
    pub key: KeyId,
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client, self.sequence)
    }
}

/// What the bytes of a value say about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Stored by this write, undamaged.
    Of(WriteId),
    /// Nothing that a client wrote, or not as it wrote it.
    Corrupt(String),
}

const CHECKSUM_BYTES: usize = 16;

/// The value of a write, of about `size` bytes: its name, padding, checksum.
#[must_use]
pub fn encode(write: WriteId, size: usize) -> Value {
    let mut text = format!("{}:{}:{}:", write.client, write.sequence, write.key.0);
    while text.len() + CHECKSUM_BYTES < size {
        text.push(char::from(b'a' + (text.len() % 26) as u8));
    }
    let checksum = xxh3_64(text.as_bytes());
    text.push_str(&format!("{checksum:0CHECKSUM_BYTES$x}"));
    Value::new(text.into_bytes()).unwrap_or_else(|_| unreachable!("sizes stay far below the limit"))
}

/// What `value` holds.
#[must_use]
pub fn decode(value: &Value) -> Content {
    let bytes = value.as_bytes();
    decode_text(bytes).map_or_else(|| Content::Corrupt(excerpt(bytes)), Content::Of)
}

fn decode_text(bytes: &[u8]) -> Option<WriteId> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if std::str::from_utf8(checksum).ok()? != format!("{:0CHECKSUM_BYTES$x}", xxh3_64(body)) {
        return None;
    }
    let mut parts = std::str::from_utf8(body).ok()?.splitn(4, ':');
    let client = parts.next()?.parse().ok()?;
    let sequence = parts.next()?.parse().ok()?;
    let key = KeyId(parts.next()?.parse().ok()?);
    Some(WriteId { client, sequence, key })
}

fn excerpt(bytes: &[u8]) -> String {
    format!("{} bytes: {}", bytes.len(), bytes[..bytes.len().min(48)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_write_at_any_size() {
        let write = WriteId { client: 3, sequence: 77, key: KeyId(9) };
        for size in [0, 40, 5_000] {
            let value = encode(write, size);
            assert!(value.as_bytes().len() >= size);
            assert_eq!(decode(&value), Content::Of(write));
        }
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let good = encode(WriteId { client: 1, sequence: 2, key: KeyId(3) }, 60).as_bytes().to_vec();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            assert!(matches!(decode(&Value::new(bad).unwrap()), Content::Corrupt(_)), "byte {i}");
            assert!(
                matches!(decode(&Value::new(good[..i].to_vec()).unwrap()), Content::Corrupt(_)),
                "cut {i}"
            );
        }
    }

    #[test]
    fn keys_are_recognized_and_others_are_not() {
        assert_eq!(KeyId::parse(&KeyId(12).to_key()), Some(KeyId(12)));
        for other in ["", "key-", "key-012", "key--1", "other"] {
            assert_eq!(KeyId::parse(&Key::new(other).unwrap()), None, "{other}");
        }
    }
}
