use super::node_start::Sockets;
use anyhow::Context as _;
use shoal_node::config::ListenAddresses;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
};
use tokio::net::TcpListener;

/// Binds a node's sockets.
///
/// # Errors
/// Names the door and the address that cannot be had.
pub(crate) async fn bind(addresses: &ListenAddresses) -> anyhow::Result<Sockets> {
    Ok(Sockets {
        resp: listen("RESP", addresses.resp).await?,
        http: listen("HTTP", addresses.http).await?,
        grpc: listen("gRPC", addresses.grpc).await?,
        gossip: probe("gossip", addresses.gossip)?,
    })
}

async fn listen(door: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(named).with_context(|| cannot_listen(door, address))
}

/// Gossip binds its own socket; to try beforehand gives an error that names the door.
fn probe(door: &str, address: SocketAddr) -> anyhow::Result<SocketAddr> {
    UdpSocket::bind(address).map_err(named).with_context(|| cannot_listen(door, address))?;
    Ok(address)
}

fn cannot_listen(door: &str, address: SocketAddr) -> String {
    format!("cannot listen on {address} for {door}")
}

fn named(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!("the port is already in use"),
        io::ErrorKind::AddrNotAvailable => anyhow::anyhow!("the address does not belong to this machine"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let holder = TcpListener::bind(free).await.unwrap();
        let taken = holder.local_addr().unwrap();
        let addresses = ListenAddresses { resp: free, http: free, grpc: taken, gossip: free };
        let error = format!("{:#}", bind(&addresses).await.map(drop).unwrap_err());
        assert_eq!(error, format!("cannot listen on {taken} for gRPC: the port is already in use"));
        drop(holder);

        let holder = UdpSocket::bind(free).unwrap();
        let taken = holder.local_addr().unwrap();
        let addresses = ListenAddresses { resp: free, http: free, grpc: free, gossip: taken };
        let error = format!("{:#}", bind(&addresses).await.map(drop).unwrap_err());
        assert_eq!(error, format!("cannot listen on {taken} for gossip: the port is already in use"));
    }
}
