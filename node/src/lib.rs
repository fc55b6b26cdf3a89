//! The Shoal server.

pub mod admin;
pub mod coordinator;
pub mod frontend;
pub mod limits;
