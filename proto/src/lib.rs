//! The wire format and the vocabulary shared by all Shoal crates. No I/O, no policy.
//!
//! - [`types`] holds the domain types; each keeps its invariants in its constructors.
//! - [`wire`] holds the code generated from the `.proto` files.
//! - [`convert`] is the only mapping between the two.

pub mod convert;
pub mod types;

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
