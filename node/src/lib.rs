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
//!
//! A node is a library call: it takes its configuration, the effects that differ per node, and bound sockets. This one
//! founds a cluster of itself, keeps nothing on disk, and listens wherever there is room:
//!
//! ```
//! use shoal_membership::{Addresses, Env, Secrets, Seed, config::GossipConfig, env::{MemoryState, SystemClock}};
//! use shoal_node::{Node, Sockets, config::{ClientGrants, ListenAddresses, NodeConfig, OnLoss}, coordinator::{Expiry, RequestOptions}};
//! use shoal_proto::types::{Consistency, Key, NodeId, Value};
//! use std::{sync::Arc, time::Duration};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let anywhere = "127.0.0.1:0".parse()?;
//! let gossip = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
//! let config = NodeConfig {
//!     cluster: "example".into(),
//!     secrets: Secrets::new(["sixteen bytes or more"]),
//!     tls: None,
//!     credentials: Default::default(),
//!     node_id: NodeId::new("alone")?,
//!     seeds: vec![gossip.to_string()],
//!     zone: "default".into(),
//!     capacity: 100,
//!     listen: ListenAddresses { resp: anywhere, http: anywhere, grpc: anywhere, gossip },
//!     advertise: Addresses { gossip: gossip.to_string(), ..Addresses::default() },
//!     gossip: GossipConfig::local(),
//!     replicas: 1,
//!     vnodes: 64,
//!     read_consistency: Consistency::One,
//!     write_consistency: Consistency::One,
//!     request_timeout: Duration::from_secs(1),
//!     read_patience: Duration::from_millis(50),
//!     max_memory: 64 << 20,
//!     eviction_policy: Default::default(),
//!     rebuild_patience: Duration::from_secs(60),
//!     on_loss: OnLoss::Reset,
//!     clients: ClientGrants::default(),
//!     told: Vec::new(),
//! };
//! let env = Env { wall: Arc::new(SystemClock), seed: Seed(1), state: Arc::new(MemoryState::default()) };
//! let sockets = Sockets::bind(&config.listen).await?;
//! let node = Node::start(config, env, sockets).await?;
//!
//! while !node.info().is_ready() {
//!     tokio::time::sleep(Duration::from_millis(10)).await;
//! }
//! let coordinator = node.coordinator();
//! let (key, options) = (Key::new("greeting")?, RequestOptions::default());
//! coordinator.set(key.clone(), Value::new("hello")?, Expiry::Never, &options).await?;
//! let found = coordinator.get(key, &options).await?;
//! assert_eq!(found.value, Some(Value::new("hello")?));
//! node.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod admin;
pub mod assembly;
pub mod auth;
pub mod config;
pub mod coordinator;
pub mod frontend;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hot_keys;
mod info;
pub mod limits;
pub mod listen;
pub mod live;
pub mod metrics;
mod mutant;
pub mod rebuild;
pub mod replica;
pub mod ring;
pub mod store;
#[cfg(any(test, fuzzing))]
mod test_support;
pub mod tls;

pub use assembly::{Node, NodeError, RunningNode};
pub use listen::Sockets;

/// Its Rust is tested with this crate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/CLIENTS.md")]
struct Clients;
