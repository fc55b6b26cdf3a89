//! Builds the simulation and runs it, one process per seed.

mod batch;
mod build;
mod process;
mod summary;

pub use batch::{Batch, Mismatch, Plan};
pub use build::{Simulation, build};
pub use process::{Failure, Seed};

/// The deliberate bugs that the simulation must catch, by the names the product knows them by.
pub const MUTANTS: [&str; 8] = [
    "skip_write_back",
    "vote_when_empty",
    "ignore_stamp_generations",
    "hint_new_tag",
    "repair_extends_expiry",
    "retry_new_tag",
    "ignore_flush",
    "flush_by_own_clock",
];

/// Within how many seeds each must be caught.
pub const MUTANT_SEEDS: u64 = 200;
