//! `shoal-sim seed N [--profile ci|swarm] [--mutant NAME]`: one run, its report the last line of standard output.

use anyhow::{Context, bail};
use shoal_sim::{options::Profile, report::Report, run_seed};
use std::{
    env,
    io::{Write, stderr, stdout},
    process::{Command, ExitCode},
};

/// Read by the product once, at the first place that has a deliberate bug.
const MUTANT: &str = "SHOAL_MUTANT";

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let Arguments { seed, profile, mutant } = Arguments::parse(env::args().skip(1))?;
    let active = env::var(MUTANT).ok();
    if mutant.is_some() && mutant != active {
        return again_with(mutant.as_deref().unwrap_or_default());
    }
    let report = Report { mutant: active, ..run_seed(seed, profile, log_to_stderr) };
    for violation in &report.violations {
        writeln!(stderr(), "{violation}")?;
    }
    writeln!(stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(stderr)
        .init();
}

/// Runs this program once more with the deliberate bug chosen in its environment.
fn again_with(mutant: &str) -> anyhow::Result<ExitCode> {
    let status = Command::new(env::current_exe()?).args(env::args().skip(1)).env(MUTANT, mutant).status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
    Ok(ExitCode::from(code))
}

struct Arguments {
    seed: u64,
    profile: Profile,
    mutant: Option<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        if words.next().as_deref() != Some("seed") {
            bail!("usage: shoal-sim seed N [--profile ci|swarm] [--mutant NAME]");
        }
        let seed = words.next().context("which seed?")?.parse().context("the seed must be a number")?;
        let mut arguments = Self { seed, profile: Profile::Swarm, mutant: None };
        while let Some(flag) = words.next() {
            let value = words.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--profile" => arguments.profile = value.parse().map_err(anyhow::Error::msg)?,
                "--mutant" => arguments.mutant = Some(value),
                _ => bail!("unknown flag {flag}"),
            }
        }
        Ok(arguments)
    }
}
