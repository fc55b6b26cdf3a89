use super::{
    Stream, TlsError,
    material::{Client, client_config, host},
};
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

/// How a client of the doors speaks TLS.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: Option<String>,
}

impl Connector {
    /// # Errors
    /// Names the part that is of no use.
    pub fn new(client: &Client) -> Result<Self, TlsError> {
        Ok(Self { config: Arc::new(client_config(client)?), name: client.name.clone() })
    }

    /// Shakes hands with the node at `address` (`host:port`) over a connection to it.
    ///
    /// # Errors
    /// When the node does not speak TLS, or cannot prove to be whom it should be; [`fault`](super::fault) says how so.
    pub async fn connect<S>(&self, address: &str, stream: S) -> io::Result<Stream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.name.as_deref().unwrap_or_else(|| host(address)).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = TlsConnector::from(self.config.clone()).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// The same for libraries that shake hands themselves.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        (*self.config).clone()
    }

    /// The name that certificates must hold, if it is not the host that is dialled.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
