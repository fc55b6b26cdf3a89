//! Seeded fault-injection simulation of whole Shoal clusters.
//!
//! ```text
//! seed -> options -> cluster + workload + nemesis -> history, snapshots -> invariants -> report
//! ```
//!
//! One seed is one process built with `--cfg madsim`: it boots real nodes on a simulated network, lets clients work
//! while faults bite, heals everything, and checks what was promised against what was seen. The same seed gives the
//! same run, byte for byte.
//!
//! - [`options`] draws every parameter from the seed; [`fault`] is the vocabulary of what can go wrong.
//! - `cluster` and `session` are the joints with the product: real nodes, the real client.
//! - `workload` and `nemesis` drive them; `run` strings the phases together.
//! - [`history`] and [`snapshot`] are the evidence, [`invariants`] judge it, [`report`] tells.
//! - [`watermark`] is apart from all that: a model of one rule, small enough to be tried out in full.
//! - `runner` (plain builds) compiles the simulation and runs one process per seed.
//!
//! The evidence and its judges are pure and compile in every build, so their own tests need no simulator. A client that
//! is given a value nobody wrote is a broken promise:
//!
//! ```
//! use shoal_proto::types::{Consistency, Tag, UnixMillis};
//! use shoal_sim::{
//!     content::{Content, KeyId, WriteId},
//!     evidence::Evidence,
//!     history::{Action, Answer, History, Operation, SimTime},
//!     invariants::nothing_invented,
//!     snapshot::Snapshot,
//! };
//! use std::time::Duration;
//!
//! let (key, level) = (KeyId(1), Consistency::Quorum);
//! let answer = Answer::Hit {
//!     content: Content::Of(WriteId { client: 2, sequence: 7, key }),
//!     tag: Tag::from_bits(1).unwrap(),
//!     expires_at: None,
//!     reached: level,
//! };
//! let (start, end) = (SimTime(0), SimTime(900));
//! let read = Operation { client: 1, sequence: 1, via: Some(0), key, action: Action::Read, level, start, end, answer };
//! let history = History {
//!     replicas: 3,
//!     epoch: UnixMillis(0),
//!     clock_bound: Duration::ZERO,
//!     call_timeout: Duration::from_millis(500),
//!     operations: vec![read],
//! };
//! let (at_heal, converged) = (Snapshot::default(), Snapshot::default());
//! let evidence = Evidence { history, incidents: Vec::new(), at_heal, converged };
//! assert_eq!(nothing_invented::check(&evidence).len(), 1);
//! ```

pub mod content;
pub mod evidence;
pub mod fault;
pub mod history;
pub mod invariants;
pub mod millis;
pub mod options;
pub mod report;
pub mod skew;
pub mod snapshot;
pub mod watermark;

#[cfg(madsim)]
mod cluster;
#[cfg(madsim)]
mod journal;
#[cfg(madsim)]
mod nemesis;
#[cfg(madsim)]
mod run;
#[cfg(madsim)]
mod session;
#[cfg(madsim)]
mod workload;
#[cfg(madsim)]
pub use run::run_seed;

#[cfg(not(madsim))]
pub mod runner;
