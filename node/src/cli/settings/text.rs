use super::units::{ByteSize, HostName, HostPort, LogFilter, Name};
use serde::de::{self, Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use shoal_node::{config::OnLoss, store::EvictionPolicy};
use shoal_proto::types::{Consistency, NodeId};
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// A value that is read from text wherever it stands, so that `replicas = 3`, `SHOAL_REPLICAS=3` and `--replicas 3`
/// go the same way and fail with the same words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text<T>(pub(crate) T);

/// What can be read from the text of a setting.
pub(crate) trait FromText: Sized {
    /// Reads the value; the error says what was expected.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Reads the value of a flag that is no setting.
pub(crate) fn read<T: FromText>(text: &str) -> Result<T, String> {
    T::from_text(text)
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(AsText)?;
        T::from_text(text.trim()).map(Text).map_err(D::Error::custom)
    }
}

/// Empty text is no value.
impl<T: FromText> FromText for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }
}

/// Separated by commas.
impl FromText for Vec<HostPort> {
    fn from_text(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(HostPort::from_text).collect()
    }
}

impl FromText for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map_err(|_| "expected a time such as 500ms, 2s or 15m".into())
    }
}

impl FromText for OnLoss {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "reset" => Ok(Self::Reset),
            "stop" => Ok(Self::Stop),
            _ => Err("expected reset or stop".into()),
        }
    }
}

impl FromText for EvictionPolicy {
    fn from_text(text: &str) -> Result<Self, String> {
        let policy = Self::ALL.into_iter().find(|policy| policy.name() == text);
        policy.ok_or_else(|| "expected wtinylfu, s3fifo, lru, lfu or noeviction".into())
    }
}

macro_rules! from_str {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                Self::from_str(text).map_err(|_| $expected.into())
            }
        }
    )*};
}

from_str! {
    Name: "expected 1 to 64 letters, digits or any of .:-_[]@",
    NodeId: "expected 1 to 64 letters, digits or any of .:-_[]@",
    HostPort: "expected a host and a port, such as cache-1.example.org:7382 or 10.0.0.1:7382",
    SocketAddr: "expected an IP address and a port, such as 127.0.0.1:7379",
    ByteSize: "expected a size such as 512MiB or 4GiB",
    LogFilter: "expected error, warn, info, debug, trace, or a filter such as warn,shoal_node=debug",
    Consistency: "expected ONE, TWO, THREE, QUORUM or ALL",
    PathBuf: "expected a path",
    HostName: "expected a host name or an IP address",
    bool: "expected true or false",
    u16: "expected a whole number up to 65535",
    u32: "expected a whole number up to 4294967295",
    usize: "expected a whole number",
    f64: "expected a number",
}

struct AsText;

impl<'de> Visitor<'de> for AsText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = values.next_element::<String>()? {
            parts.push(part);
        }
        Ok(parts.join(","))
    }
}
