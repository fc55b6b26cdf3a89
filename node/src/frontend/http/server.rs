//! Connections of HTTP clients: how many, how slow, how large their heads.

use crate::{
    limits,
    metrics::{Connections, Ending},
};
use axum::Router;
use futures::{Stream, StreamExt as _};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{error::Error as _, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a client is told for whom there is no place.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How long telling them so may take.
const TURN_AWAY: Duration = Duration::from_millis(100);

/// What a client's bytes come and go by.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for S {}

/// What clients are granted.
#[derive(Debug, Clone, Copy)]
struct Grants {
    /// [`limits::HTTP_CLIENTS`], or less in a test, as the others.
    clients: usize,
    /// [`limits::HTTP_HEAD_PATIENCE`].
    head_patience: Duration,
    /// [`limits::HTTP_STALL`].
    stall: Duration,
}

/// Serves the routes until `closing` is cancelled and the requests under way are answered. Clients that send a head or
/// read an answer too slowly lose their connection.
pub async fn serve<S: Connection>(
    incoming: impl Stream<Item = S> + Unpin,
    router: Router,
    connections: Arc<Connections>,
    closing: CancellationToken,
) {
    let grants = Grants {
        clients: limits::HTTP_CLIENTS,
        head_patience: limits::HTTP_HEAD_PATIENCE,
        stall: limits::HTTP_STALL,
    };
    serve_with(grants, incoming, router, connections, closing).await;
}

async fn serve_with<S: Connection>(
    grants: Grants,
    mut incoming: impl Stream<Item = S> + Unpin,
    router: Router,
    connections: Arc<Connections>,
    closing: CancellationToken,
) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => break,
            accepted = incoming.next() => accepted,
        };
        let Some(stream) = accepted else { break };
        let Some(place) = connections.admit(grants.clients) else {
            turn_away(stream).await;
            continue;
        };
        let (router, closing) = (router.clone(), closing.clone());
        tokio::spawn(tasks.track_future(async move {
            let (mut place, stopping) = (place, closing.clone());
            let ended = serve_one(grants, stream, router, closing).await;
            place.ending = match &ended {
                Err(error) => ending(error),
                Ok(()) if stopping.is_cancelled() => Ending::Shutdown,
                Ok(()) => Ending::Left,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "HTTP connection ended");
            }
        }));
    }
    drop(incoming);
    tasks.close();
    tasks.wait().await;
}

async fn serve_one(
    grants: Grants,
    stream: impl Connection,
    router: Router,
    closing: CancellationToken,
) -> hyper::Result<()> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(grants.stall));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(grants.head_patience)
        .max_buf_size(limits::HTTP_HEAD_BYTES);
    let serving = server.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    tokio::select! {
        biased;
        result = serving.as_mut() => result,
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

/// Why a connection ended that failed.
fn ending(error: &hyper::Error) -> Ending {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match cause {
        _ if error.is_timeout() => Ending::SlowRequest,
        _ if error.is_parse() || error.is_parse_too_large() => Ending::Protocol,
        Some(io::ErrorKind::TimedOut) => Ending::SlowReader,
        _ => Ending::Failed,
    }
}

/// Says so and hardly waits: a socket that is new takes this at once.
async fn turn_away(mut stream: impl Connection) {
    let told = async {
        stream.write_all(BUSY).await?;
        stream.shutdown().await
    };
    let _ = timeout(TURN_AWAY, told).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{extract::State, routing::get};
    use std::net::SocketAddr;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::{sync::Notify, task::JoinHandle};
    use tokio_stream::wrappers::TcpListenerStream;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);
    const GRANTS: Grants = Grants { clients: 8, head_patience: LONG, stall: LONG };

    struct Door {
        address: SocketAddr,
        closing: CancellationToken,
        serving: JoinHandle<()>,
    }

    impl Door {
        async fn open(grants: Grants, router: Router) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let incoming = TcpListenerStream::new(listener).map(Result::unwrap);
            let closing = CancellationToken::new();
            let serving = tokio::spawn(serve_with(grants, incoming, router, Arc::default(), closing.clone()));
            Self { address, closing, serving }
        }

        async fn client(&self, says: &[u8]) -> TcpStream {
            let mut client = TcpStream::connect(self.address).await.unwrap();
            client.write_all(says).await.unwrap();
            client
        }

        async fn close(self) {
            self.closing.cancel();
            self.serving.await.unwrap();
        }
    }

    async fn rest(mut client: TcpStream) -> String {
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        rest
    }

    #[tokio::test]
    async fn requests_under_way_are_answered_before_the_door_closes() {
        // A request says that it has begun, and is told to go on.
        let turns = Arc::new((Notify::new(), Notify::new()));
        let slow = async |State(turns): State<Arc<(Notify, Notify)>>| {
            turns.0.notify_one();
            turns.1.notified().await;
            "done"
        };
        let door = Door::open(GRANTS, Router::new().route("/", get(slow)).with_state(turns.clone())).await;
        let idle = door.client(b"").await;
        let client = door.client(ASK).await;
        turns.0.notified().await;
        door.closing.cancel();
        assert_eq!(rest(idle).await, "", "an idle connection is closed at once");
        turns.1.notify_one();
        let reply = rest(client).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("done"), "{reply}");
        door.close().await;
    }

    #[tokio::test]
    async fn a_client_that_sends_no_head_in_time_loses_its_connection() {
        let router = Router::new().route("/", get(async || "here"));
        let door = Door::open(Grants { head_patience: SHORT, ..GRANTS }, router).await;
        for says in [b"".as_slice(), b"GET / HTTP/1.1\r\nHost: "] {
            let reply = rest(door.client(says).await).await;
            assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408"), "{reply}");
        }
        door.close().await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_loses_its_connection() {
        let router = Router::new().route("/", get(async || vec![0; 64 << 20]));
        let door = Door::open(Grants { clients: 1, stall: SHORT, ..GRANTS }, router).await;
        let lazy = door.client(ASK).await;
        // Its place is free again once it is gone. Until then others may not even get to read that they are refused.
        let ask = b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut reply = String::new();
        while !reply.starts_with("HTTP/1.1 404") {
            reply.clear();
            let _ = door.client(ask).await.read_to_string(&mut reply).await;
        }
        drop(lazy);
        door.close().await;
    }

    #[tokio::test]
    async fn a_client_without_a_place_is_told_so() {
        let router = Router::new().route("/", get(async || "here"));
        let door = Door::open(Grants { clients: 1, ..GRANTS }, router).await;
        let mut first = door.client(ASK).await;
        let mut status = [0; 15];
        first.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        assert!(rest(door.client(b"").await).await.starts_with("HTTP/1.1 503 Service Unavailable"));
        drop(first);
        door.close().await;
    }
}
