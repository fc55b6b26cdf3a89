//! Moments worth a word, on the command line or appended to a file while the run goes on.

use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    str::FromStr,
    time::Duration,
};

/// Further ones are ignored.
pub(crate) const MAX_MARKS: usize = 64;
const MAX_LABEL_CHARS: usize = 60;

/// A moment and what happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Mark {
    /// From the start of what is measured.
    pub(crate) seconds: f64,
    pub(crate) label: String,
}

/// The text is not a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time and a label, such as 10s:kill")]
pub(crate) struct UnknownMark;

impl Mark {
    /// The label is cut where it is too long to be shown.
    pub(crate) fn new(at: Duration, label: &str) -> Self {
        let shown = label.trim().chars().filter(|character| !character.is_control());
        Self { seconds: at.as_secs_f64(), label: shown.take(MAX_LABEL_CHARS).collect() }
    }
}

impl FromStr for Mark {
    type Err = UnknownMark;

    fn from_str(text: &str) -> Result<Self, UnknownMark> {
        let (time, label) = text.split_once(':').ok_or(UnknownMark)?;
        let at = humantime::parse_duration(time).map_err(|_| UnknownMark)?;
        Ok(Self::new(at, label))
    }
}

/// Lines as they are appended to a file.
pub(crate) struct Tail {
    file: File,
    /// What has been read of a line that is not ended yet.
    line: Vec<u8>,
}

impl Tail {
    /// Looks at a file from its present end on; makes it if it does not exist.
    ///
    /// # Errors
    /// When it can neither be read nor made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, line: Vec::new() })
    }

    /// Lines that have come since the last call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut buffer = [0; 4096];
        let mut lines = Vec::new();
        let read = self.file.read(&mut buffer)?;
        for byte in &buffer[..read] {
            match byte {
                b'\n' => lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()),
                // Enough for any label; the rest of the line is not kept.
                _ if self.line.len() < 4 * MAX_LABEL_CHARS => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _};

    #[test]
    fn a_mark_has_a_time_and_a_label() {
        assert_eq!("10s:kill: node 2".parse(), Ok(Mark { seconds: 10.0, label: "kill: node 2".into() }));
        assert_eq!("1500ms:x".parse::<Mark>().map(|mark| mark.seconds), Ok(1.5));
        for bad in ["", "kill", "kill:10s", "-1s:x"] {
            assert_eq!(bad.parse::<Mark>(), Err(UnknownMark), "{bad}");
        }
        assert_eq!(Mark::new(Duration::ZERO, &"long ".repeat(1_000)).label.len(), MAX_LABEL_CHARS);
    }

    #[test]
    fn lines_are_seen_once_they_are_whole_and_only_those_that_come_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("marks");
        fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::open(&path).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        assert_eq!(tail.lines().unwrap(), Vec::<String>::new());
        file.write_all(b"killed\nrest").unwrap();
        assert_eq!(tail.lines().unwrap(), ["killed"]);
        file.write_all(b"arted\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["restarted"]);
    }
}
