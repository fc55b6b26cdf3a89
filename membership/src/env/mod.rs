//! The injected effects: what differs between two nodes that run the same code.
//! Everything else comes from tokio's names, which the simulator replaces as a whole.

mod clock;
mod rng;
mod state_file;

pub use clock::{ManualClock, SystemClock, WallClock};
pub use rng::Seed;
pub use state_file::{DiskState, MemoryState, StateError, StateFile};

use rand::rngs::StdRng;
use std::sync::Arc;

/// One node's clock, randomness and state file.
#[derive(Clone)]
pub struct Env {
    /// Wall time, used for versions and expiry alone; timeouts use tokio's clock.
    pub wall: Arc<dyn WallClock>,
    /// Where all of the node's random streams start.
    pub seed: Seed,
    /// What survives a restart.
    pub state: Arc<dyn StateFile>,
}

impl Env {
    /// A random stream of its own for `purpose`: drawing from one does not shift another.
    #[must_use]
    pub fn rng(&self, purpose: &str) -> StdRng {
        self.seed.stream(purpose)
    }
}
