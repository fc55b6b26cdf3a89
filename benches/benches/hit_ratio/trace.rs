//! Requests as they were recorded.

use flate2::read::GzDecoder;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};
use xxhash_rust::xxh3::xxh3_64;

/// Traces, and the sizes of a cache at which each is run: in percent of its keys.
pub(crate) const TRACES: [(&str, &[f64]); 8] = [
    ("cache2k_web07.u32", &[1.0, 5.0, 10.0]),
    ("cache2k_web12.u32", &[1.0, 5.0, 10.0]),
    ("scarab_recs.u32", &[0.1, 1.0, 5.0, 10.0]),
    ("cache2k_orm_busy.u32", &[0.1, 1.0, 5.0, 10.0]),
    ("arc_oltp.u32", &[0.1, 1.0, 5.0, 10.0]),
    ("cphy_w92_io.u32x2", &[1.0, 5.0, 10.0]),
    ("lirs_loop.u32", &[10.0]),
    ("adaptsize_req.u32x2", &[1.0, 5.0, 10.0]),
];
/// The trace whose sizes matter and whose keys do not: it is run by bytes alone.
pub(crate) const BYTES_ALONE: &str = "adaptsize_req.u32x2";
/// Traces that are run by objects alone: a loop, and one too long to be run twice.
pub(crate) const OBJECTS_ALONE: [&str; 2] = ["lirs_loop.u32", "cache2k_orm_busy.u32"];
/// From which the sizes are drawn of the traces that have none.
const SIZES: &str = "meta_kvcache_reg_value_size_cdf.txt";

#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) key: u32,
    pub(crate) bytes: u64,
}

pub(crate) struct Trace {
    pub(crate) requests: Vec<Request>,
    pub(crate) keys: u64,
    /// Bytes of all keys' values.
    pub(crate) bytes: u64,
}

impl Trace {
    /// Reads a trace, little-endian numbers packed by gzip: keys, or keys and sizes by turns.
    pub(crate) fn read(folder: &Path, name: &str) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(folder.join(format!("{name}.gz")))?).read_to_end(&mut bytes)?;
        let numbers = bytes.chunks_exact(4).map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]]));
        let requests: Vec<_> = if name.ends_with("x2") {
            let numbers: Vec<_> = numbers.collect();
            let pairs = numbers.chunks_exact(2);
            pairs.map(|pair| Request { key: pair[0], bytes: u64::from(pair[1].max(1)) }).collect()
        } else {
            let sizes = read_sizes(folder)?;
            numbers.map(|key| Request { key, bytes: size(&sizes, key) }).collect()
        };
        let sizes: BTreeMap<_, _> = requests.iter().map(|request| (request.key, request.bytes)).collect();
        Ok(Self { keys: sizes.len() as u64, bytes: sizes.values().sum(), requests })
    }
}

/// Sizes with the part of all values that is no larger.
fn read_sizes(folder: &Path) -> std::io::Result<Vec<(f64, u64)>> {
    let text = std::fs::read_to_string(folder.join(SIZES))?;
    let pair = |line: &str| {
        let (share, size) = line.split_once(char::is_whitespace)?;
        Some((share.parse().ok()?, size.trim().parse().ok()?))
    };
    Ok(text.lines().filter_map(pair).collect())
}

fn size(sizes: &[(f64, u64)], key: u32) -> u64 {
    let share = (xxh3_64(&key.to_le_bytes()) >> 11) as f64 / (1_u64 << 53) as f64;
    let at = sizes.partition_point(|(up_to, _)| *up_to < share);
    sizes.get(at).or(sizes.last()).map_or(1, |(_, size)| *size)
}
