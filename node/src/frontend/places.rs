//! How many connections the gRPC door has.

use crate::metrics::{Connections, Place};
use futures::{Stream, StreamExt as _, future::ready};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// Lets in as many connections at once as `limit`; further ones are closed.
pub fn admit<S>(
    incoming: impl Stream<Item = io::Result<S>>,
    connections: Arc<Connections>,
    limit: usize,
) -> impl Stream<Item = io::Result<Placed<S>>> {
    incoming.filter_map(move |stream| {
        let placed = match stream {
            Ok(stream) => connections.admit(limit).map(|place| Ok(Placed { stream, _place: place })),
            Err(error) => Some(Err(error)),
        };
        ready(placed)
    })
}

/// A connection that has its place until it is dropped.
#[derive(Debug)]
pub struct Placed<S> {
    stream: S,
    _place: Place,
}

impl<S: Connected> Connected for Placed<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Placed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Placed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_and_leaving_makes_room() {
        let connections = Arc::<Connections>::default();
        let incoming = stream::iter((0..4).map(Ok::<u8, io::Error>));
        let mut admitted = std::pin::pin!(admit(incoming, connections.clone(), 2));
        let (first, _second) =
            (admitted.next().await.unwrap().unwrap(), admitted.next().await.unwrap().unwrap());
        assert_eq!((connections.open(), connections.refused()), (2, 0));
        assert!(admitted.next().await.is_none(), "the last two found no place");
        assert_eq!(connections.refused(), 2);
        drop(first);
        assert_eq!(connections.open(), 1);
    }
}
