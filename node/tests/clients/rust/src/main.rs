//! Runs what the command line names: a variant of a client, and what is to be tried with it.

mod fred;
mod harness;
mod redis;
mod scenarios;

use anyhow::{Result, bail};
use std::env;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [variant, mode] = arguments.as_slice() else { bail!("a variant and a mode are needed") };
    match variant.split_once('-').unwrap_or((variant, "single")) {
        ("redis", variant) => redis::run(variant, mode).await,
        ("fred", variant) => fred::run(variant, mode).await,
        _ => bail!("no client is called {variant}"),
    }
}
