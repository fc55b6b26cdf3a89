//! Whole nodes on real sockets.
#![cfg(not(madsim))]

mod cluster;
mod doors;
