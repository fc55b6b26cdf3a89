//! The Rust client of Shoal.
//!
//! A [`Client`] keeps one pipeline to one node and moves to the next address when it breaks. Concurrent calls travel
//! together. Every call ends by its timeout.

mod call;
mod client;
mod config;
mod driver;
mod error;
mod link;
mod outcome;
mod status;

pub use client::{Client, Deleted, Found, Stored, Touched};
pub use config::{CallOptions, ClientConfig};
pub use error::ClientError;
pub use outcome::Outcome;
pub use shoal_proto::types::{
    Consistency, HotKey, Key, NodeId, NodeReport, NodeStats, Phase, Tag, UnixMillis, Value,
};
pub use status::{LocalStatus, NodeStatus, Status};
