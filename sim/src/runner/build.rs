use anyhow::{Context, ensure};
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The compiled simulation.
#[derive(Debug, Clone)]
pub struct Simulation {
    pub(super) program: PathBuf,
}

const FLAGS: &str = "--cfg madsim --cfg shoal_mutants";

/// Compiles the simulation, in a target folder of its own so that plain builds stay warm.
///
/// # Errors
/// When cargo cannot be run or does not succeed.
pub fn build() -> anyhow::Result<Simulation> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
    let target = target_folder(workspace).join("sim");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What an outer cargo told this process about its own build must not reach the inner one.
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_outer_build(name)) {
        command.env_remove(name);
    }
    command.current_dir(workspace).env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &target).args([
        "build",
        "--profile",
        "sim",
        "-p",
        "shoal-sim",
        "--bin",
        "shoal-sim",
    ]);
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "building the simulation failed ({status})");
    Ok(Simulation { program: target.join("sim").join(format!("shoal-sim{}", env::consts::EXE_SUFFIX)) })
}

fn target_folder(workspace: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), |folder| workspace.join(folder))
}

/// Keeps what a user sets about where cargo finds its registry.
fn is_of_outer_build(name: &OsStr) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"];
    const COMPILER: [&str; 5] =
        ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "RUSTDOCFLAGS"];
    let name = name.to_string_lossy();
    let of_cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    of_cargo || COMPILER.contains(&name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_an_outer_build_are_dropped_and_those_of_the_user_kept() {
        for dropped in
            ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PKG_NAME", "CARGO_TARGET_DIR", "RUSTC_WRAPPER"]
        {
            assert!(is_of_outer_build(OsStr::new(dropped)), "{dropped}");
        }
        for kept in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "PATH", "RUSTUP_HOME"] {
            assert!(!is_of_outer_build(OsStr::new(kept)), "{kept}");
        }
    }
}
