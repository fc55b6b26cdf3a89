use super::Simulation;
use crate::{
    options::{Options, Profile},
    report::Report,
};
use anyhow::Context;
use std::{
    fmt,
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// Real time after which a run counts as hung.
const WALL_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);
/// Lines of a failed run's log that are shown.
const LOG_LINES: usize = 60;

/// One run to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Its seed.
    pub seed: u64,
    /// How its options are drawn.
    pub profile: Profile,
    /// The deliberate bug to switch on.
    pub mutant: Option<String>,
}

/// A run that broke a promise, or that ended without a report.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The run.
    pub seed: Seed,
    /// What went wrong.
    pub what: String,
}

impl Seed {
    /// The command that repeats this run exactly.
    #[must_use]
    pub fn replay_command(&self) -> String {
        let mutant = self.mutant.iter().map(|name| format!(" --mutant {name}")).collect::<String>();
        format!("cargo run -p shoal-sim -- replay {} --profile {}{mutant}", self.seed, self.profile)
    }

    /// The command of the simulation itself.
    pub fn command(&self, simulation: &Simulation) -> Command {
        let mut command = Command::new(&simulation.program);
        command.args(["seed", &self.seed.to_string(), "--profile", &self.profile.to_string()]);
        match &self.mutant {
            Some(mutant) => command.args(["--mutant", mutant]).env("SHOAL_MUTANT", mutant),
            None => command.env_remove("SHOAL_MUTANT"),
        };
        command
    }

    /// Runs it in a process of its own.
    ///
    /// # Errors
    /// When the run ends without a report: it crashed, hung, or could not be started.
    pub fn run(&self, simulation: &Simulation) -> Result<Report, Failure> {
        let failure = |what: String| Failure { seed: self.clone(), what };
        let (status, output, log) =
            self.observe(simulation).map_err(|error| failure(format!("{error:#}")))?;
        let last_line = output.lines().next_back().unwrap_or_default();
        serde_json::from_str(last_line)
            .map_err(|_| failure(format!("no report ({status}); its log ends:\n{}", tail(&log))))
    }

    fn observe(&self, simulation: &Simulation) -> anyhow::Result<(ExitStatus, String, String)> {
        let mut command = self.command(simulation);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let (output, log) = (child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            // Read meanwhile: a full pipe would block the child.
            let output = scope.spawn(|| read_all(output));
            let log = scope.spawn(|| read_all(log));
            let status = wait(&mut child)?;
            Ok((status, output.join().unwrap_or_default(), log.join().unwrap_or_default()))
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what } = self;
        let options = serde_json::to_string(&Options::draw(seed.seed, seed.profile)).unwrap_or_default();
        writeln!(f, "seed {} failed: {what}", seed.seed)?;
        writeln!(f, "  options: {options}")?;
        write!(f, "  replay:  {}", seed.replay_command())
    }
}

fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if waited >= WALL_LIMIT {
            child.kill()?;
            return Ok(child.wait()?);
        }
        thread::sleep(POLL);
        waited += POLL;
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is still worth showing.
    _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(mutant: Option<&str>) -> Seed {
        Seed { seed: 17, profile: Profile::Ci, mutant: mutant.map(str::to_owned) }
    }

    #[test]
    fn a_failure_tells_the_seed_the_options_and_how_to_replay_it() {
        let shown = Failure { seed: seed(Some("vote_when_empty")), what: "lost a write".into() }.to_string();
        for part in [
            "seed 17",
            "lost a write",
            "\"nodes\":5",
            "cargo run -p shoal-sim -- replay 17 --profile ci --mutant vote_when_empty",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn a_process_without_a_report_is_a_failure() {
        let simulation = |program: &str| Simulation { program: program.into() };
        let failure = seed(None).run(&simulation("/bin/false")).unwrap_err();
        assert!(failure.what.contains("no report"), "{failure}");
        let failure = seed(None).run(&simulation("/no/such/program")).unwrap_err();
        assert!(failure.what.contains("cannot run"), "{failure}");
    }
}
