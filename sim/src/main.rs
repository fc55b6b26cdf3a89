//! `shoal-sim`: built with `--cfg madsim` it runs one seed; built plainly it drives many such processes.

#[cfg(madsim)]
mod seed_command;

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    seed_command::main()
}

#[cfg(not(madsim))]
mod run_commands;

#[cfg(not(madsim))]
fn main() -> anyhow::Result<std::process::ExitCode> {
    run_commands::main()
}
