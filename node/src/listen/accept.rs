//! One way into the node for all doors: a connection is accepted, shakes hands where the door has TLS, and is handed on.

use super::handshakes::Handshakes;
use crate::{limits, metrics::SecuredDoor, tls::Stream};
use std::net::SocketAddr;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// A connection that its door may serve, and whose it is.
pub(super) type Accepted = (Stream<TcpStream>, SocketAddr);

/// Accepts connections until `closing` is cancelled or what comes of it is dropped; the listener is gone when the task has
/// ended. With `handshakes` the door has TLS.
pub(super) fn accept(
    door: SecuredDoor,
    listener: TcpListener,
    handshakes: Option<Handshakes>,
    closing: CancellationToken,
) -> (JoinHandle<()>, ReceiverStream<Accepted>) {
    let (accepted, incoming) = mpsc::channel(limits::ACCEPTED_AHEAD);
    let accepting = tokio::spawn(run(door, listener, handshakes, accepted, closing));
    (accepting, ReceiverStream::new(incoming))
}

async fn run(
    door: SecuredDoor,
    listener: TcpListener,
    mut handshakes: Option<Handshakes>,
    accepted: mpsc::Sender<Accepted>,
    closing: CancellationToken,
) {
    loop {
        let connection = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = accepted.closed() => return,
            connection = listener.accept() => connection,
        };
        let (stream, peer) = match connection {
            Ok(connection) => connection,
            Err(error) => {
                // Out of file descriptors, most likely: leave the clients in the backlog for a moment.
                tracing::warn!(door = door.name(), %error, "cannot accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        match &mut handshakes {
            Some(handshakes) => handshakes.begin(stream, peer, accepted.clone()),
            // An error says that the door is closed.
            None => drop(accepted.send((Stream::Plain(stream), peer)).await),
        }
    }
}
