//! What datagrams must never do.

use super::{
    schema::{self, Identity},
    seal::Sealer,
};
use crate::env::Seed;
use chitchat::{ChitchatMessage, Deserializable as _, Serializable as _};
use shoal_proto::types::NodeId;
use std::collections::BTreeMap;

/// A datagram is opened and understood, or refused. The first byte says whether the node has a secret; the rest is the
/// payload of a datagram that opens and, by itself, one that most likely does not.
///
/// # Panics
/// When what was sealed does not open, or what was understood means something else once it was sent on.
pub fn datagrams(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let secrets: &[&str] = if kind % 2 == 0 { &[] } else { &["a secret of the tests"] };
    let sealer = Sealer::new("test", secrets);
    drop(sealer.open(bytes));
    let sender = ([127, 0, 0, 1], 7382).into();
    let Ok(datagram) = sealer.seal(&mut Seed(1).stream("nonces"), sender, bytes) else { return };
    assert_eq!(sealer.open(&datagram), Ok((sender, bytes.to_vec())));
    if let Ok(message) = ChitchatMessage::deserialize(&mut &bytes[..]) {
        let sent_on = message.serialize_to_vec();
        let again = ChitchatMessage::deserialize(&mut &sent_on[..]).expect("what was written can be read");
        assert_eq!(again.serialize_to_vec(), sent_on);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        description(text);
    }
}

/// Lines `key=value` describe a node or do not.
fn description(text: &str) {
    let pairs: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let Ok(node_id) = NodeId::new("n") else { return };
    let who = || Identity { node_id: node_id.clone(), generation: 1, gossip: String::new() };
    let Ok(node) = schema::parse(who(), |key| pairs.get(key).copied()) else { return };
    let described: BTreeMap<_, _> =
        schema::describe(&node).expect("what was read can be told").into_iter().collect();
    let again = schema::parse(who(), |key| described.get(key).map(String::as_str)).expect("and read again");
    assert_eq!(again, node);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn what_was_kept_for_gossip_does_no_harm() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/fuzz/seeds/gossip_datagrams");
        let files: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3, "only {} inputs are kept", files.len());
        for file in files {
            datagrams(&fs::read(&file).unwrap());
        }
    }
}
