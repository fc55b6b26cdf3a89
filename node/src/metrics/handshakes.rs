//! TLS handshakes of the doors.

use super::table::Table;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter},
};
use std::fmt;

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
    const ALL: [Self; 3] = [Self::Resp, Self::Http, Self::Grpc];

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
    const ALL: [Self; 7] = [
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

/// Handshakes that led to a connection, by door.
#[derive(Debug, Clone)]
pub struct Handshakes(Table<Counter>);

/// Handshakes that did not, by door and reason.
#[derive(Debug, Clone)]
pub struct FailedHandshakes(Table<Counter>);

impl Default for Handshakes {
    fn default() -> Self {
        Self(Table::new(SecuredDoor::ALL.map(|door| vec![("door", door.name())])))
    }
}

impl Default for FailedHandshakes {
    fn default() -> Self {
        let labels =
            |door: SecuredDoor, why: HandshakeFailure| vec![("door", door.name()), ("reason", why.name())];
        let all = SecuredDoor::ALL.iter();
        Self(Table::new(all.flat_map(|door| HandshakeFailure::ALL.map(|why| labels(*door, why)))))
    }
}

impl Handshakes {
    /// Counts one more.
    pub fn inc(&self, door: SecuredDoor) {
        self.0.at(door as usize).inc();
    }
}

impl FailedHandshakes {
    /// Counts one more.
    pub fn inc(&self, door: SecuredDoor, why: HandshakeFailure) {
        self.0.at(door as usize * HandshakeFailure::ALL.len() + why as usize).inc();
    }
}

impl EncodeMetric for Handshakes {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

impl EncodeMetric for FailedHandshakes {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_counted_under_its_own_labels() {
        let failed = FailedHandshakes::default();
        for door in SecuredDoor::ALL {
            for why in HandshakeFailure::ALL {
                failed.inc(door, why);
                let labels = [("door", door.name()), ("reason", why.name())];
                let counted = failed.0.iter().find(|(found, _)| *found == labels);
                assert_eq!(counted.map(|(_, counter)| counter.get()), Some(1), "{labels:?}");
            }
        }
    }
}
