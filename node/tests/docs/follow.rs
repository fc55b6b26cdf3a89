//! Does what a document says, block by block.

use crate::{
    commands::{self, Typed},
    expected,
    markdown::{Block, Document},
    rules::{self, Rule},
    sandbox::{Network, Sandbox},
    terminal::{Ran, Terminal},
};
use std::{fs, time::Duration};

/// Where a block of settings is kept for the commands below it.
const SETTINGS_FILE: &str = "shoal.toml";
/// The note that names words which differ from run to run.
const VARIES: &str = "varies";
/// The note that names the machines a block is for; the first of them stands in the block.
const MACHINES: &str = "machines";

/// Something that a document says and that is not so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

/// One document, followed in a terminal of its own.
pub(crate) struct Follower<'a> {
    document: &'a Document,
    sandbox: &'a Sandbox,
    network: &'a Network,
    terminal: Terminal,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(
        document: &'a Document,
        sandbox: &'a Sandbox,
        network: &'a Network,
        patience: Duration,
    ) -> Self {
        Self { document, sandbox, network, terminal: Terminal::open(sandbox, network, patience) }
    }

    /// Follows it until something is not as it says: what comes later may rest on that.
    pub(crate) async fn follow(mut self) -> Result<(), Fault> {
        for block in &self.document.blocks {
            match rules::rule(block).map_err(|why| self.fault(block.line, &why))? {
                Rule::Script => self.type_in(block, commands::of_script(block)).await?,
                Rule::Session => {
                    let commands = commands::of_session(block);
                    let why = "a session begins with a command, after '$ '";
                    self.type_in(block, commands.map_err(|line| self.fault(line, why))?).await?;
                }
                Rule::Program(interpreter) => self.run_program(block, interpreter).await?,
                Rule::Settings => self.check_settings(block).await?,
                Rule::Json | Rule::Rust | Rule::Prose => {}
            }
        }
        let ran = self.terminal.interrupt().await;
        match ran.status {
            Ok(0) => Ok(()),
            _ => {
                Err(self.fault(0, &format!("what holds the terminal does not stop as told\n{}", tell(&ran))))
            }
        }
    }

    async fn type_in(&mut self, block: &Block, commands: Vec<Typed>) -> Result<(), Fault> {
        if commands.iter().any(Typed::starts_nodes) {
            let ran = self.terminal.interrupt().await;
            if ran.status != Ok(0) {
                return Err(
                    self.fault(block.line, &format!("what ran before does not stop as told\n{}", tell(&ran)))
                );
            }
        }
        for command in &commands {
            let ran = if command.holds_the_terminal() {
                let programs = on_machines(&command.text, values(block, MACHINES));
                let reachable: Vec<_> = programs.iter().map(|text| self.network.reachable(text)).collect();
                self.terminal.hold(&reachable).await
            } else {
                self.terminal.run(&self.network.reachable(&command.text)).await
            };
            self.judge(command, &ran, values(block, VARIES))?;
        }
        Ok(())
    }

    fn judge(&self, command: &Typed, ran: &Ran, varying: &[String]) -> Result<(), Fault> {
        let fault =
            |why: &str| Err(self.fault(command.line, &format!("{why}\n$ {}\n{}", command.text, tell(ran))));
        let shown = command.shown.as_deref();
        let shows_an_error = shown.is_some_and(|shown| shown.iter().any(|line| line.starts_with("error: ")));
        match ran.status {
            Err(unfinished) => return fault(&unfinished.to_string()),
            Ok(0) if shows_an_error => return fault("the document shows an error, and it succeeds"),
            Ok(code) if code != 0 && !shows_an_error => return fault(&format!("it exits with {code}")),
            Ok(_) => {}
        }
        let Some(shown) = shown else { return Ok(()) };
        if expected::matches(without_end(shown), without_end(&lines(&ran.printed)), varying) {
            return Ok(());
        }
        fault(&format!("the document shows\n{}", indented(&shown.join("\n"))))
    }

    /// A program is typed at its interpreter, beside the examples it may use.
    async fn run_program(&mut self, block: &Block, interpreter: &str) -> Result<(), Fault> {
        let text = format!("{interpreter} - <<'PROGRAM'\n{}PROGRAM", block.text);
        let ran = self.terminal.run(&text).await;
        self.judge(&Typed { line: block.line, text, shown: None }, &ran, &[])
    }

    /// Settings are kept as a reader would keep them, and checked by the command that is there for it.
    async fn check_settings(&mut self, block: &Block) -> Result<(), Fault> {
        fs::write(self.sandbox.checkout().join(SETTINGS_FILE), &block.text).unwrap();
        let text = format!("target/release/shoal check-config --config {SETTINGS_FILE}");
        let ran = self.terminal.run(&text).await;
        self.judge(&Typed { line: block.line, text, shown: None }, &ran, &[])
    }

    fn fault(&self, line: usize, why: &str) -> Fault {
        Fault(format!("{}:{line}: {why}", self.document.name))
    }
}

fn values<'a>(block: &'a Block, name: &str) -> &'a [String] {
    block.notes.iter().find(|note| note.name == name).map_or(&[], |note| &note.values)
}

/// The command as it is typed on each of the machines.
fn on_machines(text: &str, machines: &[String]) -> Vec<String> {
    if machines.is_empty() {
        return vec![text.to_owned()];
    }
    machines.iter().map(|machine| format!("ME={machine}\n{text}")).collect()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Without blank lines at the end.
fn without_end<T: AsRef<str>>(lines: &[T]) -> &[T] {
    let blank = lines.iter().rev().take_while(|line| line.as_ref().trim().is_empty()).count();
    &lines[..lines.len() - blank]
}

fn tell(ran: &Ran) -> String {
    indented(if ran.printed.is_empty() { "(it printed nothing)" } else { &ran.printed })
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect::<String>().trim_end().to_owned()
}
