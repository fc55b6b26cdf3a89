//! Pure: how two nodes prove to each other that they belong together before a peer stream carries anything.
//!
//! The dialling node says [`Hello`], the other proves a cluster secret over both sides' words in its [`Challenge`], the
//! dialling node proves one back. Each proves its first secret and accepts any, so that a secret can be replaced. Without
//! secrets the words are checked and the proofs are empty.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use shoal_membership::{Cluster, Secrets};
use shoal_proto::types::NodeId;
use shoal_proto::wire::replica::v1::{Challenge, Hello};
use std::fmt;

/// The lowest peer protocol this node speaks.
pub const PROTOCOL_LOWEST: u32 = 1;
/// The highest peer protocol this node speaks.
pub const PROTOCOL_HIGHEST: u32 = 1;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

/// Why a peer is not talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The other node was configured for another cluster.
    #[error("peer belongs to cluster '{theirs}', this node to '{ours}'")]
    OtherCluster {
        /// Its cluster.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// Both clusters have the same name but were founded apart.
    #[error("peer has cluster id {theirs:016x}, this node {ours:016x}: they were founded separately")]
    OtherFounding {
        /// Its cluster id.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// Another node answers at the address.
    #[error("expected node {expected} at this address, found {found}")]
    WrongNode {
        /// Who should be there.
        expected: String,
        /// Who is.
        found: String,
    },
    /// No protocol version in common.
    #[error("peer speaks protocols {lowest} to {highest}, this node {PROTOCOL_LOWEST} to {PROTOCOL_HIGHEST}")]
    Protocol {
        /// Its lowest.
        lowest: u32,
        /// Its highest.
        highest: u32,
    },
    /// The proof does not fit: the secrets differ.
    #[error("peer does not know this cluster's secret")]
    BadProof,
    /// A newer start of the same node is known.
    #[error("generation {theirs} of node {node} is older than generation {known}")]
    OldIncarnation {
        /// The node.
        node: String,
        /// What it said.
        theirs: u64,
        /// What is known.
        known: u64,
    },
    /// A message out of order, or a name that cannot be.
    #[error("peer broke the handshake: {0}")]
    Broken(&'static str),
}

/// What a node brings to every handshake.
#[derive(Clone)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's secrets.
    pub secrets: Secrets,
    /// This node.
    pub node_id: NodeId,
    /// This start of it.
    pub generation: u64,
}

/// The secret that a peer has proven. What it is worth ends when the secret is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Proven(Option<String>);

/// Never shows it.
impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Proven" } else { "Unproven" })
    }
}

impl Identity {
    /// Whether a stream on which the peer has proven `proven` may go on.
    #[must_use]
    pub fn accepts(&self, proven: &Proven) -> bool {
        match &proven.0 {
            Some(secret) => self.secrets.current().contains(secret),
            None => self.secrets.current().is_empty(),
        }
    }

    /// The first word of the dialling node.
    #[must_use]
    pub fn hello(&self, target: &NodeId, cluster_id: u64, nonce: [u8; NONCE_BYTES]) -> Hello {
        Hello {
            cluster: self.cluster.clone(),
            cluster_id,
            node_id: self.node_id.to_string(),
            generation: self.generation,
            target_node_id: target.to_string(),
            nonce: nonce.to_vec().into(),
            protocol_lowest: PROTOCOL_LOWEST,
            protocol_highest: PROTOCOL_HIGHEST,
        }
    }

    /// Checks a hello and answers it.
    ///
    /// # Errors
    /// When the two nodes do not belong together; the text may be sent to the peer.
    pub fn challenge(
        &self,
        hello: &Hello,
        cluster_id: u64,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Challenge, HandshakeError> {
        if hello.cluster != self.cluster {
            let (theirs, ours) = (hello.cluster.clone(), self.cluster.clone());
            return Err(HandshakeError::OtherCluster { theirs, ours });
        }
        if hello.target_node_id != self.node_id.as_str() {
            let (expected, found) = (hello.target_node_id.clone(), self.node_id.to_string());
            return Err(HandshakeError::WrongNode { expected, found });
        }
        if hello.nonce.len() != NONCE_BYTES {
            return Err(HandshakeError::Broken("nonce of the wrong length"));
        }
        same_founding(hello.cluster_id, cluster_id)?;
        let (lowest, highest) = (hello.protocol_lowest, hello.protocol_highest);
        let protocol = highest.min(PROTOCOL_HIGHEST);
        if protocol < PROTOCOL_LOWEST || protocol < lowest {
            return Err(HandshakeError::Protocol { lowest, highest });
        }
        let mut challenge = Challenge {
            node_id: self.node_id.to_string(),
            generation: self.generation,
            cluster_id,
            nonce: nonce.to_vec().into(),
            protocol,
            proof: Default::default(),
        };
        challenge.proof = self.proof(Side::Answering, hello, &challenge).into();
        Ok(challenge)
    }

    /// Checks a challenge. Returns the proof that answers it, and what the other node has proven.
    ///
    /// # Errors
    /// When the other node is not who it should be.
    pub fn answer(&self, hello: &Hello, challenge: &Challenge) -> Result<(Vec<u8>, Proven), HandshakeError> {
        if challenge.node_id != hello.target_node_id {
            let (expected, found) = (hello.target_node_id.clone(), challenge.node_id.clone());
            return Err(HandshakeError::WrongNode { expected, found });
        }
        same_founding(challenge.cluster_id, hello.cluster_id)?;
        if !(PROTOCOL_LOWEST..=PROTOCOL_HIGHEST).contains(&challenge.protocol) {
            let (lowest, highest) = (challenge.protocol, challenge.protocol);
            return Err(HandshakeError::Protocol { lowest, highest });
        }
        let proven = self.verify(Side::Answering, hello, challenge, &challenge.proof)?;
        Ok((self.proof(Side::Dialling, hello, challenge), proven))
    }

    /// Checks the dialling node's proof. Returns what it has proven.
    ///
    /// # Errors
    /// When it knows none of the secrets.
    pub fn accept(
        &self,
        hello: &Hello,
        challenge: &Challenge,
        proof: &[u8],
    ) -> Result<Proven, HandshakeError> {
        self.verify(Side::Dialling, hello, challenge, proof)
    }

    /// An older start of a node that is known to run as a newer one is neither served nor asked.
    ///
    /// # Errors
    /// When `peer` is known to run as a later generation.
    pub fn check_incarnation(
        &self,
        cluster: &Cluster,
        peer: &NodeId,
        generation: u64,
    ) -> Result<(), HandshakeError> {
        cluster.observe_generation(peer, generation);
        let view = cluster.view();
        match view.members().iter().find(|member| member.node_id == *peer) {
            Some(member) if member.generation > generation => Err(HandshakeError::OldIncarnation {
                node: peer.to_string(),
                theirs: generation,
                known: member.generation,
            }),
            _ => Ok(()),
        }
    }

    fn proof(&self, side: Side, hello: &Hello, challenge: &Challenge) -> Vec<u8> {
        let secrets = self.secrets.current();
        let mac = secrets.first().and_then(|secret| mac(secret, side, hello, challenge));
        mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    }

    fn verify(
        &self,
        side: Side,
        hello: &Hello,
        challenge: &Challenge,
        proof: &[u8],
    ) -> Result<Proven, HandshakeError> {
        let secrets = self.secrets.current();
        if secrets.is_empty() {
            return Ok(Proven(None));
        }
        let fits = |secret: &&String| {
            mac(secret, side, hello, challenge).is_some_and(|mac| mac.verify_slice(proof).is_ok())
        };
        let secret = secrets.iter().find(fits).ok_or(HandshakeError::BadProof)?;
        Ok(Proven(Some(secret.clone())))
    }
}

/// Keyed hash over everything either side said, each field with its length before it.
fn mac(secret: &str, side: Side, hello: &Hello, challenge: &Challenge) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    let words: [&[u8]; 7] = [
        match side {
            Side::Dialling => b"shoal peer link: dialling",
            Side::Answering => b"shoal peer link: answering",
        },
        hello.cluster.as_bytes(),
        hello.node_id.as_bytes(),
        hello.target_node_id.as_bytes(),
        &hello.nonce,
        challenge.node_id.as_bytes(),
        &challenge.nonce,
    ];
    for word in words {
        mac.update(&(word.len() as u64).to_le_bytes());
        mac.update(word);
    }
    let numbers = [
        hello.cluster_id,
        hello.generation,
        hello.protocol_lowest.into(),
        hello.protocol_highest.into(),
        challenge.cluster_id,
        challenge.generation,
        challenge.protocol.into(),
    ];
    for number in numbers {
        mac.update(&number.to_le_bytes());
    }
    Some(mac)
}

#[derive(Clone, Copy)]
enum Side {
    Dialling,
    Answering,
}

/// A node without a record has no founding to compare.
fn same_founding(theirs: u64, ours: u64) -> Result<(), HandshakeError> {
    if theirs != ours && theirs != 0 && ours != 0 {
        return Err(HandshakeError::OtherFounding { theirs, ours });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str, secrets: &[&str]) -> Identity {
        Identity {
            cluster: "c".into(),
            secrets: Secrets::new(secrets.iter().copied()),
            node_id: NodeId::new(name).unwrap(),
            generation: 4,
        }
    }

    fn run(dialling: &Identity, answering: &Identity) -> Result<(), HandshakeError> {
        let hello = dialling.hello(&NodeId::new("b").unwrap(), 9, [1; NONCE_BYTES]);
        let challenge = answering.challenge(&hello, 9, [2; NONCE_BYTES])?;
        let (proof, proven) = dialling.answer(&hello, &challenge)?;
        assert!(dialling.accepts(&proven));
        assert!(answering.accepts(&answering.accept(&hello, &challenge, &proof)?));
        Ok(())
    }

    #[test]
    fn nodes_of_one_cluster_meet_with_and_without_a_secret() {
        for secrets in [&[][..], &["s"]] {
            assert_eq!(run(&identity("a", secrets), &identity("b", secrets)), Ok(()));
        }
    }

    #[test]
    fn each_difference_is_refused_by_name() {
        let (a, b) = (identity("a", &["s"]), identity("b", &["s"]));
        assert_eq!(run(&identity("a", &["t"]), &b), Err(HandshakeError::BadProof));
        assert_eq!(run(&identity("a", &[]), &b), Err(HandshakeError::BadProof));
        assert_eq!(run(&a, &identity("b", &[])), Err(HandshakeError::BadProof));
        assert!(matches!(run(&a, &identity("c", &["s"])), Err(HandshakeError::WrongNode { .. })));
        let other = Identity { cluster: "d".into(), ..b.clone() };
        assert!(matches!(run(&a, &other), Err(HandshakeError::OtherCluster { .. })));
        let mut hello = a.hello(&b.node_id, 9, [1; NONCE_BYTES]);
        assert!(matches!(
            b.challenge(&hello, 8, [2; NONCE_BYTES]),
            Err(HandshakeError::OtherFounding { .. })
        ));
        assert!(b.challenge(&hello, 0, [2; NONCE_BYTES]).is_ok());
        hello.protocol_lowest = 2;
        hello.protocol_highest = 3;
        assert!(matches!(b.challenge(&hello, 9, [2; NONCE_BYTES]), Err(HandshakeError::Protocol { .. })));
    }

    #[test]
    fn a_secret_is_replaced_without_a_gap() {
        let steps: [&[&str]; 4] = [&["old"], &["old", "new"], &["new", "old"], &["new"]];
        // At any moment some nodes are one step ahead of the others.
        for pair in steps.windows(2) {
            for (one, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                assert_eq!(run(&identity("a", one), &identity("b", other)), Ok(()), "{pair:?}");
            }
        }
        assert_eq!(run(&identity("a", steps[0]), &identity("b", steps[3])), Err(HandshakeError::BadProof));
    }

    #[test]
    fn what_was_proven_is_worth_something_until_the_secret_is_dropped() {
        let (a, b) = (identity("a", &["s"]), identity("b", &["t", "s"]));
        let hello = a.hello(&b.node_id, 9, [1; NONCE_BYTES]);
        let mut challenge = b.challenge(&hello, 9, [2; NONCE_BYTES]).unwrap();
        challenge.proof = a.proof(Side::Answering, &hello, &challenge).into();
        let (proof, _) = a.answer(&hello, &challenge).unwrap();
        let proven = b.accept(&hello, &challenge, &proof).unwrap();
        assert!(b.accepts(&proven));
        b.secrets.replace(["s", "t"]);
        assert!(b.accepts(&proven));
        b.secrets.replace(["t"]);
        assert!(!b.accepts(&proven));
        assert_eq!(format!("{proven:?}"), "Proven");
    }

    #[test]
    fn a_proof_is_worth_nothing_for_other_words_or_the_other_side() {
        let (a, b) = (identity("a", &["s"]), identity("b", &["s"]));
        let hello = a.hello(&b.node_id, 9, [1; NONCE_BYTES]);
        let challenge = b.challenge(&hello, 9, [2; NONCE_BYTES]).unwrap();
        let (proof, _) = a.answer(&hello, &challenge).unwrap();
        assert_eq!(b.accept(&hello, &challenge, &challenge.proof), Err(HandshakeError::BadProof));
        let another = b.challenge(&hello, 9, [3; NONCE_BYTES]).unwrap();
        assert_eq!(b.accept(&hello, &another, &proof), Err(HandshakeError::BadProof));
        let lied = Hello { generation: 5, ..hello };
        assert_eq!(b.accept(&lied, &challenge, &proof), Err(HandshakeError::BadProof));
    }
}
