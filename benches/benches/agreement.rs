//! What it costs that owners agree: how many hits for the room that ghosts take, and how much time of a write for the sums
//! that owners compare.
//!
//! The traces are read from the folder that `SHOAL_TRACES` names; without them there are only times.

use flate2::read::GzDecoder;
use shoal_node::store::{EvictionPolicy, Store, StoreConfig};
use shoal_proto::types::{Cause, Key, Stamped, Tag, UnixMillis, Value, Vnode, WriterId};
use std::{fs::File, io::Read as _, path::Path, time::Duration};

const VNODES: u16 = 1_024;
const START: UnixMillis = UnixMillis(1_700_000_000_000);
/// Of keys of 8 bytes and values of so many, ghosts take more than of larger ones.
const VALUE: [u8; 100] = [7; 100];
/// By how much the watermark lags.
const LAG: Duration = Duration::from_secs(30);
/// How often it is raised.
const ROUND_MILLIS: u64 = 10_000;

fn main() {
    if let Some(folder) = std::env::var_os("SHOAL_TRACES") {
        hits(folder.as_ref());
    } else {
        println!("no traces, no table of hits: SHOAL_TRACES names the folder they are in");
    }
    times();
}

fn hits(folder: &Path) {
    println!(
        "\nObject hits of W-TinyLFU, percent, with values of {} bytes. While the watermark",
        VALUE.len()
    );
    println!("lags by 30 s there are a quarter as many requests as the cache has values.\n");
    println!("| trace | % | no ghosts | watermark 30 s behind | watermark that never rises |");
    println!("|---|---|---|---|---|");
    let traces: [(&str, &[f64]); 4] = [
        ("cache2k_web07", &[1.0, 5.0, 10.0]),
        ("cache2k_web12", &[1.0, 5.0, 10.0]),
        ("cache2k_orm_busy", &[0.1, 1.0, 10.0]),
        ("arc_oltp", &[1.0, 5.0, 10.0]),
    ];
    for (name, percents) in traces {
        let (requests, keys) = match read(&folder.join(format!("{name}.u32.gz"))) {
            Ok(trace) => trace,
            Err(error) => {
                println!("{name} cannot be read: {error}");
                continue;
            }
        };
        for percent in percents {
            let objects = ((keys as f64 * percent / 100.0) as u64).max(1);
            let cells = [Watermark::None, Watermark::Lags, Watermark::Stands]
                .map(|watermark| run(&requests, objects, watermark));
            let cells = cells.map(|(hits, ghosts)| format!("{hits:.2} ({ghosts:.1} % ghosts)"));
            println!("| {name} | {percent} | {} |", cells.join(" | "));
        }
    }
}

/// Keys by the request, and how many there are.
fn read(path: &Path) -> std::io::Result<(Vec<u32>, u64)> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
    let keys: Vec<_> = bytes.chunks_exact(4).map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]])).collect();
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let count = distinct.len() as u64;
    Ok((keys, count))
}

#[derive(Clone, Copy, PartialEq)]
enum Watermark {
    /// Nothing was ever to be agreed on.
    None,
    Lags,
    /// An owner is away.
    Stands,
}

/// Percent of the requests that hit, and of the memory that ghosts take in the end.
fn run(requests: &[u32], objects: u64, watermark: Watermark) -> (f64, f64) {
    // What the store takes beside its entries leaves little of a small limit; markers have their part of the rest alone.
    let room = objects * 150;
    let store = store(room + 600_000, 0.05 * room as f64 / (room + 600_000) as f64);
    let millis = LAG.as_millis() as u64 * 4;
    let mut hits = 0;
    let mut settled = 0;
    if watermark != Watermark::None {
        (0..VNODES).for_each(|vnode| store.seal(Vnode(vnode), tag(START.0)));
    }
    for (number, key) in requests.iter().enumerate() {
        let now = UnixMillis(START.0 + number as u64 * millis / objects);
        let round = now.0 / ROUND_MILLIS;
        if round > settled && watermark == Watermark::Lags {
            settled = round;
            let bound = tag(now.0 - LAG.as_millis() as u64);
            for vnode in (0..VNODES).map(Vnode) {
                store.seal(vnode, bound);
                store.confirm(vnode, bound);
                store.settle(vnode, bound);
            }
        }
        if number.is_multiple_of(64) {
            while store.expire(now, 1_000) == 1_000 {}
        }
        let (vnode, key) = place((*key).into(), false);
        if store.get(vnode, &key, now).is_some() {
            hits += 1;
        } else {
            store.put(vnode, &key, stamped(now.0, number as u64), Cause::User, now);
        }
    }
    let stats = store.stats();
    let percent = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
    (percent(hits, requests.len() as u64), percent(stats.ghost_bytes, stats.max_bytes))
}

const KEYS: u64 = 500_000;
const PUTS: u64 = 1_000_000;
const ROUNDS: usize = 7;

fn times() {
    println!(
        "\nNanoseconds of processor time of a put, median of {ROUNDS} rounds by turns (least to most).\n"
    );
    println!("| put | nothing counted | counted | and leaving ghosts |\n|---|---|---|---|");
    // Vnodes that the store was not made for are held like others, and not counted.
    let kinds = [(false, false), (true, false), (true, true)];
    for (name, max_bytes, fresh) in
        [("in the place of another", 256 << 20, false), ("new, evicting", 48 << 20, true)]
    {
        let stores = kinds.map(|(counted, sealed)| {
            let store = store(max_bytes, 0.05);
            (0..VNODES).filter(|_| sealed).for_each(|vnode| store.seal(Vnode(vnode), tag(1)));
            (0..KEYS).for_each(|key| write(&store, key, key, !counted));
            store
        });
        let mut rounds = [const { Vec::new() }; 3];
        for round in 1..=ROUNDS as u64 {
            for (((counted, _), store), times) in kinds.iter().zip(&stores).zip(&mut rounds) {
                let began = processor_time();
                for n in 0..PUTS {
                    let number = round * PUTS + n;
                    let key = if fresh { number } else { number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS };
                    write(store, key, number, !counted);
                }
                times.push((processor_time() - began) as f64 / PUTS as f64);
            }
        }
        let cells = rounds.map(|mut times| {
            times.sort_by(f64::total_cmp);
            format!("{:.0} ({:.0} to {:.0})", times[ROUNDS / 2], times[0], times[ROUNDS - 1])
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}

fn write(store: &Store, key: u64, number: u64, uncounted: bool) {
    let (vnode, key) = place(key, uncounted);
    let now = UnixMillis(START.0 + number / 1_000);
    store.put(vnode, &key, stamped(now.0, number), Cause::User, now);
}

fn store(max_bytes: u64, marker_share: f64) -> Store {
    Store::new(StoreConfig {
        max_bytes,
        policy: EvictionPolicy::WTinyLfu,
        vnodes: VNODES,
        seed: 7,
        marker_life: Duration::from_secs(3_600),
        marker_share,
    })
}

fn place(number: u64, uncounted: bool) -> (Vnode, Key) {
    let vnode = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as u16;
    let key = Key::new(number.to_le_bytes().to_vec()).expect("short");
    (Vnode(if uncounted { vnode + VNODES } else { vnode }), key)
}

fn tag(millis: u64) -> Tag {
    stamped(millis, 0).version().tag
}

/// A value with the tag of a time; of several of one millisecond, the number tells the order.
fn stamped(millis: u64, number: u64) -> Stamped {
    let writer = WriterId::member(1).expect("in range");
    let ticks = Tag::first_tick(UnixMillis(millis)) + number % 1_000;
    let tag = Tag::from_ticks(ticks, writer).expect("in range");
    Stamped::live(tag, 0, None, Value::new(VALUE.to_vec()).expect("short"))
}

/// What this thread has had of processors, in nanoseconds; 0 where the system does not tell.
fn processor_time() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
