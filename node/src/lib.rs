//! The Shoal server.
//!
//! ```text
//! request:     frontend -> coordinator -> replica -> store | peer stream
//! membership:  gossip -> view -> ring record -> plan
//! ```
//!
//! A request enters by a door ([`frontend`]), is planned and counted by the [`coordinator`], and served by the copies of
//! its key ([`replica`]): this node's [`store`] and, over one long-lived stream each, its peers'. [`ring`] agrees on who
//! owns what, [`rebuild`] fills the memory of a restarted node, and [`assembly`] puts it all together.

pub mod admin;
pub mod assembly;
pub mod config;
pub mod coordinator;
pub mod frontend;
pub mod hot_keys;
mod info;
pub mod limits;
pub mod listen;
pub mod metrics;
mod mutant;
pub mod rebuild;
pub mod replica;
pub mod ring;
pub mod store;
#[cfg(test)]
mod test_support;

pub use assembly::{Node, NodeError, RunningNode};
pub use listen::Sockets;
