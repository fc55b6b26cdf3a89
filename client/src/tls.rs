use std::fmt;
use tonic_real::transport::{Certificate, ClientTlsConfig, Identity};

/// How nodes are spoken to over TLS. All texts are PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The CAs that must have signed the certificates of nodes.
    pub ca: Vec<u8>,
    /// The certificate that the client shows, followed by those that lead to its CA, and its private key; for nodes that
    /// ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that the certificates of nodes must hold; `None` takes the host of the address that is dialled.
    pub server_name: Option<String>,
}

impl TlsConfig {
    /// Trusts nodes whose certificates are signed by one of these CAs.
    #[must_use]
    pub fn trusting(ca: impl Into<Vec<u8>>) -> Self {
        Self { ca: ca.into(), identity: None, server_name: None }
    }

    /// How to dial `address` (`host:port`).
    pub(crate) fn dialling(&self, address: &str) -> ClientTlsConfig {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca))
            .domain_name(self.server_name.as_deref().unwrap_or(host));
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

/// Shows no key.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
