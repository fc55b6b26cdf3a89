//! The Rust client of Shoal.
//!
//! A [`Client`] keeps one pipeline to one node and moves to the next address when it breaks. Concurrent calls travel
//! together. Every call ends by its timeout.

mod call;
mod client;
mod config;
mod driver;
mod error;
mod explain;
mod link;
mod outcome;
mod ring;
mod status;

pub use client::{Client, Deleted, Found, Stored, Touched};
pub use config::{CallOptions, ClientConfig};
pub use error::ClientError;
pub use explain::{Explanation, Held, OwnerCopy};
pub use outcome::Outcome;
pub use ring::{Ring, RingNode};
pub use shoal_proto::types::{
    Consistency, CopyState, Key, NodeId, OwnerTable, Phase, Tag, Trust, UnixMillis, Value,
};
pub use status::{LocalStatus, NodeStatus, Status};
