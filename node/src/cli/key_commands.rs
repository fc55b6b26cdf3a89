//! `shoal get`, `set` and `del`.

use super::{
    NOTHING,
    key_argument::{KeyArgument, Named},
    output,
    remote::{Outcome, Remote},
    settings::HostPort,
    tls_options::TlsOptions,
    token::TokenArgument,
};
use clap::Args;
use serde::Serialize;
use shoal_client::Deleted;
use shoal_proto::types::{Consistency, MAX_VALUE_BYTES, Value};
use std::{
    ffi::OsString,
    io::{self, Read as _},
    os::unix::ffi::OsStringExt as _,
    process::ExitCode,
    time::Duration,
};

/// Which cluster, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// gRPC addresses of nodes; the first that answers is asked
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:7381",
        value_parser = address)]
    pub(crate) node: Vec<String>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    #[command(flatten)]
    pub(crate) token: TokenArgument,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many owners must take part.
#[derive(Debug, Args)]
pub(crate) struct Level {
    /// ONE, TWO, THREE, QUORUM or ALL [default: the node's setting]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) consistency: Option<Consistency>,
}

/// `shoal get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    key: KeyArgument,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    target: Target,
}

/// `shoal set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    key: KeyArgument,
    /// The value; read from standard input when left out
    value: Option<OsString>,
    /// How long the value is to live, such as 60s; until it is evicted when left out
    #[arg(long, value_name = "TIME", value_parser = positive_time)]
    ttl: Option<Duration>,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    target: Target,
}

/// `shoal del`.
#[derive(Debug, Args)]
pub(crate) struct Del {
    #[command(flatten)]
    key: KeyArgument,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    target: Target,
}

/// The answer to any of the commands, as JSON.
#[derive(Serialize)]
pub(crate) struct Answer<'a> {
    #[serde(flatten)]
    pub(crate) key: Named<'a>,
    #[serde(flatten)]
    pub(crate) finding: Finding<'a>,
    pub(crate) outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finding<'a> {
    /// The value as text; `null` on a miss.
    Value(Option<&'a str>),
    /// A value that is not UTF-8.
    Bytes(&'a [u8]),
    Stored(bool),
    Existed(bool),
}

impl Get {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let key = self.key.key()?;
        let remote = Remote::connect(&self.target, self.level.consistency).await?;
        let found = remote.get(key.clone()).await?;
        let value = found.value.as_ref().map(Value::as_bytes);
        if self.target.json {
            output::json(&Answer {
                key: Named::from(&key),
                finding: Finding::read(value),
                outcome: found.outcome.into(),
            })?;
        } else if let Some(value) = value {
            output::bytes(value)?;
        }
        Ok(if value.is_some() { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) })
    }
}

impl Set {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let key = self.key.key()?;
        let value = Value::new(match self.value {
            Some(text) => text.into_vec(),
            None => read_input()?,
        })?;
        let remote = Remote::connect(&self.target, self.level.consistency).await?;
        let outcome = remote.set(key.clone(), value, self.ttl).await?;
        if self.target.json {
            output::json(&Answer { key: Named::from(&key), finding: Finding::Stored(true), outcome })?;
        } else {
            output::line("stored")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Del {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let key = self.key.key()?;
        let remote = Remote::connect(&self.target, self.level.consistency).await?;
        let Deleted { existed, outcome } = remote.delete(key.clone()).await?;
        if self.target.json {
            output::json(&Answer {
                key: Named::from(&key),
                finding: Finding::Existed(existed),
                outcome: outcome.into(),
            })?;
        } else {
            output::line(if existed { "deleted" } else { "there was no such key" })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> Finding<'a> {
    pub(crate) fn read(value: Option<&'a [u8]>) -> Self {
        match value.map(|bytes| str::from_utf8(bytes).map_err(|_| bytes)) {
            None => Self::Value(None),
            Some(Ok(text)) => Self::Value(Some(text)),
            Some(Err(bytes)) => Self::Bytes(bytes),
        }
    }
}

/// One byte more than a value may have, so that a longer one is refused rather than cut.
fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks that a text names a host and a port.
fn address(text: &str) -> Result<String, String> {
    match text.parse::<HostPort>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected the gRPC address of a node, such as 127.0.0.1:7381".into()),
    }
}

/// Reads a time such as `60s`, longer than none.
pub(crate) fn positive_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("expected a time such as 60s or 15m, longer than 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_text_are_bytes_in_json() {
        let show = |value| serde_json::to_string(&Finding::read(value)).unwrap();
        assert_eq!(show(Some(b"hi")), r#"{"value":"hi"}"#);
        assert_eq!(show(None), r#"{"value":null}"#);
        assert_eq!(show(Some(b"\xff")), r#"{"bytes":[255]}"#);
    }

    #[test]
    fn a_node_is_named_with_its_port() {
        assert_eq!(address("[::1]:7381"), Ok("[::1]:7381".into()));
        for bad in ["localhost", ":7381", "http://localhost:7381", ""] {
            assert!(address(bad).unwrap_err().contains("such as 127.0.0.1:7381"), "{bad}");
        }
    }

    #[test]
    fn a_life_of_no_time_is_refused() {
        assert_eq!(positive_time("2m"), Ok(Duration::from_secs(120)));
        assert!(positive_time("0s").is_err() && positive_time("soon").is_err());
    }
}
