//! TLS handshakes of the doors.

use super::table::{Label, Labels};

/// A door that may have TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecuredDoor {
    /// RESP.
    Resp,
    /// HTTP.
    Http,
    /// gRPC, for clients and peers.
    Grpc,
}

/// Why a client of a door with TLS was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// It said something else, such as plain text.
    NotTls,
    /// It showed no certificate, or none that is good.
    ClientCertificate,
    /// It refused the node, whose certificate it does not trust perhaps.
    RefusedByClient,
    /// It speaks versions, ciphers or protocols that the door does not.
    Incompatible,
    /// It went away.
    HungUp,
    /// It was too slow.
    Timeout,
    /// Too many others came while it hesitated.
    Crowded,
}

impl SecuredDoor {
    pub(super) const ALL: [Self; 3] = [Self::Resp, Self::Http, Self::Grpc];

    /// Its name as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resp => "resp",
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

impl HandshakeFailure {
    pub(super) const ALL: [Self; 7] = [
        Self::NotTls,
        Self::ClientCertificate,
        Self::RefusedByClient,
        Self::Incompatible,
        Self::HungUp,
        Self::Timeout,
        Self::Crowded,
    ];

    /// Its name as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::ClientCertificate => "client_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::Incompatible => "incompatible",
            Self::HungUp => "hung_up",
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
        }
    }
}

impl Label for SecuredDoor {
    fn all() -> Vec<Labels> {
        Self::ALL.map(|door| vec![("door", door.name())]).into()
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for (SecuredDoor, HandshakeFailure) {
    fn all() -> Vec<Labels> {
        let labels =
            |door: SecuredDoor, why: HandshakeFailure| vec![("door", door.name()), ("reason", why.name())];
        SecuredDoor::ALL.iter().flat_map(|door| HandshakeFailure::ALL.map(|why| labels(*door, why))).collect()
    }

    fn index(self) -> usize {
        let (door, why) = self;
        door as usize * HandshakeFailure::ALL.len() + why as usize
    }
}
