use super::writer::Protocol;
use crate::auth::Identity;
use bytes::Bytes;
use shoal_proto::types::{Consistency, UnixMillis};

/// What one connection has agreed on with its client.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The connection's number.
    pub(super) id: u64,
    /// The client's address.
    pub(super) peer: String,
    /// When it connected.
    pub(super) since: UnixMillis,
    /// Who the client is; `None` until it has proven that.
    pub(super) identity: Option<Identity>,
    /// How replies are encoded.
    pub(super) protocol: Protocol,
    /// The level of commands that name none; `None` leaves it to the node.
    pub(super) consistency: Option<Consistency>,
    /// The client wants to know what answers are worth.
    pub(super) with_outcome: bool,
    /// What the client calls itself; empty until it does.
    pub(super) name: Bytes,
    /// The client library's name.
    pub(super) library: Bytes,
    /// The client library's version.
    pub(super) library_version: Bytes,
    /// The client has said goodbye: nothing more is read.
    pub(super) closing: bool,
}

impl Session {
    pub(super) fn new(id: u64, peer: String, since: UnixMillis, identity: Option<Identity>) -> Self {
        Self {
            id,
            peer,
            since,
            identity,
            protocol: Protocol::default(),
            consistency: None,
            with_outcome: false,
            name: Bytes::new(),
            library: Bytes::new(),
            library_version: Bytes::new(),
            closing: false,
        }
    }

    /// Forgets everything agreed on; the library's name stays, as in Redis. Who the client is is not agreed on.
    pub(super) fn reset(&mut self) {
        self.protocol = Protocol::default();
        self.consistency = None;
        self.with_outcome = false;
        self.name = Bytes::new();
    }
}
