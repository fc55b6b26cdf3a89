//! Addresses for nodes of this process.

use shoal_node::config::ListenAddresses;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

/// Below the ports systems give to outgoing connections: a node that restarts must find its ports still free.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;
/// Each process begins elsewhere.
const PER_PROCESS: u32 = 500;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Four addresses nobody listens on and nobody else in this process is given.
pub(crate) fn free_addresses() -> ListenAddresses {
    ListenAddresses { resp: free(), http: free(), grpc: free(), gossip: free() }
}

fn free() -> SocketAddr {
    let range = u32::from(LAST - FIRST);
    let mine = process::id() * PER_PROCESS % range;
    (0..range)
        .map(|_| {
            let port = FIRST + ((mine + u32::from(NEXT.fetch_add(1, Relaxed))) % range) as u16;
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        })
        .find(|address| is_free(*address))
        .expect("no free port")
}

/// Whether nobody listens on any of them.
pub(crate) fn are_free(addresses: &ListenAddresses) -> bool {
    let ListenAddresses { resp, http, grpc, gossip } = *addresses;
    [resp, http, grpc, gossip].into_iter().all(is_free)
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}
