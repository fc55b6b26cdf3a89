//! The rule of the settled watermark as a small model: one key, three owners, every message delayed, lost or repeated.
//!
//! ```text
//! scenario + rule -> steps -> states -> search: is a promise broken anywhere?
//! ```
//!
//! - [`rule`] has the rule sentence by sentence; [`scenario`] says what may happen to the key.
//! - [`owner`] is one owner, [`state`] the whole world, [`step`] what can happen next, [`read`] what must never be seen.
//! - [`search`] tries everything, or wanders at random.
//!
//! It knows nothing of the product. What it shows is that the rule suffices, and that no sentence of it can be left out.

pub mod owner;
pub mod read;
pub mod rule;
pub mod scenario;
pub mod search;
pub mod state;
pub mod step;

#[cfg(test)]
mod tests;
