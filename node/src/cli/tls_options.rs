//! What commands that talk to nodes can be told of TLS.

use anyhow::{Context as _, ensure};
use clap::Args;
use shoal_client::TlsConfig;
use shoal_node::tls::{Client, Connector};
use std::{fs, path::PathBuf};

/// How nodes are spoken to: in the clear, unless there is a CA.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Speak TLS; the certificates of nodes must be signed by a CA in this PEM file
    #[arg(long, value_name = "FILE", env = "SHOAL_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// PEM file with a certificate to show to nodes that ask for one
    #[arg(long, value_name = "FILE", env = "SHOAL_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of that certificate
    #[arg(long, value_name = "FILE", env = "SHOAL_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name that the certificates of nodes must hold [default: the host that is dialled]
    #[arg(long, value_name = "NAME", env = "SHOAL_TLS_NAME")]
    tls_name: Option<String>,
}

impl TlsOptions {
    /// For Shoal's own client; `None` speaks in the clear.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub(crate) fn config(&self) -> anyhow::Result<Option<TlsConfig>> {
        let client = self.client()?;
        Ok(client.map(|Client { ca, identity, name }| TlsConfig { ca, identity, server_name: name }))
    }

    /// For connections of one's own.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub(crate) fn connector(&self) -> anyhow::Result<Option<Connector>> {
        Ok(self.client()?.map(|client| Connector::new(&client)).transpose()?)
    }

    fn client(&self) -> anyhow::Result<Option<Client>> {
        let Some(ca) = &self.tls_ca else {
            let others = self.tls_cert.is_some() || self.tls_name.is_some();
            ensure!(!others, "--tls-cert, --tls-key and --tls-name need --tls-ca, whom to trust");
            return Ok(None);
        };
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            _ => None,
        };
        let client = Client { ca: read(ca)?, identity, name: self.tls_name.clone() };
        // Said here, with the words of a file, rather than by whoever dials with it.
        Connector::new(&client).context("TLS options")?;
        Ok(Some(client))
    }
}
