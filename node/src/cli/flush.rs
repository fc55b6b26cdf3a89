//! `shoal flush`.

use super::{key_commands::Target, output, remote::Remote};
use clap::Args;
use serde::Serialize;
use shoal_client::{Flushed, Tag};
use std::process::ExitCode;

/// `shoal flush`.
#[derive(Debug, Args)]
pub(crate) struct Flush {
    /// Really drop everything
    #[arg(long, required = true)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    flushed: bool,
    /// Everything at or under it is gone.
    tag: u64,
    epoch: u64,
    adopted: u32,
    members: u32,
}

impl Flush {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let Flushed { tag, epoch, adopted, members } =
            Remote::connect(&self.target, None).await?.flush().await?;
        if self.target.json {
            output::json(&Report { flushed: self.yes, tag: Tag::to_bits(tag), epoch, adopted, members })?;
        } else {
            output::line(format!("flushed: epoch {epoch}, adopted by {adopted} of {members} members"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
