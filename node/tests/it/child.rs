//! Child processes that do not outlive their test.

use crate::cluster::eventually;
use std::{
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Process {
    child: Child,
    name: String,
    outputs: TempDir,
}

impl Process {
    pub(crate) fn start(name: impl Into<String>, command: &mut Command) -> Self {
        Self::fed(name, command, b"")
    }

    /// Starts one that finds `input` on its standard input.
    pub(crate) fn fed(name: impl Into<String>, command: &mut Command, input: &[u8]) -> Self {
        let name = name.into();
        let outputs = tempfile::tempdir().unwrap();
        let stdin = outputs.path().join("stdin");
        fs::write(&stdin, input).unwrap();
        let file = |name| Stdio::from(File::create(outputs.path().join(name)).unwrap());
        let child =
            command.stdin(File::open(stdin).unwrap()).stdout(file("stdout")).stderr(file("stderr")).spawn();
        Self { child: child.unwrap_or_else(|e| panic!("cannot run {name}: {e}")), name, outputs }
    }

    /// Ends it without a chance to tidy up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(&format!("{} ends", self.name), async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub(crate) fn stdout_bytes(&self) -> Vec<u8> {
        fs::read(self.outputs.path().join("stdout")).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.outputs.path().join(name)).unwrap()).into_owned()
    }
}

/// Shows the end of what it said when a test fails.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.stderr();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("--- {} ---\n{}", self.name, lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// What a command that has ended said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

/// Runs `shoal` with these arguments and `input` to its end.
pub(crate) async fn run<A: AsRef<OsStr>>(arguments: &[A], input: &[u8]) -> Said {
    let mut process = Process::fed("shoal", shoal().args(arguments), input);
    let code = process.ended().await.code();
    Said { code, stdout: process.stdout_bytes(), stderr: process.stderr() }
}

/// The `shoal` command, with nothing of this process's environment.
pub(crate) fn shoal() -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_shoal")));
    command.env_clear();
    command
}
