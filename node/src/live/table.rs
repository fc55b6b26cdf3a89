//! Which settings can be changed, under which names, and what all of them are.

use super::{AS_STARTED, Live, notation::Notation};
use crate::{limits, store::EvictionPolicy};
use shoal_proto::types::Consistency;
use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// One live setting.
struct Row {
    /// Its name among the node's settings.
    name: &'static str,
    /// Redis's name for it; empty where Redis has no such thing.
    redis: &'static str,
    notation: Notation,
    range: RangeInclusive<u64>,
    field: fn(&Live) -> &AtomicU64,
}

const FOREVER: u64 = i32::MAX as u64;

const ROWS: [Row; 10] = [
    row("request_timeout", "", Notation::Span, 1..=limits::REQUEST_TIMEOUT.as_millis() as u64, |live| {
        &live.request_timeout
    }),
    row("read_consistency", "", Notation::Level, 0..=4, |live| &live.read_consistency),
    row("write_consistency", "", Notation::Level, 0..=4, |live| &live.write_consistency),
    row("max_memory", "maxmemory", Notation::Bytes, limits::MIN_MEMORY_BYTES..=u64::MAX, |live| {
        &live.max_memory
    }),
    row("max_clients", "maxclients", Notation::Count, 1..=limits::MAX_CLIENTS, |live| &live.max_clients),
    row("idle_timeout", "timeout", Notation::Seconds, 0..=FOREVER, |live| &live.idle_timeout),
    row("tcp_keepalive", "tcp-keepalive", Notation::Seconds, 0..=limits::MAX_TCP_KEEPALIVE, |live| {
        &live.tcp_keepalive
    }),
    row("output_limit", "client-output-buffer-limit", Notation::OutputLimit, 0..=u64::MAX, |live| {
        &live.output_limit
    }),
    row("client_memory", "maxmemory-clients", Notation::Bytes, 0..=u64::MAX, |live| &live.client_memory),
    row("log", "loglevel", Notation::Log, 0..=5, |live| &live.log),
];

/// What tools of Redis look for, and what cannot be otherwise here.
const FIXED: [(&str, &str); 5] = [
    ("appendonly", "no"),
    ("cluster-enabled", "yes"),
    ("databases", "1"),
    ("proto-max-bulk-len", "8388608"),
    ("save", ""),
];

/// What Redis calls the eviction policy.
const REDIS_POLICY: &str = "maxmemory-policy";

const fn row(
    name: &'static str,
    redis: &'static str,
    notation: Notation,
    range: RangeInclusive<u64>,
    field: fn(&Live) -> &AtomicU64,
) -> Row {
    Row { name, redis, notation, range, field }
}

/// Why nothing was changed. Texts that Redis has are Redis's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no such setting.
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// The setting cannot be this.
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {why}")]
    Refused {
        /// The setting.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Live {
    /// Changes settings, all of them or, if one cannot be what it is told, none.
    ///
    /// # Errors
    /// Names the setting that is unknown, is read at start alone, or has no such value.
    pub fn set(&self, pairs: &[(&str, &str)]) -> Result<(), SetError> {
        let mut changes: Vec<(&Row, u64)> = Vec::with_capacity(pairs.len());
        for (name, text) in pairs {
            let refused = |why: &str| SetError::Refused { name: (*name).to_owned(), why: why.to_owned() };
            let Some(row) = ROWS.iter().find(|row| row.is_called(name)) else {
                match self.constant(name) {
                    None => return Err(SetError::Unknown((*name).to_owned())),
                    Some(value) if value == *text => continue,
                    Some(_) => {
                        return Err(refused("it is read at start alone: set it there, and restart the node"));
                    }
                }
            };
            if changes.iter().any(|(earlier, _)| earlier.name == row.name) {
                return Err(refused("duplicate parameter"));
            }
            let value = row.notation.parse(text).map_err(refused)?;
            if !row.range.contains(&value) {
                let (least, most) =
                    (row.notation.show(*row.range.start()), row.notation.show(*row.range.end()));
                return Err(refused(&format!("argument must be between {least} and {most} inclusive")));
            }
            if row.notation == Notation::Level {
                let required = Consistency::LEVELS[value as usize].required(self.replicas);
                if required > self.replicas {
                    let replicas = self.replicas;
                    return Err(refused(&format!(
                        "it needs {required} owners and there are {replicas} replicas"
                    )));
                }
            }
            changes.push((row, value));
        }
        for (row, value) in changes {
            (row.field)(self).store(value, Relaxed);
        }
        self.changes.send_replace(());
        Ok(())
    }

    /// Every setting under each of its names, as it is now.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<(&'static str, String)> = Vec::new();
        for row in &ROWS {
            let value = match (row.field)(self).load(Relaxed) {
                AS_STARTED => self.told(row.name).unwrap_or_default().to_owned(),
                value => row.notation.show(value),
            };
            all.extend(
                [row.name, row.redis]
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .map(|name| (name, value.clone())),
            );
        }
        all.push((REDIS_POLICY, self.redis_policy().to_owned()));
        all.extend(FIXED.iter().map(|(name, value)| (*name, (*value).to_owned())));
        all.extend(self.told.iter().filter(|(name, _)| ROWS.iter().all(|row| row.name != *name)).cloned());
        all.sort_unstable();
        all
    }

    /// The eviction policy by the name that Redis has for it, or else by its own.
    #[must_use]
    pub fn redis_policy(&self) -> &'static str {
        match self.eviction_policy {
            EvictionPolicy::Lru => "allkeys-lru",
            EvictionPolicy::Lfu => "allkeys-lfu",
            own @ (EvictionPolicy::WTinyLfu | EvictionPolicy::S3Fifo | EvictionPolicy::NoEviction) => {
                own.name()
            }
        }
    }

    /// What a setting is that cannot change.
    fn constant(&self, name: &str) -> Option<&str> {
        if REDIS_POLICY.eq_ignore_ascii_case(name) {
            return Some(self.redis_policy());
        }
        let fixed = FIXED.iter().find(|(fixed, _)| fixed.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        fixed.or_else(|| self.told(name))
    }

    fn told(&self, name: &str) -> Option<&str> {
        self.told.iter().find(|(told, _)| told.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Row {
    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || (!self.redis.is_empty() && self.redis.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::live;
    use std::time::Duration;

    fn value(live: &Live, name: &str) -> String {
        live.all().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn a_setting_changes_under_either_name_and_is_told_under_both() {
        let live = live();
        let mut changes = live.changes();
        live.set(&[("timeout", "30"), ("MAX_CLIENTS", "7"), ("request_timeout", "250ms")]).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(live.idle_timeout(), Some(Duration::from_secs(30)));
        assert_eq!((live.max_clients(), live.request_timeout()), (7, Duration::from_millis(250)));
        assert_eq!((value(&live, "idle_timeout"), value(&live, "timeout")), ("30".into(), "30".into()));
        assert_eq!(value(&live, "request_timeout"), "250ms");
        live.set(&[("client-output-buffer-limit", "normal 0 0 0"), ("loglevel", "warning")]).unwrap();
        assert_eq!((live.output_limit(), live.log()), (usize::MAX, Some("warn")));
    }

    #[test]
    fn what_cannot_be_changes_nothing_and_is_named() {
        let live = live();
        let refused = |pairs: &[(&str, &str)]| live.set(pairs).unwrap_err().to_string();
        for (pairs, error) in [
            (&[("nope", "1")][..], "Unknown option or number of arguments for CONFIG SET - 'nope'"),
            (
                &[("timeout", "5"), ("zone", "b")],
                "CONFIG SET failed (possibly related to argument 'zone') - it is read at start alone: set it there, and restart the node",
            ),
            (
                &[("timeout", "5"), ("timeout", "6")],
                "CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
            ),
            (
                &[("maxclients", "0")],
                "CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 1000000 inclusive",
            ),
            (
                &[("maxclients", "many")],
                "CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer",
            ),
            (
                &[("read_consistency", "TWO")],
                "CONFIG SET failed (possibly related to argument 'read_consistency') - it needs 2 owners and there are 1 replicas",
            ),
        ] {
            assert_eq!(refused(pairs), error);
        }
        assert_eq!(live.idle_timeout(), None);
        assert_eq!(live.set(&[("zone", "a"), ("save", "")]), Ok(()), "it is that already");
        assert_eq!((value(&live, "zone"), value(&live, "log")), ("a".into(), "info".into()));
        assert_eq!(value(&live, "maxmemory-policy"), "wtinylfu");
        assert_eq!(
            refused(&[("maxmemory-policy", "allkeys-lru")]),
            "CONFIG SET failed (possibly related to argument 'maxmemory-policy') - it is read at start alone: set it there, and restart the node"
        );
    }
}
