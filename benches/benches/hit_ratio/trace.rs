//! Requests as they were recorded.

use flate2::read::GzDecoder;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};
use xxhash_rust::xxh3::xxh3_64;

/// A trace, and the sizes of a cache at which it is run: in percent of its keys.
pub(crate) struct Recorded {
    pub(crate) name: &'static str,
    pub(crate) cells: &'static [Cell],
    /// Whether its keys matter, or its sizes alone.
    pub(crate) by_objects: bool,
}

pub(crate) struct Cell {
    pub(crate) percent: f64,
    /// Percent of hits of a model of W-TinyLFU whose window keeps 20 % of the objects.
    pub(crate) fixed_window: f64,
}

pub(crate) const TRACES: [Recorded; 8] = [
    by_objects("cache2k_web07.u32", &[cell(1.0, 44.02), cell(5.0, 53.67), cell(10.0, 57.96)]),
    by_objects("cache2k_web12.u32", &[cell(1.0, 41.93), cell(5.0, 65.01), cell(10.0, 72.24)]),
    by_objects("scarab_recs.u32", &[cell(0.1, 23.43), cell(1.0, 42.91), cell(5.0, 54.85), cell(10.0, 61.24)]),
    by_objects(
        "cache2k_orm_busy.u32",
        &[cell(0.1, 36.70), cell(1.0, 71.97), cell(5.0, 85.19), cell(10.0, 88.73)],
    ),
    by_objects("arc_oltp.u32", &[cell(0.1, 21.02), cell(1.0, 46.41), cell(5.0, 61.67), cell(10.0, 67.11)]),
    by_objects("cphy_w92_io.u32x2", &[cell(1.0, 17.25), cell(5.0, 18.07), cell(10.0, 19.88)]),
    by_objects("lirs_loop.u32", &[cell(10.0, 6.33)]),
    Recorded {
        name: "adaptsize_req.u32x2",
        cells: &[cell(1.0, 0.0), cell(5.0, 0.0), cell(10.0, 0.0)],
        by_objects: false,
    },
];

const fn by_objects(name: &'static str, cells: &'static [Cell]) -> Recorded {
    Recorded { name, cells, by_objects: true }
}

const fn cell(percent: f64, fixed_window: f64) -> Cell {
    Cell { percent, fixed_window }
}

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
