//! What the measurements of the store have in common: what is put in, how time and memory are read, and where they were.
//!
//! The measurements themselves stand in `benches/`, one file or folder each; `docs/BENCHMARKING.md` says how to run them.

pub mod load;
pub mod machine;
pub mod usage;

/// Whether a run is to be short: `--quick` was given, or it is no run of `cargo bench` at all.
#[must_use]
pub fn is_quick() -> bool {
    let words: Vec<String> = std::env::args().collect();
    words.iter().any(|word| word == "--quick") || !words.iter().any(|word| word == "--bench")
}

/// Says whether a goal is met, in a line that begins with `PASS` or `MISS`, and returns it.
pub fn goal(is_met: bool, what: &str) -> bool {
    println!("{} {what}", if is_met { "PASS" } else { "MISS" });
    is_met
}
