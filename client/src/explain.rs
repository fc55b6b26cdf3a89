use crate::status::node_id;
use crate::{Client, ClientError};
use shoal_proto::types::{CopyState, Key, NodeId, Phase, Tag, Trust, UnixMillis};
use shoal_proto::wire::admin::v1::{
    self as admin,
    admin_client::AdminClient,
    owner_copy::{State, Trust as WireTrust},
};

/// Everything there is to know of one key: who owns it, who holds what, what is still on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The key.
    pub key: Key,
    /// Its hash slot.
    pub slot: u16,
    /// Its vnode.
    pub vnode: u16,
    /// Epoch of the ring record that names the owners.
    pub epoch: u64,
    /// How far the change to that epoch has come.
    pub phase: Phase,
    /// The owners in preference order.
    pub owners: Vec<OwnerCopy>,
    /// Members that did not answer: hints that lie there are not seen.
    pub silent: Vec<NodeId>,
    /// The clock of the node that answered, by which expiry is judged.
    pub clock: UnixMillis,
}

/// One owner's copy of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerCopy {
    /// The owner.
    pub node_id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// It answers, as far as the answering node knows.
    pub live: bool,
    /// Which start of the owner this is.
    pub generation: u64,
    /// What it holds, or why that is unknown.
    pub held: Result<Held, String>,
    /// Nodes that keep a hint of the key for it.
    pub hinted_by: Vec<NodeId>,
}

/// What an owner holds under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How far its memory can be trusted.
    pub trust: Trust,
    /// What it holds, in a word.
    pub state: CopyState,
    /// When and by whom that was written; `None` when it holds nothing. Of what was evicted, what it
    /// was.
    pub tag: Option<Tag>,
    /// How often the expiry was changed since.
    pub touch: u32,
    /// When it expires or has expired; `None` never.
    pub expires_at: Option<UnixMillis>,
    /// The value's length, 0 without one.
    pub value_bytes: u64,
    /// No owner told of a newer version: it holds the newest, or nothing where nobody holds anything.
    pub newest: bool,
}

impl Client {
    /// Tells what every owner of a key holds under it, and where hints of it wait. Counts as no use of the key.
    ///
    /// # Errors
    /// See [`ClientError`]. Owners that do not answer are no error: the explanation says why.
    pub async fn explain(&self, key: Key) -> Result<Explanation, ClientError> {
        let request = admin::ExplainRequest { key: key.into_bytes() };
        let answer =
            self.over_channel(async |channel| AdminClient::new(channel).explain(self.request(request)).await);
        answer.await?.into_inner().try_into()
    }
}

impl TryFrom<admin::ExplainResponse> for Explanation {
    type Error = ClientError;

    fn try_from(explanation: admin::ExplainResponse) -> Result<Self, ClientError> {
        Ok(Self {
            key: Key::new(explanation.key).map_err(|error| ClientError::Protocol(error.to_string()))?,
            slot: narrow("slot", explanation.slot)?,
            vnode: narrow("vnode", explanation.vnode)?,
            epoch: explanation.epoch,
            phase: Phase::from_number(explanation.phase)
                .ok_or_else(|| unknown("phase", explanation.phase))?,
            owners: explanation.owners.into_iter().map(OwnerCopy::try_from).collect::<Result<_, _>>()?,
            silent: node_ids(&explanation.silent)?,
            clock: UnixMillis(explanation.clock_ms),
        })
    }
}

impl TryFrom<admin::OwnerCopy> for OwnerCopy {
    type Error = ClientError;

    fn try_from(owner: admin::OwnerCopy) -> Result<Self, ClientError> {
        Ok(Self {
            node_id: node_id(&owner.node_id)?,
            hinted_by: node_ids(&owner.hinted_by)?,
            live: owner.live,
            generation: owner.generation,
            held: if owner.error.is_empty() { Ok(Held::try_from(&owner)?) } else { Err(owner.error) },
            zone: owner.zone,
        })
    }
}

impl TryFrom<&admin::OwnerCopy> for Held {
    type Error = ClientError;

    fn try_from(owner: &admin::OwnerCopy) -> Result<Self, ClientError> {
        let trust = match WireTrust::try_from(owner.trust) {
            Ok(WireTrust::Starting) => Trust::Starting,
            Ok(WireTrust::Rebuilding) => Trust::Rebuilding,
            Ok(WireTrust::Ready) => Trust::Ready,
            Ok(WireTrust::Unspecified) | Err(_) => return Err(unknown("trust", owner.trust)),
        };
        let state = match State::try_from(owner.state) {
            Ok(State::Absent) => CopyState::Absent,
            Ok(State::Value) => CopyState::Value,
            Ok(State::Tombstone) => CopyState::Tombstone,
            Ok(State::Expired) => CopyState::Expired,
            Ok(State::Evicted) => CopyState::Evicted,
            Ok(State::Unspecified) | Err(_) => return Err(unknown("state", owner.state)),
        };
        Ok(Self {
            trust,
            state,
            tag: Tag::from_bits(owner.tag),
            touch: owner.touch,
            expires_at: (owner.expires_at > 0).then_some(UnixMillis(owner.expires_at)),
            value_bytes: owner.value_bytes,
            newest: owner.newest,
        })
    }
}

fn node_ids(texts: &[String]) -> Result<Vec<NodeId>, ClientError> {
    texts.iter().map(|text| node_id(text)).collect()
}

fn narrow(field: &str, number: u32) -> Result<u16, ClientError> {
    u16::try_from(number).map_err(|_| unknown(field, number))
}

fn unknown(field: &str, number: impl std::fmt::Display) -> ClientError {
    ClientError::Protocol(format!("unknown {field} {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> admin::OwnerCopy {
        admin::OwnerCopy {
            node_id: "n1".into(),
            trust: WireTrust::Ready.into(),
            state: State::Value.into(),
            tag: 7,
            newest: true,
            hinted_by: vec!["n2".into()],
            ..Default::default()
        }
    }

    #[test]
    fn an_owner_that_answered_holds_something_and_one_that_did_not_says_why() {
        let known = OwnerCopy::try_from(owner()).unwrap();
        let held = known.held.unwrap();
        assert_eq!((held.trust, held.state, held.tag), (Trust::Ready, CopyState::Value, Tag::from_bits(7)));
        assert_eq!((held.expires_at, held.newest), (None, true));
        assert_eq!(known.hinted_by, [NodeId::new("n2").unwrap()]);
        let silent = admin::OwnerCopy { error: "unreachable".into(), trust: 0, state: 0, tag: 0, ..owner() };
        assert_eq!(OwnerCopy::try_from(silent).unwrap().held, Err("unreachable".into()));
    }

    #[test]
    fn what_this_version_does_not_know_is_named() {
        let why = |owner| OwnerCopy::try_from(owner).unwrap_err();
        let unknown = |text: &str| ClientError::Protocol(text.into());
        assert_eq!(why(admin::OwnerCopy { trust: 9, ..owner() }), unknown("unknown trust 9"));
        assert_eq!(why(admin::OwnerCopy { state: 0, ..owner() }), unknown("unknown state 0"));
        let response = admin::ExplainResponse { slot: 70_000, ..Default::default() };
        assert_eq!(Explanation::try_from(response), Err(unknown("unknown slot 70000")));
    }
}
