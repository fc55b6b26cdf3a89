//! Who is alive and who owns a key.
//!
//! ```text
//! gossip -> view -> (ring record) -> the coordinator's plan
//! ```
//!
//! - [`mod@env`] carries the effects that differ per node: clock, randomness, the state file.
//! - [`clock`] makes tags.
//! - [`Secrets`] are what nodes prove to each other, and how they are replaced.
//! - [`ring`] is pure: slots, the owner table and its editor, Paxos for the ring record.
//! - [`view`] publishes immutable [`ClusterView`]s: the record, who is live, whose generation is what.
//! - [`gossip`] (feature `gossip`) feeds the view from chitchat over a sealed transport.
//!
//! A key belongs to a slot, a run of slots is a vnode, and the table that a cluster was founded with names the owners of
//! each vnode in order of preference:
//!
//! ```
//! use shoal_membership::ring::{slot, table, vnode_of};
//! use shoal_proto::types::{Member, NodeId, WriterId};
//!
//! let member = |number: u16| Member {
//!     node_id: NodeId::new(&format!("node-{number}")).unwrap(),
//!     generation_floor: 0,
//!     writer_id: WriterId::member(number).unwrap(),
//!     zone: ["a", "b", "c"][usize::from(number) % 3].into(),
//!     capacity: 100,
//!     peer_address: String::new(),
//! };
//! let members: Vec<Member> = (1..=5).map(member).collect();
//! let table = table::found(&members, 3, 1024)?;
//!
//! // Redis Cluster's function: only what is in braces counts.
//! assert_eq!(slot(b"{user:7}:name"), slot(b"user:7"));
//! let owners = table.row(vnode_of(b"{user:7}:name", table.vnodes()));
//! assert_eq!(owners.len(), 3);
//!
//! // One of them in each zone.
//! let mut zones: Vec<&str> = owners.iter().map(|owner| members[usize::from(*owner)].zone.as_str()).collect();
//! zones.sort();
//! assert_eq!(zones, ["a", "b", "c"]);
//! # Ok::<(), table::TableError>(())
//! ```

pub mod clock;
pub mod config;
pub mod env;
#[cfg(feature = "gossip")]
pub mod gossip;
pub mod node_info;
pub mod ring;
mod secrets;
pub mod view;

pub use clock::HybridClock;
pub use env::{Env, Seed, StateError, StateFile, WallClock};
pub use node_info::{Addresses, NodeInfo};
pub use secrets::Secrets;
pub use view::{Cluster, ClusterView};
