//! The Rust client of Shoal.
//!
//! A [`Client`] is given the address of any node. It follows the cluster's topology, sends each call straight to an
//! owner of its key, and to another node when that one fails. Concurrent calls to a node travel together. Every call
//! ends by its timeout.
//!
//! ```text
//!             call ──> course: attempts, one after another or side by side
//!                        |  router: which node      retry: is a repeat the same call?
//!                        |  breaker: is it worth it  budget: not too many
//!                        v
//!   topology ──> routes ──> node ──> driver: a stream, many calls in one message ══> any node
//!      ^                                                                               |
//!      └── follow: told when the ring or who lives changes <═══════════════════════════╡
//!   heard: the cluster's time, from which tags are made <══════════════════════════════╛
//! ```
//!
//! ```no_run
//! use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Consistency, Key, Value};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let seeds = ["127.0.0.1:7381".to_owned()];
//! let client = Client::connect(&seeds, ClientConfig::default()).await?;
//! let (key, value, options) = (Key::new("greeting")?, Value::new("hello")?, CallOptions::default());
//!
//! let stored = client.set(key.clone(), value, Some(Duration::from_secs(60)), &options).await?;
//! println!("{} of {} owners had answered", stored.outcome.answered, stored.outcome.asked);
//!
//! let careful = client.with_consistency(Consistency::Quorum);
//! match careful.get(key.clone(), &options).await {
//!     Ok(found) => println!("{:?}", found.value),
//!     Err(ClientError::Unavailable { message, .. }) => println!("not now: {message}"),
//!     Err(other) => return Err(other.into()),
//! }
//! println!("{:?}", client.stats());
//! # Ok(())
//! # }
//! ```
//!
//! What decides is pure (`router`, `retry`, `breaker`, `budget`, `clock`, `topology`, `load::refresh`): time and
//! randomness are its arguments.

mod answers;
mod attempt;
mod batch;
mod breaker;
mod budget;
mod call;
mod client;
mod clock;
mod cluster;
mod config;
mod contact;
mod course;
mod driver;
mod error;
mod explain;
mod follow;
mod heard;
mod keyspace;
mod link;
mod load;
mod mutant;
mod node;
mod outcome;
mod retry;
mod router;
mod seed;
mod stats;
mod status;
mod tls;
mod token;
mod topology;

pub use answers::{Deleted, Found, Stored, Touched};
pub use client::Client;
pub use config::{CallOptions, ClientConfig, Routing};
pub use error::ClientError;
pub use explain::{Explanation, Held, OwnerCopy};
pub use keyspace::{Flushed, Scanned};
pub use load::{LoadError, Loaded, Source};
pub use outcome::Outcome;
pub use shoal_proto::types::{
    Consistency, CopyState, HotKey, Key, NodeId, NodeReport, NodeStats, OwnerTable, Phase, Tag, Trust,
    UnixMillis, Value,
};
pub use stats::Stats;
pub use status::{LocalStatus, NodeStatus, Status};
pub use tls::TlsConfig;
pub use token::{InvalidToken, Token};
pub use topology::{Topologies, Topology, TopologyNode};

/// Its Rust is tested with this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
