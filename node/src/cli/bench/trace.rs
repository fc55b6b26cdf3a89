use anyhow::Context as _;
use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

/// What fits into memory whatever a packed file unfolds to: 3 GiB.
const MAX_ENTRIES: usize = 1 << 28;
/// How a gzip file with deflated content begins.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// What a trace holds per request; numbers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The key's number
    U32,
    /// The key's number and the size of its value in bytes
    #[value(name = "u32x2")]
    U32x2,
}

/// One request of a trace: a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key's number.
    pub(crate) key: u32,
    /// The size of its value, if the trace knows.
    pub(crate) value_bytes: Option<u32>,
}

/// Reads at most `limit` requests from a file, packed with gzip or plain.
///
/// # Errors
/// When the file cannot be read, holds no request or far too many, or ends within one.
pub(crate) fn read(path: &Path, format: Format, limit: usize) -> anyhow::Result<Vec<Entry>> {
    let trace = || format!("trace {}", path.display());
    let file = File::open(path).with_context(trace)?;
    let entries = decode(BufReader::new(file), format, limit.min(MAX_ENTRIES + 1)).with_context(trace)?;
    anyhow::ensure!(!entries.is_empty(), "trace {} holds no request", path.display());
    let is_bounded = entries.len() <= MAX_ENTRIES;
    anyhow::ensure!(
        is_bounded,
        "trace {} holds more than {MAX_ENTRIES} requests: give --requests",
        path.display()
    );
    Ok(entries)
}

fn decode(mut file: BufReader<impl Read>, format: Format, limit: usize) -> io::Result<Vec<Entry>> {
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        parse(BufReader::new(MultiGzDecoder::new(file)), format, limit)
    } else {
        parse(file, format, limit)
    }
}

fn parse(mut bytes: impl Read, format: Format, limit: usize) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    while entries.len() < limit {
        let Some(key) = number(&mut bytes)? else { break };
        let value_bytes = match format {
            Format::U32 => None,
            Format::U32x2 => Some(number(&mut bytes)?.ok_or_else(cut)?),
        };
        entries.push(Entry { key, value_bytes });
    }
    Ok(entries)
}

/// The next number; `None` at the end.
fn number(bytes: &mut impl Read) -> io::Result<Option<u32>> {
    let mut buffer = Vec::with_capacity(4);
    match bytes.take(4).read_to_end(&mut buffer)? {
        0 => Ok(None),
        _ => Ok(Some(u32::from_le_bytes(buffer.try_into().map_err(|_| cut())?))),
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends within a request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    const NUMBERS: [u32; 4] = [7, 100, 8, u32::MAX];

    fn plain() -> Vec<u8> {
        NUMBERS.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: &[u8], format: Format, limit: usize) -> io::Result<Vec<Entry>> {
        decode(BufReader::new(bytes), format, limit)
    }

    #[test]
    fn packed_and_plain_traces_hold_the_same_requests() {
        for bytes in [plain(), gzip(&plain())] {
            let keys: Vec<u32> =
                decoded(&bytes, Format::U32, usize::MAX).unwrap().iter().map(|r| r.key).collect();
            assert_eq!(keys, NUMBERS);
            let sized = decoded(&bytes, Format::U32x2, usize::MAX).unwrap();
            let expected = [(7, Some(100)), (8, Some(u32::MAX))];
            assert_eq!(sized, expected.map(|(key, value_bytes)| Entry { key, value_bytes }));
            assert_eq!(decoded(&bytes, Format::U32, 3).unwrap().len(), 3);
        }
    }

    #[test]
    fn files_in_several_packed_parts_are_read_to_the_end() {
        let bytes = [gzip(&plain()), gzip(&plain())].concat();
        assert_eq!(decoded(&bytes, Format::U32, usize::MAX).unwrap().len(), 8);
    }

    #[test]
    fn a_trace_that_was_cut_is_refused() {
        for length in [1, 3, 5, 15] {
            assert!(decoded(&plain()[..length], Format::U32, usize::MAX).is_err(), "{length}");
        }
        assert!(decoded(&plain()[..4], Format::U32x2, usize::MAX).is_err());
        let packed = gzip(&plain());
        assert!(decoded(&packed[..packed.len() - 1], Format::U32, usize::MAX).is_err());
        assert_eq!(decoded(&[], Format::U32, usize::MAX).unwrap(), []);
    }
}
