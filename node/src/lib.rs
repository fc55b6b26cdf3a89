//! The Shoal server.

pub mod admin;
pub mod config;
pub mod coordinator;
pub mod frontend;
pub mod limits;
pub mod store;
