//! TLS handshakes of one door: each in a task of its own, and none for long.

use super::accept::Accepted;
use crate::{
    limits,
    metrics::{HandshakeFailure, Metrics, SecuredDoor},
    tls::{self, Stream, Tls},
};
use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Handshakes under way. Dropped, it ends them.
pub(super) struct Handshakes {
    host: Host,
    /// The longest under way first. Who drops its end has finished; who finds the other one dropped gives up.
    under_way: VecDeque<oneshot::Sender<Infallible>>,
    /// [`limits::HANDSHAKES`], or less in a test.
    most: usize,
}

/// What every handshake needs.
#[derive(Clone)]
struct Host {
    door: SecuredDoor,
    tls: Arc<Tls>,
    metrics: Arc<Metrics>,
    /// [`limits::HANDSHAKE_PATIENCE`], or less in a test.
    patience: Duration,
}

impl Handshakes {
    pub(super) fn new(door: SecuredDoor, tls: Arc<Tls>, metrics: Arc<Metrics>) -> Self {
        let host = Host { door, tls, metrics, patience: limits::HANDSHAKE_PATIENCE };
        Self { host, under_way: VecDeque::new(), most: limits::HANDSHAKES }
    }

    /// Shakes hands with one more client and hands its connection on once that has succeeded. Where too many are under
    /// way, the one that has been for longest ends: an honest client is done in a moment.
    pub(super) fn begin(&mut self, stream: TcpStream, peer: SocketAddr, accepted: mpsc::Sender<Accepted>) {
        if self.under_way.len() >= self.most {
            self.under_way.retain(|handshake| !handshake.is_closed());
        }
        if self.under_way.len() >= self.most {
            self.under_way.pop_front();
        }
        let (under_way, given_up) = oneshot::channel();
        self.under_way.push_back(under_way);
        tokio::spawn(self.host.clone().shake(stream, peer, accepted, given_up));
    }
}

impl Host {
    async fn shake(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        accepted: mpsc::Sender<Accepted>,
        given_up: oneshot::Receiver<Infallible>,
    ) {
        let shaken = tokio::select! {
            biased;
            _ = given_up => Err(HandshakeFailure::Crowded),
            shaken = self.shake_in_time(stream) => shaken,
        };
        match shaken {
            Ok(stream) => {
                self.metrics.handshakes.inc(self.door);
                // An error says that the door is closed.
                drop(accepted.send((stream, peer)).await);
            }
            Err(why) => {
                self.metrics.handshakes_failed.inc((self.door, why));
                tracing::debug!(door = self.door.name(), %peer, reason = why.name(), "TLS handshake failed");
            }
        }
    }

    async fn shake_in_time(&self, stream: TcpStream) -> Result<Stream<TcpStream>, HandshakeFailure> {
        match timeout(self.patience, self.tls.accept(self.door, stream)).await {
            Ok(shaken) => shaken.map_err(|error| tls::refusal(&error)),
            Err(_) => Err(HandshakeFailure::Timeout),
        }
    }
}
