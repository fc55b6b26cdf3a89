//! Writing for people and for programs.

use comfy_table::{Table, presets};
use serde::Serialize;
use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// Whoever read our output has gone, as `| head` does.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct Closed;

/// Writes to standard output. Unlike `print!` it does not panic when nobody reads.
///
/// # Errors
/// [`Closed`], or why else it could not be written.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(told_apart)
}

/// Only our own output counts as closed: a lost connection to a node is a broken pipe too, and a failure.
fn told_apart(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { Closed.into() } else { error.into() }
}

/// Writes a line.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    write(format!("{}\n", text.as_ref()).as_bytes())
}

/// Writes any bytes: as they are to a program, as a line of text that harms no terminal to a person.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    if is_terminal() { line(escaped(bytes, |c| matches!(c, '\n' | '\t'))) } else { write(bytes) }
}

/// Whether a person reads.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Text as it is; anything else, and text that would move the cursor, with escapes.
pub(crate) fn printable(bytes: &[u8]) -> Cow<'_, str> {
    escaped(bytes, |_| false)
}

fn escaped(bytes: &[u8], harmless: fn(char) -> bool) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !harmless(c)) => text.into(),
        _ => bytes.escape_ascii().to_string().into(),
    }
}

/// A length of time for people: whole seconds, more precisely where it is short.
pub(crate) fn time(length: Duration) -> String {
    let millis = length.as_millis() as u64;
    let unit = match millis {
        0..1_000 => 1,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    humantime::format_duration(Duration::from_millis(millis / unit * unit)).to_string()
}

/// Writes one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Writes rows under headings: with borders on a terminal, aligned by blanks otherwise.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    line(format_table(headings, rows, is_terminal()))
}

fn format_table(headings: &[&str], rows: &[Vec<String>], terminal: bool) -> String {
    let mut table = Table::new();
    table.load_preset(if terminal { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    table.set_header(headings.iter().copied()).add_rows(rows);
    if !terminal {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
    }
    table.trim_fmt()
}

/// Says on standard error what went wrong. Nothing can be done when that is closed too.
pub(crate) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "error: {what}");
}

/// The error with its causes, in one line. Some errors repeat their cause in their own text; it is told once.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if !texts.iter().any(|told| told.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_table_is_plain_when_piped_and_framed_on_a_terminal() {
        let rows = vec![vec!["a".into(), "1".into()], vec!["longer".into(), "22".into()]];
        assert_eq!(format_table(&["name", "n"], &rows, false), "name    n\na       1\nlonger  22");
        assert!(format_table(&["name", "n"], &rows, true).contains('│'));
    }

    #[test]
    fn what_is_no_text_is_escaped_for_people() {
        assert_eq!(printable("grüße\\ und so".as_bytes()), "grüße\\ und so");
        assert_eq!(printable(b"\xff\\k"), r"\xff\\k");
        assert_eq!(printable(b"\x1b[2Jgone\n"), r"\x1b[2Jgone\n");
    }

    #[test]
    fn times_are_told_as_precisely_as_they_matter() {
        assert_eq!(time(Duration::from_micros(999_900)), "999ms");
        assert_eq!(time(Duration::from_millis(1_599)), "1s 500ms");
        assert_eq!(time(Duration::from_millis(61_999)), "1m 1s");
        assert_eq!(time(Duration::ZERO), "0s");
    }

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = Err::<(), _>(io::Error::other("deep\n  down")).context("on top").unwrap_err();
        assert_eq!(one_line(&error), "on top: deep down");
        assert_eq!(one_line(&error.context("in short: deep down")), "in short: deep down: on top");
    }

    #[test]
    fn a_closed_output_is_told_from_other_failures() {
        assert!(told_apart(io::ErrorKind::BrokenPipe.into()).is::<Closed>());
        assert!(!told_apart(io::ErrorKind::StorageFull.into()).is::<Closed>());
        let lost_connection = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!lost_connection.is::<Closed>());
    }
}
