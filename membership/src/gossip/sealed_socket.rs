use super::{
    counters::GossipCounters,
    log_gate::LogGate,
    runtime::DatagramSocket,
    seal::{MAX_DATAGRAM_BYTES, OpenError, Sealer},
};
use crate::Secrets;
use rand::rngs::StdRng;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::{debug, warn};

/// How often at most strangers and failing sends are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// A socket that fails this often in a row is broken; single failures come and go with the network.
const MAX_FAILURES_IN_A_ROW: u32 = 16;

/// A sealer under the secrets as they are now.
pub(super) struct Sealing {
    cluster: String,
    secrets: Secrets,
    used: Arc<[String]>,
    sealer: Sealer,
}

impl Sealing {
    pub(super) fn new(cluster: &str, secrets: Secrets) -> Self {
        let used = secrets.current();
        Self { cluster: cluster.to_owned(), sealer: sealer(cluster, &used), used, secrets }
    }

    fn sealer(&mut self) -> &Sealer {
        let current = self.secrets.current();
        if !Arc::ptr_eq(&current, &self.used) {
            self.sealer = sealer(&self.cluster, &current);
            self.used = current;
        }
        &self.sealer
    }
}

fn sealer(cluster: &str, secrets: &[String]) -> Sealer {
    Sealer::new(cluster, &secrets.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A UDP socket that speaks only sealed datagrams: nothing comes out of it that was not opened.
pub(super) struct SealedSocket {
    socket: DatagramSocket,
    sealing: Sealing,
    /// The address that our seals vouch for.
    advertise: SocketAddr,
    nonces: StdRng,
    counters: Arc<GossipCounters>,
    received: Box<[u8]>,
    refusals: LogGate,
    send_failures: LogGate,
}

impl SealedSocket {
    pub(super) fn new(
        socket: DatagramSocket,
        sealing: Sealing,
        advertise: SocketAddr,
        nonces: StdRng,
        counters: Arc<GossipCounters>,
    ) -> Self {
        Self {
            socket,
            sealing,
            advertise,
            nonces,
            counters,
            // One byte more than allowed, so that longer datagrams are noticed rather than cut.
            received: vec![0; MAX_DATAGRAM_BYTES + 1].into(),
            refusals: LogGate::new(LOG_INTERVAL),
            send_failures: LogGate::new(LOG_INTERVAL),
        }
    }

    /// Seals and sends one message. Like UDP itself it gives no sign when the message is lost.
    pub(super) async fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let datagram = match self.sealing.sealer().seal(&mut self.nonces, self.advertise, payload) {
            Ok(datagram) => datagram,
            Err(error) => {
                self.counters.count_oversized();
                return self.log_send_failure(to, &error);
            }
        };
        match self.socket.send_to(&datagram, to).await {
            Ok(()) => self.counters.count_sealed(),
            Err(error) => {
                self.counters.count_send_failed();
                self.log_send_failure(to, &error);
            }
        }
    }

    /// The next message that opens, with its authenticated sender. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(super) async fn receive(&mut self) -> io::Result<(SocketAddr, Vec<u8>)> {
        let mut failures = 0;
        loop {
            let (len, from) = match self.socket.recv_from(&mut self.received).await {
                Ok(received) => received,
                Err(error) => {
                    failures += 1;
                    if failures == MAX_FAILURES_IN_A_ROW {
                        return Err(error);
                    }
                    debug!(%error, "receiving gossip failed");
                    continue;
                }
            };
            failures = 0;
            match self.sealing.sealer().open(&self.received[..len]) {
                Ok(opened) => {
                    self.counters.count_opened();
                    return Ok(opened);
                }
                Err(error) => self.refuse(from, error),
            }
        }
    }

    /// Notes that a message opened but made no sense.
    pub(super) fn undecodable(&mut self, sender: SocketAddr, error: &dyn std::fmt::Display) {
        self.counters.count_undecodable();
        if let Some(held_back) = self.refusals.pass(now()) {
            warn!(%sender, %error, held_back, "gossip message not understood");
        }
    }

    fn refuse(&mut self, from: SocketAddr, why: OpenError) {
        self.counters.count_refused(why);
        if let Some(held_back) = self.refusals.pass(now()) {
            warn!(%from, %why, held_back, "gossip datagram refused");
        }
    }

    fn log_send_failure(&mut self, to: SocketAddr, error: &dyn std::fmt::Display) {
        if let Some(held_back) = self.send_failures.pass(now()) {
            warn!(%to, %error, held_back, "gossip datagram not sent");
        }
    }
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, gossip::runtime};

    #[tokio::test]
    async fn a_message_too_large_for_a_datagram_is_dropped_and_counted() {
        let interval = Duration::from_millis(100);
        let (mut host, socket, address) =
            runtime::bind("127.0.0.1:0".parse().unwrap(), interval).await.unwrap();
        let counters = Arc::<GossipCounters>::default();
        let sealing = Sealing::new("c", Secrets::new(["s"]));
        let mut socket =
            SealedSocket::new(socket, sealing, address, Seed(1).stream("nonces"), counters.clone());
        host.launch(std::future::ready(())).await;
        socket.send(address, &vec![0; MAX_DATAGRAM_BYTES]).await;
        socket.send(address, b"small").await;
        assert_eq!(socket.receive().await.unwrap(), (address, b"small".to_vec()));
        let counts = counters.snapshot();
        assert_eq!((counts.oversized, counts.sealed, counts.opened), (1, 1, 1));
        host.stop().await;
    }
}
