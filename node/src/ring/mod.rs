//! Agreement on the ring record: `ledger` votes and remembers, `agent` founds the cluster and catches up, `editor`
//! changes what was agreed; both by an `election`.

mod agent;
mod editor;
mod election;
mod ledger;

pub use agent::{RingAgent, RingSettings};
pub use editor::{EditError, RingEditor};
pub use ledger::{LearnError, RingLedger};
