//! Values of settings that have a notation of their own.

use shoal_proto::types::NodeId;
use std::{fmt, str::FromStr};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The text is not in the notation of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub(crate) struct Malformed;

/// A short name without blanks, under the rules of node ids: it travels in every round of gossip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        NodeId::new(text).map(|name| Self(name.to_string())).map_err(|_| Malformed)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name or an IP address, without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName(String);

impl FromStr for HostName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_address = text.parse::<std::net::IpAddr>().is_ok();
        if is_address || is_name(text) { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

/// An address to dial: a host name or an IP address (IPv6 in brackets), and a port other than 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (host, port) = text.rsplit_once(':').ok_or(Malformed)?;
        let port: u16 = port.parse().map_err(|_| Malformed)?;
        let is_address = |inner: &str| inner.parse::<std::net::Ipv6Addr>().is_ok();
        let valid = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => is_address(inner),
            None => is_name(host),
        };
        if valid && port != 0 { Ok(Self { host: host.to_owned(), port }) } else { Err(Malformed) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A number of bytes, written with a unit: `512MiB`, `4GiB`, `100MB`, or plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

/// Binary units, as powers of 1024, largest first.
const BINARY_UNITS: [(&str, u32); 4] = [("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)];

impl FromStr for ByteSize {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| Malformed)?;
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(Malformed),
        };
        number.checked_mul(unit).map(Self).ok_or(Malformed)
    }
}

/// In the largest binary unit that divides it, so that what is shown can be given back.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, power) in BINARY_UNITS {
            let size = 1_u64 << (10 * power);
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// Which log lines to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// The filter for a subscriber.
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // A lone word that is no level would be taken for the name of a crate and silence everything else.
        let is_lone_word = |part: &str| !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err();
        // No name or level has other letters, and the parser of filters panics over blanks beyond ASCII.
        if text.is_empty() || !text.is_ascii() || text.split(',').any(is_lone_word) {
            return Err(Malformed);
        }
        EnvFilter::try_new(text).map_err(|_| Malformed)?;
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_with_either_kind_of_unit() {
        let read = |text: &str| text.parse().map(|ByteSize(bytes)| bytes);
        assert_eq!(read("1024"), Ok(1024));
        assert_eq!(read("1GiB"), Ok(1 << 30));
        assert_eq!(read("64 mib"), Ok(64 << 20));
        assert_eq!(read("100MB"), Ok(100_000_000));
        for bad in ["", "GiB", "1.5GiB", "-1", "1G", "1 1", "99999999TiB"] {
            assert_eq!(read(bad), Err(Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_size_shown_is_the_size_read(bytes in any::<u64>(), shift in 0u32..64) {
            let size = ByteSize(bytes >> shift << (shift / 2));
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<ByteSize>();
            let _ = text.parse::<LogFilter>();
            if let Ok(address) = text.parse::<HostPort>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }

    #[test]
    fn addresses_need_a_host_and_a_port_others_can_dial() {
        for good in ["a:1", "127.0.0.1:7382", "[::1]:7382", "cache-1.example.org:65535"] {
            assert_eq!(good.parse::<HostPort>().map(|address| address.to_string()), Ok(good.into()));
        }
        for bad in ["", "a", ":1", "a:", "a:0", "a:65536", "::1:7382", "[x]:1", "a b:1", "http://a:1"] {
            assert_eq!(bad.parse::<HostPort>(), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_filter() {
        for good in ["info", "DEBUG", "off", "warn,shoal_node=debug"] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["inof", "", "a b", "a=b=c", "warn,shoal_node", "\u{2000}a="] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
    }
}
