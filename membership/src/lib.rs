//! Who is alive and who owns a key.
//!
//! ```text
//! gossip -> view -> (ring record) -> the coordinator's plan
//! ```
//!
//! - [`mod@env`] carries the effects that differ per node: clock, randomness, the state file.
//! - [`ring`] is pure: slots, the owner table and its editor, Paxos for the ring record.
//! - [`view`] publishes immutable [`ClusterView`]s: the record, who is live, whose generation is what.
//! - [`gossip`] (feature `gossip`) feeds the view from chitchat over a sealed transport.

pub mod clock;
pub mod config;
pub mod env;
#[cfg(feature = "gossip")]
pub mod gossip;
pub mod node_info;
pub mod ring;
pub mod view;

pub use clock::HybridClock;
pub use env::{Env, Seed, StateError, StateFile, WallClock};
pub use node_info::{Addresses, NodeInfo};
pub use view::{Cluster, ClusterView};
