//! Where chitchat's tasks live and how datagrams reach them: the only file of the crate that knows the simulator.
//!
//! In a plain build there is nothing to it: chitchat runs on the ambient runtime and its socket is a UDP socket.
//! Chitchat is compiled against the real tokio, so under simulation it gets a paused, single-threaded real runtime of
//! its own that is advanced in step with simulated time, and queues lead from it to a simulated UDP socket.

pub(super) use imp::{DatagramSocket, Host, bind, resolve};

#[cfg(not(madsim))]
mod imp {
    use std::{io, net::SocketAddr, time::Duration};
    use tokio::net::UdpSocket;

    /// Where chitchat's tasks live: here.
    pub(in crate::gossip) struct Host;

    /// Chitchat's way to the network.
    pub(in crate::gossip) struct DatagramSocket(UdpSocket);

    /// Binds the socket; also says which address it got.
    pub(in crate::gossip) async fn bind(
        listen: SocketAddr,
        _interval: Duration,
    ) -> io::Result<(Host, DatagramSocket, SocketAddr)> {
        let socket = UdpSocket::bind(listen).await?;
        let bound = socket.local_addr()?;
        Ok((Host, DatagramSocket(socket), bound))
    }

    /// Leaves names to chitchat, which looks them up again every minute.
    pub(in crate::gossip) async fn resolve(seeds: Vec<String>) -> Vec<String> {
        seeds
    }

    impl Host {
        /// Does `work`, which spawns chitchat's tasks, where they shall live.
        pub(in crate::gossip) async fn launch<T>(&mut self, work: impl Future<Output = T>) -> T {
            work.await
        }

        /// Does `work` on the clock that chitchat sees.
        pub(in crate::gossip) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
            work()
        }

        /// Ends what `launch` began.
        pub(in crate::gossip) async fn stop(self) {}
    }

    impl DatagramSocket {
        pub(in crate::gossip) async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
            self.0.send_to(datagram, to).await.map(|_| ())
        }

        /// Nothing is lost when the future is dropped.
        pub(in crate::gossip) async fn recv_from(
            &mut self,
            buffer: &mut [u8],
        ) -> io::Result<(usize, SocketAddr)> {
            self.0.recv_from(buffer).await
        }
    }
}

#[cfg(madsim)]
mod imp {
    use crate::gossip::seal::MAX_DATAGRAM_BYTES;
    use std::{io, net::SocketAddr, sync::Arc, time::Duration};
    use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

    type Datagram = (SocketAddr, Vec<u8>);

    /// Datagrams that wait on either side; more are dropped, as UDP does.
    const QUEUE_LEN: usize = 256;
    /// How often per gossip interval the inner clock is advanced when no datagram does it.
    const TICKS_PER_INTERVAL: u32 = 4;
    /// How often the inner tasks are let run before they count as idle. One handles all that waits in a single poll.
    const POLLS_TO_IDLE: usize = 8;

    /// The runtime of one node's chitchat.
    pub(in crate::gossip) struct Host {
        clock: tokio_real::runtime::Handle,
        /// Until the launch.
        idle: Option<Bridge>,
        /// From then on.
        tasks: Vec<JoinHandle<()>>,
    }

    /// Chitchat's ends of the queues.
    pub(in crate::gossip) struct DatagramSocket {
        inbound: mpsc::Receiver<Datagram>,
        outbound: mpsc::Sender<Datagram>,
    }

    /// The simulated socket and the other ends.
    struct Bridge {
        runtime: tokio_real::runtime::Runtime,
        socket: Arc<UdpSocket>,
        inbound: mpsc::Sender<Datagram>,
        outbound: mpsc::Receiver<Datagram>,
        tick: Duration,
    }

    pub(in crate::gossip) async fn bind(
        listen: SocketAddr,
        interval: Duration,
    ) -> io::Result<(Host, DatagramSocket, SocketAddr)> {
        let socket = UdpSocket::bind(listen).await?;
        let bound = socket.local_addr()?;
        let (inbound_tx, inbound) = mpsc::channel(QUEUE_LEN);
        let (outbound, outbound_rx) = mpsc::channel(QUEUE_LEN);
        let runtime =
            tokio_real::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let clock = runtime.handle().clone();
        let tick = (interval / TICKS_PER_INTERVAL).max(Duration::from_millis(1));
        let idle =
            Bridge { runtime, socket: Arc::new(socket), inbound: inbound_tx, outbound: outbound_rx, tick };
        let host = Host { clock, idle: Some(idle), tasks: Vec::new() };
        Ok((host, DatagramSocket { inbound, outbound }, bound))
    }

    /// Looks names up in the simulated network, which chitchat cannot see.
    pub(in crate::gossip) async fn resolve(seeds: Vec<String>) -> Vec<String> {
        let mut addresses = Vec::new();
        for seed in seeds {
            match tokio::net::lookup_host(&*seed).await {
                Ok(found) => addresses.extend(found.map(|address| address.to_string())),
                Err(error) => tracing::warn!(seed, %error, "seed cannot be looked up"),
            }
        }
        addresses
    }

    impl Host {
        pub(in crate::gossip) async fn launch<T>(&mut self, work: impl Future<Output = T>) -> T {
            let bridge = self.idle.take().expect("launched once");
            let done = bridge.runtime.block_on(work);
            let (arrivals_tx, arrivals) = mpsc::channel(QUEUE_LEN);
            self.tasks.push(tokio::spawn(read(bridge.socket.clone(), arrivals_tx)));
            self.tasks.push(tokio::spawn(bridge.run(arrivals)));
            done
        }

        pub(in crate::gossip) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
            let _clock = self.clock.enter();
            work()
        }

        pub(in crate::gossip) async fn stop(self) {
            for task in self.tasks {
                task.abort();
                // Awaited, so that the socket is closed when this returns. It can only say that it was aborted.
                let _ = task.await;
            }
        }
    }

    /// Reads the simulated socket. A task of its own, because the simulator loses what a dropped read was about to
    /// return.
    async fn read(socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Datagram>) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES + 1];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let _ = arrivals.try_send((from, buffer[..len].to_vec()));
        }
    }

    impl Bridge {
        /// Keeps the inner clock in step and carries datagrams across, until the socket fails.
        async fn run(mut self, mut arrivals: mpsc::Receiver<Datagram>) {
            let mut ticks = tokio::time::interval(self.tick);
            let mut last = tokio::time::Instant::now();
            loop {
                let arrived = tokio::select! {
                    biased;
                    arrived = arrivals.recv() => match arrived {
                        Some(datagram) => Some(datagram),
                        None => return,
                    },
                    _ = ticks.tick() => None,
                };
                // Timers first and datagrams one by one: chitchat selects among what is ready in an order of its own
                // drawing, so only one thing may ever be ready.
                let now = tokio::time::Instant::now();
                self.settle(now - last);
                last = now;
                if let Some(datagram) = arrived {
                    let _ = self.inbound.try_send(datagram);
                    self.settle(Duration::ZERO);
                }
                while let Ok((to, datagram)) = self.outbound.try_recv() {
                    let _ = self.socket.send_to(to, &datagram).await;
                }
            }
        }

        /// Lets `elapsed` pass for the inner tasks and runs them until they are idle.
        fn settle(&self, elapsed: Duration) {
            self.runtime.block_on(async {
                tokio_real::time::advance(elapsed).await;
                for _ in 0..POLLS_TO_IDLE {
                    tokio_real::task::yield_now().await;
                }
            });
        }
    }

    impl DatagramSocket {
        pub(in crate::gossip) async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
            self.outbound.try_send((to, datagram.to_vec())).map_err(|_| io::ErrorKind::WouldBlock.into())
        }

        pub(in crate::gossip) async fn recv_from(
            &mut self,
            buffer: &mut [u8],
        ) -> io::Result<(usize, SocketAddr)> {
            let (from, datagram) = self.inbound.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            let len = datagram.len().min(buffer.len());
            buffer[..len].copy_from_slice(&datagram[..len]);
            Ok((len, from))
        }
    }
}
