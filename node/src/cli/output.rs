//! Writing for people and for programs.

use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

/// Writes to standard output. Unlike `print!` it does not panic when nobody reads.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a line.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    write(format!("{}\n", text.as_ref()).as_bytes())
}

/// Writes one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string(value)?)?)
}

/// Writes rows under headings: with borders on a terminal, aligned by blanks otherwise.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    line(format_table(headings, rows, io::stdout().is_terminal()))
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

/// The error with its causes, in one line.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the error is that the reader of our output has gone.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    errors.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
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
    fn an_error_is_one_line_with_its_causes() {
        let error = Err::<(), _>(io::Error::other("deep\n  down")).context("on top").unwrap_err();
        assert_eq!(one_line(&error), "on top: deep down");
    }

    #[test]
    fn a_closed_pipe_is_found_under_other_errors() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_closed_pipe(&error));
        assert!(!is_closed_pipe(&anyhow::anyhow!("other")));
    }
}
