use super::writer::Protocol;
use crate::auth::Identity;
use bytes::Bytes;
use shoal_proto::types::{Consistency, UnixMillis};
use std::sync::Arc;

/// What one connection has agreed on with its client.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The connection's number.
    pub(super) id: u64,
    /// The client's address.
    pub(super) peer: Arc<str>,
    /// The address it has connected to.
    pub(super) local: Arc<str>,
    /// The command it sent last.
    pub(super) command: &'static str,
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
    /// Which commands are answered.
    pub(super) replies: Replies,
    /// The client is not let go for what clients hold.
    pub(super) no_evict: bool,
    /// The client would rather not have its reads count as use.
    pub(super) no_touch: bool,
}

/// Which commands are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Replies {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// All but the next one.
    SkipNext,
    /// All but this one.
    Skip,
}

impl Session {
    pub(super) fn new(
        id: u64,
        peer: Arc<str>,
        local: Arc<str>,
        since: UnixMillis,
        identity: Option<Identity>,
    ) -> Self {
        Self {
            id,
            peer,
            local,
            command: "",
            since,
            identity,
            protocol: Protocol::default(),
            consistency: None,
            with_outcome: false,
            name: Bytes::new(),
            library: Bytes::new(),
            library_version: Bytes::new(),
            closing: false,
            replies: Replies::On,
            no_evict: false,
            no_touch: false,
        }
    }

    /// Forgets everything agreed on; the library's name stays, as in Redis. Who the client is is not agreed on.
    pub(super) fn reset(&mut self) {
        self.protocol = Protocol::default();
        self.consistency = None;
        self.with_outcome = false;
        self.name = Bytes::new();
        self.replies = Replies::On;
        self.no_evict = false;
        self.no_touch = false;
    }

    /// A command begins.
    pub(super) fn begin(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        };
    }

    /// Whether this command is not answered.
    pub(super) fn is_mute(&self) -> bool {
        matches!(self.replies, Replies::Off | Replies::Skip)
    }
}
