//! `shoal scan`.

use super::{NOTHING, key_argument::Named, key_commands::Target, output, remote::Remote};
use clap::Args;
use shoal_client::{Key, Scanned};
use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, process::ExitCode};

/// Keys that are looked at in one step.
const COUNT: u32 = 1_000;

/// `shoal scan`.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Only the keys that match, with * for any bytes, ? for any one, [a-z] and \
    #[arg(value_name = "PATTERN")]
    pattern: Option<OsString>,
    #[command(flatten)]
    target: Target,
}

impl Scan {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let remote = Remote::connect(&self.target, None).await?;
        let pattern = self.pattern.map(OsString::into_vec);
        let (mut cursor, mut found) = (0, false);
        loop {
            let Scanned { keys, cursor: next } = remote.scan(cursor, pattern.as_deref(), COUNT).await?;
            found |= !keys.is_empty();
            self.target.print(&keys)?;
            cursor = next;
            if cursor == 0 {
                return Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) });
            }
        }
    }
}

impl Target {
    /// A key a line, as it comes: there may be more of them than fit memory.
    fn print(&self, keys: &[Key]) -> anyhow::Result<()> {
        for key in keys {
            if self.json {
                output::json(&Named::from(key))?;
            } else if output::is_terminal() {
                output::line(output::printable(key.as_bytes()))?;
            } else {
                output::write(&[key.as_bytes(), b"\n"].concat())?;
            }
        }
        Ok(())
    }
}
