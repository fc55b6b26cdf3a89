//! A shell that types what it is given: one per document, so that variables and jobs last from block to block.

use crate::sandbox::{Network, Sandbox};
use std::{
    env, fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// How long a command may take, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is asked whether it is done.
const POLL: Duration = Duration::from_millis(10);
/// What a program that runs nodes says once they serve.
const READY: &str = "ready";

/// The shell. Dropped, it ends with everything it has started.
pub(crate) struct Terminal {
    shell: Child,
    /// Where each command leaves what it printed and how it ended.
    traces: PathBuf,
    commands: usize,
    patience: Duration,
    /// Variables with the process ids of the programs that hold the terminal.
    holding: Vec<String>,
}

/// What became of a command.
pub(crate) struct Ran {
    /// Both standard output and standard error, in the order they were printed.
    pub(crate) printed: String,
    /// Its exit code.
    pub(crate) status: Result<i32, Unfinished>,
}

/// Why there is no exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfinished {
    #[error("it had not ended after {0:?}")]
    Late(Duration),
    #[error("it was not ready after {0:?}")]
    NotReady(Duration),
    #[error("it ended before it was ready")]
    NotHeld,
    #[error("it ended the shell")]
    ShellEnded,
}

impl Terminal {
    pub(crate) fn open(sandbox: &Sandbox, network: &Network, patience: Duration) -> Self {
        let mut command = match network {
            Network::Shared { .. } => Command::new("bash"),
            Network::Own(way) => {
                let mut command = Command::new(way[0]);
                command.args(&way[1..]).args(["bash", "-c", &format!("{} && exec bash", Network::set_up())]);
                command
            }
        };
        let path = format!("{}:{}", sandbox.bin().display(), env::var("PATH").unwrap());
        let traces = sandbox.home().join("traces");
        fs::create_dir(&traces).unwrap();
        command
            .env_clear()
            .env("PATH", path)
            .env("TMPDIR", sandbox.home())
            .env("HOME", sandbox.home())
            .env("LC_ALL", "C.UTF-8");
        command.current_dir(sandbox.checkout()).process_group(0);
        // What commands print is in their traces; the shell itself only tells of jobs that were killed.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut terminal =
            Self { shell: command.spawn().unwrap(), traces, commands: 0, patience, holding: Vec::new() };
        // Should the tests be killed: the shell's input then ends.
        terminal.enter("trap 'kill 0' EXIT");
        terminal
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&mut self, command: &str) -> Ran {
        let trace = self.source(command);
        let status = self
            .until(Unfinished::Late(self.patience), || fs::read_to_string(trace.join("status")).ok())
            .await;
        Ran { printed: printed(&trace), status: status.map(|text| text.trim().parse().unwrap()) }
    }

    /// Runs programs that hold the terminal, each as if on a machine of its own, until all of them are ready.
    pub(crate) async fn hold(&mut self, programs: &[String]) -> Ran {
        let mut traces = Vec::new();
        for program in programs {
            let variable = format!("HOLDING_{}", self.commands);
            traces.push(
                self.source(&format!("{program} &\n{variable}=$!\necho $! >$(dirname $BASH_SOURCE)/process")),
            );
            self.holding.push(variable);
        }
        let is_ready = |trace: &PathBuf| printed(trace).split_whitespace().any(|word| word == READY);
        let held = || match traces.iter().any(|trace| has_ended(trace)) {
            true => Some(Err(Unfinished::NotHeld)),
            false => traces.iter().all(is_ready).then_some(Ok(0)),
        };
        let status = self.until(Unfinished::NotReady(self.patience), held).await;
        Ran { printed: traces.iter().map(|trace| printed(trace)).collect(), status: status.flatten() }
    }

    /// Stops what holds the terminal, as Ctrl-C would.
    pub(crate) async fn interrupt(&mut self) -> Ran {
        let stop = |variable: &String| format!("kill -s INT ${variable} && wait ${variable}\n");
        let stops: String = self.holding.iter().map(stop).collect();
        self.holding.clear();
        self.run(&stops).await
    }

    /// Has the shell run a command; returns where its traces will be.
    fn source(&mut self, command: &str) -> PathBuf {
        let trace = self.traces.join(self.commands.to_string());
        self.commands += 1;
        fs::create_dir(&trace).unwrap();
        fs::write(trace.join("command"), format!("{command}\n")).unwrap();
        let at = trace.display();
        self.enter(&format!(
            "source {at}/command >{at}/printed 2>&1 </dev/null; echo $? >{at}/ended; mv {at}/ended {at}/status"
        ));
        trace
    }

    /// A shell that has ended does not listen, which is noticed where its answer is waited for.
    fn enter(&mut self, line: &str) {
        let _ = writeln!(self.shell.stdin.as_mut().expect("its input is piped"), "{line}");
    }

    async fn until<T>(&mut self, late: Unfinished, done: impl Fn() -> Option<T>) -> Result<T, Unfinished> {
        let deadline = Instant::now() + self.patience;
        loop {
            let ended = self.shell.try_wait().unwrap().is_some();
            match done() {
                Some(done) => return Ok(done),
                None if ended => return Err(Unfinished::ShellEnded),
                None if Instant::now() > deadline => return Err(late),
                None => tokio::time::sleep(POLL).await,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.shell.wait();
    }
}

/// Whether the program whose process id the shell has left there is gone.
fn has_ended(trace: &Path) -> bool {
    let process = fs::read_to_string(trace.join("process")).unwrap_or_default();
    !process.is_empty() && !Path::new("/proc").join(process.trim()).exists()
}

fn printed(trace: &Path) -> String {
    String::from_utf8_lossy(&fs::read(trace.join("printed")).unwrap_or_default()).into_owned()
}
