use super::{
    NOTHING, TROUBLE,
    key_argument::{Named, Spelling},
    key_commands::{Answer, Finding, Level, Target},
    output,
    remote::Remote,
};
use clap::Args;
use serde::Serialize;
use shoal_client::Found;
use shoal_proto::types::{Key, Value};
use std::{ffi::OsString, process::ExitCode};

/// `shoal mget`.
#[derive(Debug, Args)]
pub(crate) struct Mget {
    /// The keys, any bytes: the shell gives odd ones as $'\xff'
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<OsString>,
    #[command(flatten)]
    spelling: Spelling,
    #[command(flatten)]
    level: Level,
    #[command(flatten)]
    target: Target,
}

/// What became of one key, as JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Answer(Answer<'a>),
    Failure(Failure<'a>),
}

#[derive(Serialize)]
struct Failure<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    error: String,
}

type Got = anyhow::Result<Found>;

impl Mget {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let keys = self.keys.iter().map(|key| self.spelling.read(key)).collect::<anyhow::Result<Vec<_>>>()?;
        let remote = Remote::connect(&self.target, self.level.consistency).await?;
        let got = remote.get_many(&keys).await;
        if self.target.json {
            output::json(&keys.iter().zip(&got).map(|(key, got)| item(key, got)).collect::<Vec<_>>())?;
        } else if output::is_terminal() {
            let rows = keys.iter().zip(&got).map(|(key, got)| row(key, got)).collect::<Vec<_>>();
            output::table(&["key", "value"], &rows)?;
        } else {
            output::write(
                &keys.iter().zip(&got).flat_map(|(key, got)| plain(key, got)).collect::<Vec<u8>>(),
            )?;
        }
        for (key, error) in keys.iter().zip(&got).filter_map(|(key, got)| Some((key, got.as_ref().err()?))) {
            output::complain(&format!("{}: {}", output::printable(key.as_bytes()), output::one_line(error)));
        }
        Ok(match got.iter().map(|got| got.as_ref().map(|found| found.value.is_some())).min_by_key(grade) {
            Some(Err(_)) => ExitCode::from(TROUBLE),
            Some(Ok(false)) => ExitCode::from(NOTHING),
            Some(Ok(true)) | None => ExitCode::SUCCESS,
        })
    }
}

/// The worst answer decides what the command comes to.
fn grade<E>(found: &Result<bool, E>) -> u8 {
    match found {
        Err(_) => 0,
        Ok(false) => 1,
        Ok(true) => 2,
    }
}

fn item<'a>(key: &'a Key, got: &'a Got) -> Item<'a> {
    match got {
        Ok(found) => Item::Answer(Answer {
            key: key.into(),
            finding: Finding::read(found.value.as_ref().map(Value::as_bytes)),
            outcome: found.outcome.into(),
        }),
        Err(error) => Item::Failure(Failure { key: key.into(), error: output::one_line(error) }),
    }
}

fn row(key: &Key, got: &Got) -> Vec<String> {
    let value = match got {
        Ok(Found { value: Some(value), .. }) => output::printable(value.as_bytes()).into_owned(),
        Ok(_) => "(none)".into(),
        Err(_) => "(unknown)".into(),
    };
    vec![output::printable(key.as_bytes()).into_owned(), value]
}

/// A line for a program: key, tab, value. Nothing where there is no value.
fn plain(key: &Key, got: &Got) -> Vec<u8> {
    match got {
        Ok(Found { value: Some(value), .. }) => [key.as_bytes(), b"\t", value.as_bytes(), b"\n"].concat(),
        _ => Vec::new(),
    }
}
