//! TLS: the one place that knows rustls.
//!
//! - [`Tls`] is how one node speaks TLS, at its doors and to its peers, and is replaced as a whole while the node runs.
//! - [`Pem`] is what that is made of, and [`Connector`] what a client needs.
//! - [`Stream`] is a connection, secured or not.
//!
//! A door with TLS speaks nothing else, and each peer is dialled as any client is: its certificate must be signed by the
//! node's CA and hold the name or address that was dialled.

mod connect;
mod error;
mod material;
mod stream;

pub use connect::Connector;
pub use error::{Part, TlsError, fault, refusal, with_causes};
pub use material::{Client, Pem};
pub use stream::Stream;

use crate::metrics::SecuredDoor;
use arc_swap::ArcSwap;
use material::Material;
use std::{fmt, io, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tonic_real::transport::ClientTlsConfig;

/// Bytes that a client may send after its handshake has failed.
const PARTING_BYTES: u64 = 64 * 1024;

/// How one node speaks TLS. What it is made of may be replaced; connections that stand keep what they began with.
pub struct Tls(ArcSwap<Material>);

impl Tls {
    /// # Errors
    /// Names the part that is of no use.
    pub fn new(pem: &Pem) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(Material::new(pem)?)))
    }

    /// From the next connection on, speaks TLS with this. True when that is something else than before.
    ///
    /// # Errors
    /// Names the part that is of no use; then nothing has changed.
    pub fn replace(&self, pem: &Pem) -> Result<bool, TlsError> {
        if self.0.load().pem == *pem {
            return Ok(false);
        }
        self.0.store(Arc::new(Material::new(pem)?));
        Ok(true)
    }

    /// When the node's certificate expires, in seconds of Unix time.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.0.load().expires_at
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// When the client does not speak TLS as this node does; [`refusal`] says how so.
    pub async fn accept<S>(&self, door: SecuredDoor, stream: S) -> io::Result<Stream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.0.load().doors[door as usize].clone());
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream.into()))),
            Err((error, stream)) => {
                part(stream).await;
                Err(error)
            }
        }
    }

    /// How to dial the peer at `address` (`host:port`).
    #[must_use]
    pub fn dialling(&self, address: &str) -> ClientTlsConfig {
        self.0.load().dialling.to(address)
    }
}

/// Closes so that the client gets to read what it was told, an alert perhaps: not before it has closed, too, or sent much
/// more than that.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    // Whatever goes wrong now, the connection ends.
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream.take(PARTING_BYTES), &mut tokio::io::sink()).await;
}

/// Holds a private key, and shows nothing of it.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("expires_at", &self.expires_at()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
