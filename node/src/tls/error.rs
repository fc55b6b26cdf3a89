use crate::metrics::HandshakeFailure;
use std::{error::Error, fmt, io, iter};
use tokio_rustls::rustls::{self, CertificateError, InvalidMessage};

/// Part of what TLS is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The own certificate.
    Certificate,
    /// Its key.
    Key,
    /// Who must have signed the certificates of those who are dialled.
    Ca,
    /// Who must have signed the certificates of clients.
    ClientCa,
    /// The name that certificates must hold.
    Name,
}

/// TLS cannot be spoken with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {why}")]
pub struct TlsError {
    /// What is of no use.
    pub part: Part,
    /// Why.
    pub why: String,
}

impl TlsError {
    pub(super) fn new(part: Part, why: impl Into<String>) -> Self {
        Self { part, why: why.into() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Ca => "CA",
            Self::ClientCa => "CA of clients",
            Self::Name => "name",
        })
    }
}

/// Says which part an error is about.
pub(super) trait Fault<T> {
    fn of(self, part: Part) -> Result<T, TlsError>;
}

impl<T, E: Error> Fault<T> for Result<T, E> {
    fn of(self, part: Part) -> Result<T, TlsError> {
        self.map_err(|error| TlsError::new(part, error.to_string()))
    }
}

/// Why a client was not let in.
#[must_use]
pub fn refusal(error: &io::Error) -> HandshakeFailure {
    match find(error) {
        Some(rustls::Error::InvalidMessage(_)) => HandshakeFailure::NotTls,
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            HandshakeFailure::ClientCertificate
        }
        Some(rustls::Error::AlertReceived(_)) => HandshakeFailure::RefusedByClient,
        Some(_) => HandshakeFailure::Incompatible,
        None => HandshakeFailure::HungUp,
    }
}

/// What went wrong with TLS, if it was that, in words for who dialled.
#[must_use]
pub fn fault(error: &(dyn Error + 'static)) -> Option<String> {
    Some(match find(error)? {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other side does not speak TLS".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the certificate of the other side is not signed by the CA".to_owned()
        }
        rustls::Error::InvalidCertificate(why) => {
            format!("the certificate of the other side is no good: {why}")
        }
        rustls::Error::AlertReceived(alert) => format!("the other side refused: {alert:?}"),
        other => other.to_string(),
    })
}

/// An error with its causes: the outer ones often say only that there was one.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
}

fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.and_then(|inner| inner.downcast_ref()).or_else(|| cause.downcast_ref())
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}
