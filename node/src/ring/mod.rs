//! Agreement on the ring record: `ledger` votes and remembers, `agent` proposes and catches up.

mod agent;
mod ledger;

pub use agent::{RingAgent, RingSettings};
pub use ledger::{LearnError, RingLedger};
