//! The `shoal` command: the server, the operator's commands and the client's commands.

mod cli;

use clap::Parser as _;
use cli::{Cli, output};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.runtime().and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(code) => code,
        Err(error) if error.is::<output::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&output::one_line(&error));
            ExitCode::from(cli::TROUBLE)
        }
    }
}
