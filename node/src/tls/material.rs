//! PEM texts, and what rustls makes of them.

use super::{
    TlsError,
    error::{Fault as _, Part},
};
use crate::metrics::SecuredDoor;
use std::{fmt, sync::Arc};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tonic_real::transport::{Certificate, ClientTlsConfig, Identity};
use x509_cert::{Certificate as Parsed, der::Decode as _};

/// What a node's TLS is made of, as PEM texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// The node's certificate, followed by those that lead to its CA.
    pub certificate: Vec<u8>,
    /// The certificate's private key.
    pub key: Vec<u8>,
    /// Who must have signed the certificates of peers.
    pub ca: Vec<u8>,
    /// Who must have signed the certificates of clients; `None` asks clients for none.
    pub client_ca: Option<Vec<u8>>,
    /// The name that peers' certificates must hold; `None` takes the host that is dialled.
    pub peer_name: Option<String>,
}

/// What a client of nodes speaks TLS with, as PEM texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// Who must have signed the certificates of nodes.
    pub ca: Vec<u8>,
    /// A certificate of the client's and its key, for nodes that ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that nodes' certificates must hold; `None` takes the host that is dialled.
    pub name: Option<String>,
}

/// Shows nothing: it holds a private key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

/// Shows nothing: it may hold a private key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What a node speaks TLS with, checked.
pub(super) struct Material {
    pub(super) pem: Pem,
    /// As [`SecuredDoor`] counts them.
    pub(super) doors: [Arc<ServerConfig>; 3],
    pub(super) dialling: Dialling,
    pub(super) expires_at: u64,
}

/// How peers are dialled.
pub(super) struct Dialling {
    config: ClientTlsConfig,
    name: Option<String>,
}

impl Material {
    pub(super) fn new(pem: &Pem) -> Result<Self, TlsError> {
        let chain = certificates(&pem.certificate, Part::Certificate)?;
        let expires_at = expires_at(&chain[0]).of(Part::Certificate)?;
        let secured = |door| Ok(Arc::new(secure(pem, chain.clone(), door)?));
        let client = Client {
            ca: pem.ca.clone(),
            identity: Some((pem.certificate.clone(), pem.key.clone())),
            name: pem.peer_name.clone(),
        };
        // Tonic makes one of its own, and says less of what is wrong.
        client_config(&client)?;
        Ok(Self {
            pem: pem.clone(),
            doors: [secured(SecuredDoor::Resp)?, secured(SecuredDoor::Http)?, secured(SecuredDoor::Grpc)?],
            dialling: Dialling {
                config: ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(&pem.ca))
                    .identity(Identity::from_pem(&pem.certificate, &pem.key)),
                name: client.name,
            },
            expires_at,
        })
    }
}

impl Dialling {
    pub(super) fn to(&self, address: &str) -> ClientTlsConfig {
        let name = self.name.as_deref().unwrap_or_else(|| host(address));
        self.config.clone().domain_name(name)
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
pub(super) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// # Errors
/// Names the part that is of no use.
pub(super) fn client_config(client: &Client) -> Result<ClientConfig, TlsError> {
    if let Some(name) = &client.name {
        ServerName::try_from(name.as_str()).of(Part::Name)?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .of(Part::Certificate)?
        .with_root_certificates(roots(&client.ca, Part::Ca)?);
    let Some((certificate, private)) = &client.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate, Part::Certificate)?;
    builder.with_client_auth_cert(chain, key(private)?).of(Part::Key)
}

fn secure(
    pem: &Pem,
    chain: Vec<CertificateDer<'static>>,
    door: SecuredDoor,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .of(Part::Certificate)?;
    let builder = match &pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(roots(ca, Part::ClientCa)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().of(Part::ClientCa)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key(&pem.key)?).of(Part::Key)?;
    config.alpn_protocols = match door {
        // It has no name there.
        SecuredDoor::Resp => Vec::new(),
        SecuredDoor::Http => vec![b"http/1.1".to_vec()],
        SecuredDoor::Grpc => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &[u8], part: Part) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().of(part)?;
    if chain.is_empty() {
        return Err(TlsError::new(part, "it holds no certificate in PEM"));
    }
    Ok(chain)
}

fn roots(pem: &[u8], part: Part) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, part)? {
        roots.add(certificate).of(part)?;
    }
    Ok(roots)
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::new(Part::Key, "it holds no private key in PEM"))
}

fn expires_at(certificate: &CertificateDer<'_>) -> Result<u64, x509_cert::der::Error> {
    let parsed = Parsed::from_der(certificate)?;
    Ok(parsed.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}
