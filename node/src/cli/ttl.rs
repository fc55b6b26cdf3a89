use super::{
    NOTHING,
    key_argument::{KeyArgument, Named},
    key_commands::{Level, Target, positive_time},
    output,
    remote::{Outcome, Remote},
};
use clap::Args;
use serde::Serialize;
use std::{process::ExitCode, time::Duration};

/// `shoal ttl`.
#[derive(Debug, Args)]
pub(crate) struct Ttl {
    #[command(flatten)]
    key: KeyArgument,
    /// Let the value live for this long from now, such as 60s
    #[arg(long, value_name = "TIME", value_parser = positive_time)]
    set: Option<Duration>,
    /// Let the value live until it is evicted
    #[arg(long, conflicts_with = "set")]
    persist: bool,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Life<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    /// There is a value under the key.
    found: bool,
    /// `null` when it never expires.
    ttl_ms: Option<u64>,
    outcome: Outcome,
}

impl Ttl {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let key = self.key.key()?;
        let remote = Remote::connect(&self.target, self.level.consistency).await?;
        let (found, outcome) = if self.persist || self.set.is_some() {
            let touched = remote.expire(key.clone(), self.set).await?;
            (touched.existed, touched.outcome)
        } else {
            let read = remote.get(key.clone()).await?;
            (read.value.is_some(), read.outcome)
        };
        let ttl = outcome.ttl.filter(|_| found);
        if self.target.json {
            let ttl_ms = ttl.map(|ttl| ttl.as_millis() as u64);
            output::json(&Life { key: Named::from(&key), found, ttl_ms, outcome: outcome.into() })?;
        } else {
            output::line(told(found, ttl))?;
        }
        Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) })
    }
}

fn told(found: bool, ttl: Option<Duration>) -> String {
    match ttl {
        _ if !found => "there is no such key".into(),
        Some(ttl) => output::time(ttl),
        None => "never expires".into(),
    }
}
