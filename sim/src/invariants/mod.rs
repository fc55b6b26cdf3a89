//! What the product promises, one promise per file, each a pure function over the evidence of a run.

pub mod availability;
pub mod convergence;
pub mod deadlines;
pub mod durability;
pub mod expiry;
mod floor;
pub mod flush;
pub mod freshness;
pub mod monotonic;
pub mod no_resurrection;
pub mod nothing_invented;
#[cfg(test)]
pub(crate) mod testing;
mod violation;

pub use violation::Violation;

use crate::evidence::Evidence;

/// A promise: every way in which the run broke it.
pub type Invariant = fn(&Evidence) -> Vec<Violation>;

/// All of them, in the order in which their violations are told.
pub const ALL: [Invariant; 10] = [
    nothing_invented::check,
    freshness::check,
    monotonic::check,
    no_resurrection::check,
    flush::check,
    expiry::check,
    durability::check,
    convergence::check,
    deadlines::check,
    availability::check,
];

/// Every broken promise of a run.
#[must_use]
pub fn check_all(evidence: &Evidence) -> Vec<Violation> {
    ALL.iter().flat_map(|invariant| invariant(evidence)).collect()
}
