//! The commands in a block, as a shell would take them in.

use crate::markdown::Block;
use std::process::Command;

/// What a reader types before pressing return.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Its first line in the document.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// What the document shows it to print; `None` where it shows nothing on purpose.
    pub(crate) shown: Option<Vec<String>>,
}

/// The commands of a script.
pub(crate) fn of_script(block: &Block) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    let mut open = false;
    for (line, text) in lines(block) {
        match commands.last_mut() {
            Some(last) if open => last.go_on(text),
            _ if text.trim().is_empty() || text.trim_start().starts_with('#') => continue,
            _ => commands.push(Typed { line, text: text.to_owned(), shown: None }),
        }
        open = commands.last().is_some_and(|last| !is_complete(&last.text));
    }
    commands
}

/// The commands of a session, which are those after a `$`, with what they print below them.
///
/// # Errors
/// The line of output that stands before the first command.
pub(crate) fn of_session(block: &Block) -> Result<Vec<Typed>, usize> {
    let mut commands: Vec<Typed> = Vec::new();
    let mut open = false;
    for (line, text) in lines(block) {
        if let Some(text) = text.strip_prefix("$ ") {
            commands.push(Typed { line, text: text.to_owned(), shown: Some(Vec::new()) });
        } else {
            let last = commands.last_mut().ok_or(line)?;
            if open {
                last.go_on(text.strip_prefix("> ").unwrap_or(text));
            } else {
                last.shown.get_or_insert_default().push(text.to_owned());
                continue;
            }
        }
        open = commands.last().is_some_and(|last| !is_complete(&last.text));
    }
    Ok(commands)
}

fn lines(block: &Block) -> impl Iterator<Item = (usize, &str)> {
    block.text.lines().enumerate().map(|(i, text)| (block.line + i, text))
}

/// Whether the shell would ask for another line: it complains, if only of a here-document without its end.
fn is_complete(text: &str) -> bool {
    let check = Command::new("bash").args(["-n", "-c", text]).output().expect("bash is installed");
    check.status.success() && check.stderr.is_empty() && !text.ends_with('\\')
}

impl Typed {
    fn go_on(&mut self, text: &str) {
        self.text.push('\n');
        self.text.push_str(text);
    }

    /// Whether it runs nodes.
    pub(crate) fn starts_nodes(&self) -> bool {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let shoal = |word: &&str| *word == "shoal" || word.ends_with("/shoal");
        words.iter().enumerate().filter(|(_, word)| shoal(word)).any(|(i, _)| {
            let argument = words[i + 1..].iter().find(|word| **word != "--");
            argument.is_some_and(|word| ["dev", "serve"].contains(word))
        })
    }

    /// Whether it runs nodes until someone stops it.
    pub(crate) fn holds_the_terminal(&self) -> bool {
        self.starts_nodes() && !self.text.contains('&')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        Block { line: 10, kind: String::new(), notes: Vec::new(), text: text.into() }
    }

    fn typed(line: usize, text: &str, shown: Option<&[&str]>) -> Typed {
        let shown = shown.map(|shown| shown.iter().map(|line| (*line).to_owned()).collect());
        Typed { line, text: text.into(), shown }
    }

    #[test]
    fn a_script_is_taken_in_command_by_command() {
        let script = "# why\nA=1\n\nfor i in 1 2; do\n  echo $i \\\n    and\ndone\ncat <<'END'\n# text\nEND\necho 'a\nb'\n";
        let expected = [
            typed(11, "A=1", None),
            typed(13, "for i in 1 2; do\n  echo $i \\\n    and\ndone", None),
            typed(17, "cat <<'END'\n# text\nEND", None),
            typed(20, "echo 'a\nb'", None),
        ];
        assert_eq!(of_script(&block(script)), expected);
    }

    #[test]
    fn a_session_has_commands_and_what_they_print() {
        let session = "$ echo a \\\n>   b\na b\n\n$ true\n$ echo '\nx'\n\nx\n";
        let expected = [
            typed(10, "echo a \\\n  b", Some(&["a b", ""])),
            typed(14, "true", Some(&[])),
            typed(15, "echo '\nx'", Some(&["", "x"])),
        ];
        assert_eq!(of_session(&block(session)), Ok(expected.into()));
        assert_eq!(of_session(&block("\noutput\n")), Err(10));
    }

    #[test]
    fn commands_that_run_nodes_are_told_from_others() {
        let told = |text| {
            let command = typed(1, text, None);
            (command.starts_nodes(), command.holds_the_terminal())
        };
        assert_eq!(told("cargo run --release --bin shoal -- dev"), (true, true));
        assert_eq!(told("A=b target/release/shoal serve \\\n --seed x"), (true, true));
        assert_eq!(told("for i in 1; do\n target/release/shoal serve &\ndone"), (true, false));
        assert_eq!(told("target/release/shoal get dev"), (false, false));
        assert_eq!(told("cd shoal"), (false, false));
    }
}
