//! Sockets. The one file of this crate in which a simulated node differs from a real one: the simulator knows gRPC
//! servers by address alone and has no HTTP.
//!
//! Every other door takes its connections from `accept`, which leaves those of a door with TLS to `handshakes` first.

mod accept;
mod handshakes;

#[cfg(not(madsim))]
mod unproven;

#[cfg(not(madsim))]
use crate::frontend::{grpc::interceptor, http, places, standard};
use crate::{
    admin::ClusterInfo,
    config::ListenAddresses,
    frontend::{
        Door, Gate,
        grpc::GrpcDoor,
        resp::{Ends, RespDoor, serve},
    },
    limits,
    metrics::{Connections, Metrics, SecuredDoor},
    replica::ReplicaService,
    tls::Tls,
};
use accept::{Accepted, accept};
use futures::{Stream, StreamExt as _};
use handshakes::Handshakes;
use shoal_proto::wire::{
    admin::v1::admin_server::AdminServer, kv::v1::kv_server::KvServer,
    replica::v1::replica_server::ReplicaServer,
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
#[cfg(not(madsim))]
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
#[cfg(not(madsim))]
use unproven::Unproven;

/// What a node listens on, bound before it starts.
pub struct Sockets {
    resp: TcpListener,
    #[cfg(not(madsim))]
    http: TcpListener,
    #[cfg(not(madsim))]
    grpc: TcpListener,
    #[cfg(madsim)]
    grpc: SocketAddr,
}

/// What stands behind the sockets.
pub(crate) struct Services {
    pub(crate) replica: ReplicaService,
    pub(crate) grpc: GrpcDoor,
    pub(crate) grpc_connections: Arc<Connections>,
    pub(crate) resp: Arc<RespDoor>,
    pub(crate) rest: Rest,
    pub(crate) info: Arc<dyn ClusterInfo>,
}

/// What doors are secured with, if they are, and where they count who is let in.
pub(crate) struct Security {
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the HTTP door runs its requests by, and where it counts its connections.
pub(crate) struct Rest {
    pub(crate) door: Door,
    pub(crate) gate: Gate,
    pub(crate) connections: Arc<Connections>,
}

/// A door's address is taken or not this machine's.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {door}: {}", reason(cause))]
pub struct BindError {
    door: &'static str,
    address: SocketAddr,
    // Not its source: the text has said it already, in other words.
    cause: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is already in use".into(),
        io::ErrorKind::AddrNotAvailable => "the address does not belong to this machine".into(),
        _ => error.to_string(),
    }
}

impl Sockets {
    /// Binds all doors.
    ///
    /// # Errors
    /// Names the door that could not be bound.
    pub async fn bind(addresses: &ListenAddresses) -> Result<Self, BindError> {
        Ok(Self {
            resp: bind("RESP", addresses.resp).await?,
            #[cfg(not(madsim))]
            http: bind("HTTP", addresses.http).await?,
            #[cfg(not(madsim))]
            grpc: bind("gRPC", addresses.grpc).await?,
            #[cfg(madsim)]
            grpc: addresses.grpc,
        })
    }

    /// Opens the doors until shutdown.
    pub(crate) fn open(
        self,
        services: Services,
        security: &Security,
        shutdown: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let Services { replica, grpc, grpc_connections, resp, rest, info } = services;
        let enter = |door, listener, tasks: &mut Vec<_>| {
            let (accepting, incoming) = accept(door, listener, security.handshakes(door), shutdown.clone());
            tasks.push(accepting);
            incoming
        };
        let mut tasks = Vec::new();
        let incoming = enter(SecuredDoor::Resp, self.resp, &mut tasks);
        tasks.push(tokio::spawn(serve_resp(incoming, resp, shutdown.clone())));
        let mut server = Server::builder()
            .max_concurrent_streams(limits::GRPC_STREAMS)
            .http2_keepalive_interval(Some(limits::GRPC_PING))
            .http2_keepalive_timeout(Some(limits::GRPC_PONG))
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024);
        let gate = grpc.gate().clone();
        let kv = KvServer::new(grpc.clone())
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        let admin = AdminServer::new(grpc);
        let replica = ReplicaServer::new(replica)
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        let closing = shutdown.clone().cancelled_owned();
        #[cfg(not(madsim))]
        {
            let known = interceptor(gate);
            let router = server
                .add_service(InterceptedService::new(kv, known.clone()))
                .add_service(InterceptedService::new(admin, known.clone()))
                .add_service(Unproven(replica));
            let router = standard::mount(router, known, info.clone(), shutdown.clone());
            let incoming =
                enter(SecuredDoor::Grpc, self.grpc, &mut tasks).map(|(stream, _)| io::Result::Ok(stream));
            let incoming = places::admit(incoming, grpc_connections, limits::GRPC_CLIENTS);
            let serving = router.serve_with_incoming_shutdown(incoming, closing);
            tasks.push(tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "gRPC door failed");
                }
            }));
            let router = http::router(rest.door, rest.gate, info);
            let incoming = enter(SecuredDoor::Http, self.http, &mut tasks).map(|(stream, _)| stream);
            tasks.push(tokio::spawn(http::serve(incoming, router, rest.connections, shutdown.clone())));
        }
        #[cfg(madsim)]
        {
            drop((gate, rest.door, rest.gate, rest.connections, info, grpc_connections));
            let router = server.add_service(kv).add_service(admin).add_service(replica);
            let serving = router.serve_with_shutdown(self.grpc, closing);
            tasks.push(tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "gRPC door failed");
                }
            }));
        }
        tasks
    }
}

async fn bind(door: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|cause| BindError { door, address, cause })
}

impl Security {
    fn handshakes(&self, door: SecuredDoor) -> Option<Handshakes> {
        self.tls.clone().map(|tls| Handshakes::new(door, tls, self.metrics.clone()))
    }
}

/// Who is connected, for the services behind the gRPC door.
#[cfg(not(madsim))]
impl tonic::transport::server::Connected for crate::tls::Stream<tokio::net::TcpStream> {
    type ConnectInfo = tonic::transport::server::TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.socket().connect_info()
    }
}

/// Has the operating system ask after a client that is silent for `time`, as often as Redis does.
#[cfg(not(madsim))]
fn keep_alive(stream: &tokio::net::TcpStream, time: Option<std::time::Duration>) {
    let Some(time) = time else { return };
    let interval = (time / 3).max(std::time::Duration::from_secs(1));
    let keepalive = socket2::TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Serves connections until shutdown and until each of them has ended.
async fn serve_resp(
    mut incoming: impl Stream<Item = Accepted> + Unpin,
    door: Arc<RespDoor>,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = incoming.next() => accepted,
        };
        let Some((stream, peer)) = accepted else { break };
        #[cfg(not(madsim))]
        keep_alive(stream.socket(), door.live().tcp_keepalive());
        let local = stream.socket().local_addr().map_or_else(|_| String::new(), |local| local.to_string());
        let ends = Ends { peer: peer.to_string(), local };
        let (door, closing) = (door.clone(), shutdown.clone().cancelled_owned());
        tokio::spawn(connections.track_future(async move {
            if let Err(error) = serve(stream, ends, door, closing).await {
                tracing::debug!(%peer, %error, "RESP connection ended");
            }
        }));
    }
    drop(incoming);
    connections.close();
    connections.wait().await;
}
