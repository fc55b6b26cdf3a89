//! What an entry costs beyond its key and value: growth of resident memory under the same load, of the store and of
//! libraries in a process each, and of servers that are started for it.
//!
//! `cargo bench -p shoal-benches --bench memory`; `-- --entries N --value-size BYTES` changes the load, a word picks rows.

mod held;
mod server;

use clap::Parser;
use held::Held;
use server::Server;
use shoal_benches::{goal, is_quick, machine};
use std::process::{Command, ExitCode};

/// Bytes of a key.
const KEY_BYTES: u64 = 16;
/// Bytes beyond key and value that an entry of the store may cost, at keys of 16 bytes and values of 100.
const MOST: f64 = 48.0;

#[derive(Parser)]
struct Options {
    /// Rows whose names contain this
    wanted: Option<String>,
    #[arg(long, default_value_t = if is_quick() { 100_000 } else { 2_000_000 })]
    entries: u64,
    #[arg(long, default_value_t = 100)]
    value_size: usize,
    /// This process is to hold the entries itself
    #[arg(long, hide = true)]
    hold: Option<Held>,
    #[arg(long, hide = true)]
    expiring: bool,
    #[arg(long, hide = true)]
    quick: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What all hold.
#[derive(Clone, Copy)]
struct Load {
    entries: u64,
    value_size: usize,
    expiring: bool,
}

impl Load {
    /// Bytes per entry beyond key and value.
    fn overhead(&self, bytes: u64) -> f64 {
        bytes as f64 / self.entries as f64 - (KEY_BYTES + self.value_size as u64) as f64
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let load = |expiring| Load { entries: options.entries, value_size: options.value_size, expiring };
    if let Some(held) = options.hold {
        println!("{}", held.growth(load(options.expiring))?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", machine::facts());
    println!("{} keys of {KEY_BYTES} bytes, values of {}\n", options.entries, options.value_size);
    println!("| bytes per entry beyond key and value | without expiry | with expiry |\n|---|---|---|");
    let wanted = options.wanted.as_deref().unwrap_or_default();
    let (mut ours, mut absent) = (None, Vec::new());
    for held in Held::ALL.into_iter().filter(|held| held.name().contains(wanted)) {
        let plain = in_process(held, load(false))?;
        let expiring = held.can_expire().then(|| in_process(held, load(true))).transpose()?;
        row(held.name(), plain, expiring);
        ours = ours.or((held == Held::Shoal).then_some(expiring.unwrap_or(plain)));
    }
    for server in Server::ALL.into_iter().filter(|server| server.program().contains(wanted)) {
        match server.version() {
            Some(version) => {
                let overhead = |expiring| server.growth(load(expiring)).map(|b| load(expiring).overhead(b));
                row(&version, overhead(false)?, Some(overhead(true)?));
            }
            None => absent.push(server.program()),
        }
    }
    for program in absent {
        println!("\n{program} is not installed: no row for it (apt-get install {program})");
    }
    let Some(ours) = ours else { return Ok(ExitCode::SUCCESS) };
    println!();
    let is_met = goal(ours <= MOST, &format!("the store: {ours:.1} bytes with expiry, at most {MOST}"));
    Ok(if is_met || is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(name: &str, plain: f64, expiring: Option<f64>) {
    let expiring = expiring.map_or_else(|| "-".into(), |bytes| format!("{bytes:.1}"));
    println!("| {name} | {plain:.1} | {expiring} |");
}

/// Measures in a process that does nothing else.
fn in_process(held: Held, load: Load) -> anyhow::Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "--hold", held.name()]);
    command.arg(format!("--entries={}", load.entries)).arg(format!("--value-size={}", load.value_size));
    if load.expiring {
        command.arg("--expiring");
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let bytes = said.trim().parse().map_err(|_| {
        anyhow::anyhow!("{}: {} {said}", held.name(), String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(load.overhead(bytes))
}
