//! The wire format and the vocabulary shared by all Shoal crates. No I/O, no policy.
//!
//! ```text
//! bytes <-> wire (generated) <-> convert <-> types
//! ```
//!
//! - [`types`] holds the domain types; each keeps its invariants in its constructors.
//! - [`wire`] holds the code generated from the `.proto` files.
//! - [`convert`] is the only mapping between the two.
//!
//! What everything else rests on is the order of versions: replicas keep the larger of two states of a key, so that it
//! does not matter in which order they hear of them.
//!
//! ```
//! use shoal_proto::types::{Stamped, Tag, UnixMillis, Value, WriterId};
//!
//! let writer = WriterId::member(1).unwrap();
//! let tag = |millis| Tag::from_ticks(Tag::first_tick(UnixMillis(millis)), writer).unwrap();
//!
//! let old = Stamped::live(tag(1_000), 0, None, Value::new("old")?);
//! let new = Stamped::live(tag(2_000), 0, Some(UnixMillis(9_000)), Value::new("new")?);
//! let deleted = Stamped::tombstone(tag(3_000));
//! assert!(old < new && new < deleted);
//!
//! // An expiry is part of the version. Past it, the value is its marker: larger than the value, with the same tag.
//! let expired = new.clone().as_of(UnixMillis(9_000));
//! assert!(expired > new && expired < deleted);
//! assert_eq!((expired.version().tag, expired.value()), (tag(2_000), None));
//! # Ok::<(), shoal_proto::types::ValueTooLong>(())
//! ```

// The simulator encodes nothing.
#[cfg(not(madsim))]
pub mod codec;
pub mod convert;
pub mod types;

/// Who the reasons in the details of gRPC errors belong to. They are the names of
/// [`failure::Kind`](wire::kv::v1::failure::Kind); the detail `maybe` is `true` when a write may still take effect.
pub const ERROR_DOMAIN: &str = "shoal";

/// Generated messages, clients and servers, one module per `.proto` package.
#[allow(missing_docs, clippy::all, clippy::allow_attributes, unreachable_pub)]
pub mod wire {
    /// The descriptors of all `.proto` files, as a serialized `FileDescriptorSet`: what reflection serves.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shoal_descriptor.bin"));

    pub mod ring {
        pub mod v1 {
            tonic::include_proto!("shoal.ring.v1");
        }
    }
    pub mod replica {
        pub mod v1 {
            tonic::include_proto!("shoal.replica.v1");
        }
    }
    pub mod kv {
        pub mod v1 {
            tonic::include_proto!("shoal.kv.v1");
        }
    }
    pub mod admin {
        pub mod v1 {
            tonic::include_proto!("shoal.admin.v1");
        }
    }
}
