//! Sealing of gossip datagrams: pure bytes in, bytes out.
//!
//! ```text
//! version (1) | cluster (8) | sender (7 or 19) | nonce (24) | ciphertext | tag (16)
//! ```
//!
//! The head (version, hash of the cluster's name, sender) travels in the clear and is authenticated together with the
//! name itself. A plain datagram is the head and the payload: it proves nothing.
//!
//! A recorded datagram can be sent again. Gossip survives that: its facts are numbered and never run backwards, and
//! the answer goes to the authenticated sender rather than to whoever repeated it.

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand::Rng;
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use xxhash_rust::xxh3::xxh3_64;

/// The most bytes an IPv4 UDP datagram carries.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Separates these keys from any others that may be derived from the same secret.
const KEY_PURPOSE: &[u8] = b"shoal gossip 1";

/// Seals and opens the datagrams of one cluster.
pub struct Sealer {
    /// The name, which every seal covers.
    cluster: Vec<u8>,
    /// The first seals, all open; none in plain mode.
    ciphers: Vec<XChaCha20Poly1305>,
}

/// The payload does not fit into a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("payload of {len} bytes does not fit into a datagram of {MAX_DATAGRAM_BYTES} bytes")]
pub struct Oversized {
    /// Length of the refused payload.
    pub len: usize,
}

/// Why a datagram was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It ends before its head does.
    #[error("datagram is too short")]
    TooShort,
    /// No datagram of ours is that long.
    #[error("datagram is too long")]
    TooLong,
    /// It does not begin like one of ours.
    #[error("unknown datagram version {0}")]
    Version(u8),
    /// It names another cluster.
    #[error("datagram of another cluster")]
    OtherCluster,
    /// Its sender is not written as an address.
    #[error("malformed sender")]
    Sender,
    /// It is plain, and this node has a secret.
    #[error("datagram is not sealed but this node has a secret")]
    NotSealed,
    /// It is sealed, and this node has no secret.
    #[error("datagram is sealed but this node has no secret")]
    NoSecret,
    /// It was sealed with another secret, or changed on its way.
    #[error("seal does not match any of the secrets")]
    BadSeal,
}

impl Sealer {
    /// A sealer for `cluster`. The first secret seals and all of them open, so that a secret is replaced by first
    /// adding the new one behind the old on every node, then swapping them, then dropping the old one.
    /// Without secrets datagrams are plain: framed, not authenticated.
    #[must_use]
    pub fn new(cluster: &str, secrets: &[&str]) -> Self {
        let cluster = cluster.as_bytes().to_vec();
        let ciphers = secrets.iter().map(|secret| cipher(&cluster, secret)).collect();
        Self { cluster, ciphers }
    }

    /// Makes a datagram of `payload`, sent by the node that advertises `sender`. Two sealers that share a secret must
    /// not draw their nonces from equal generators.
    ///
    /// # Errors
    /// When the result would exceed [`MAX_DATAGRAM_BYTES`].
    pub fn seal(&self, rng: &mut impl Rng, sender: SocketAddr, payload: &[u8]) -> Result<Vec<u8>, Oversized> {
        let oversized = Oversized { len: payload.len() };
        let sealing = self.ciphers.first();
        let mut datagram = self.head(if sealing.is_some() { SEALED } else { PLAIN }, sender);
        let overhead = datagram.len() + sealing.map_or(0, |_| NONCE_BYTES + TAG_BYTES);
        if payload.len() > MAX_DATAGRAM_BYTES - overhead {
            return Err(oversized);
        }
        let Some(cipher) = sealing else {
            datagram.extend_from_slice(payload);
            return Ok(datagram);
        };
        let covered = self.covered(&datagram);
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        datagram.extend_from_slice(&nonce);
        let mut body = payload.to_vec();
        let tag = cipher
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &covered, &mut body)
            .map_err(|_| oversized)?;
        datagram.extend_from_slice(&body);
        datagram.extend_from_slice(&tag);
        Ok(datagram)
    }

    /// Opens a datagram: who sent it, and what.
    ///
    /// # Errors
    /// When it is not a datagram of this cluster under one of the secrets; the error says why.
    pub fn open(&self, datagram: &[u8]) -> Result<(SocketAddr, Vec<u8>), OpenError> {
        if datagram.len() > MAX_DATAGRAM_BYTES {
            return Err(OpenError::TooLong);
        }
        let (version, rest) = datagram.split_first().ok_or(OpenError::TooShort)?;
        match (*version, self.ciphers.is_empty()) {
            (PLAIN, true) | (SEALED, false) => {}
            (PLAIN, false) => return Err(OpenError::NotSealed),
            (SEALED, true) => return Err(OpenError::NoSecret),
            (unknown, _) => return Err(OpenError::Version(unknown)),
        }
        let (cluster, rest) = rest.split_first_chunk::<8>().ok_or(OpenError::TooShort)?;
        if u64::from_be_bytes(*cluster) != xxh3_64(&self.cluster) {
            return Err(OpenError::OtherCluster);
        }
        let (sender, rest) = read_address(rest)?;
        if *version == PLAIN {
            return Ok((sender, rest.to_vec()));
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::TooShort)?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::TooShort)?;
        let covered = self.covered(&self.head(SEALED, sender));
        for cipher in &self.ciphers {
            let mut payload = body.to_vec();
            let (nonce, tag) = (XNonce::from_slice(nonce), Tag::from_slice(tag));
            if cipher.decrypt_in_place_detached(nonce, &covered, &mut payload, tag).is_ok() {
                return Ok((sender, payload));
            }
        }
        Err(OpenError::BadSeal)
    }

    fn head(&self, version: u8, sender: SocketAddr) -> Vec<u8> {
        let mut head = vec![version];
        head.extend_from_slice(&xxh3_64(&self.cluster).to_be_bytes());
        write_address(&mut head, sender);
        head
    }

    /// What the seal covers besides the payload. The head knows its own length, so nothing can move between the two.
    fn covered(&self, head: &[u8]) -> Vec<u8> {
        [head, &self.cluster].concat()
    }
}

fn cipher(cluster: &[u8], secret: &str) -> XChaCha20Poly1305 {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(cluster), secret.as_bytes())
        .expand(KEY_PURPOSE, &mut key)
        .expect("HKDF-SHA256 gives up to 8,160 bytes");
    XChaCha20Poly1305::new(&key.into())
}

fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn read_address(bytes: &[u8]) -> Result<(SocketAddr, &[u8]), OpenError> {
    let (family, rest) = bytes.split_first().ok_or(OpenError::TooShort)?;
    let (ip, rest) = match family {
        4 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::from(*ip), rest)),
        6 => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(*ip), rest)),
        _ => return Err(OpenError::Sender),
    }
    .ok_or(OpenError::TooShort)?;
    let (port, rest) = rest.split_first_chunk::<2>().ok_or(OpenError::TooShort)?;
    Ok((SocketAddr::new(ip, u16::from_be_bytes(*port)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    const SENDER: &str = "10.1.2.3:7382";

    fn seal(sealer: &Sealer, payload: &[u8]) -> Vec<u8> {
        sealer.seal(&mut StdRng::seed_from_u64(1), SENDER.parse().unwrap(), payload).unwrap()
    }

    fn addresses() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_with_its_sender(
            payload in proptest::collection::vec(any::<u8>(), 0..2_000),
            sender in addresses(),
            seed: u64,
            secret in proptest::option::of(".{1,40}"),
        ) {
            let sealer = Sealer::new("c", secret.as_deref().as_slice());
            let datagram = sealer.seal(&mut StdRng::seed_from_u64(seed), sender, &payload).unwrap();
            prop_assert_eq!(sealer.open(&datagram), Ok((sender, payload)));
        }

        #[test]
        fn any_changed_byte_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, flip in 1u8..) {
            let sealer = Sealer::new("c", &["s"]);
            let mut datagram = seal(&sealer, &payload);
            let at = at.index(datagram.len());
            datagram[at] ^= flip;
            prop_assert!(sealer.open(&datagram).is_err(), "byte {}", at);
        }

        #[test]
        fn random_bytes_are_refused(mut datagram in proptest::collection::vec(any::<u8>(), 0..300), dressed: bool) {
            let sealer = Sealer::new("c", &["s"]);
            if dressed {
                let head = sealer.head(SEALED, SENDER.parse().unwrap());
                datagram.splice(..0, head);
            }
            prop_assert!(sealer.open(&datagram).is_err());
        }
    }

    #[test]
    fn every_cut_is_refused() {
        for sender in [SENDER, "[2001:db8::1]:7382"] {
            let sealer = Sealer::new("c", &["s"]);
            let sender = sender.parse().unwrap();
            let datagram = sealer.seal(&mut StdRng::seed_from_u64(1), sender, b"payload").unwrap();
            for len in 0..datagram.len() {
                let error = sealer.open(&datagram[..len]).unwrap_err();
                assert!(matches!(error, OpenError::TooShort | OpenError::BadSeal), "{len}: {error}");
            }
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        let ours = Sealer::new("c", &["s"]);
        let cases = [
            (Sealer::new("c", &["other"]), OpenError::BadSeal),
            (Sealer::new("d", &["s"]), OpenError::OtherCluster),
            (Sealer::new("d", &["other"]), OpenError::OtherCluster),
            (Sealer::new("c", &[]), OpenError::NotSealed),
        ];
        for (theirs, expected) in cases {
            assert_eq!(ours.open(&seal(&theirs, b"payload")), Err(expected));
            assert!(theirs.open(&seal(&ours, b"payload")).is_err());
        }
        assert_eq!(Sealer::new("c", &[]).open(&seal(&ours, b"payload")), Err(OpenError::NoSecret));
        assert_eq!(ours.open(b"\x07junk"), Err(OpenError::Version(7)));
    }

    #[test]
    fn the_cluster_name_is_part_of_the_seal_and_not_only_its_hash() {
        let ours = Sealer::new("c", &["s"]);
        let datagram = seal(&Sealer { cluster: b"d".to_vec(), ciphers: ours.ciphers.clone() }, b"payload");
        let moved = [&ours.head(SEALED, SENDER.parse().unwrap()), &datagram[16..]].concat();
        assert_eq!(ours.open(&moved), Err(OpenError::BadSeal));
    }

    #[test]
    fn a_secret_is_replaced_without_a_gap() {
        let steps = [vec!["old"], vec!["old", "new"], vec!["new", "old"], vec!["new"]];
        // At any moment some nodes are one step ahead of the others.
        for pair in steps.windows(2) {
            let (before, after) = (Sealer::new("c", &pair[0]), Sealer::new("c", &pair[1]));
            assert!(after.open(&seal(&before, b"payload")).is_ok(), "{pair:?}");
            assert!(before.open(&seal(&after, b"payload")).is_ok(), "{pair:?}");
        }
        let (first, last) = (Sealer::new("c", &steps[0]), Sealer::new("c", &steps[3]));
        assert_eq!(last.open(&seal(&first, b"payload")), Err(OpenError::BadSeal));
    }

    #[test]
    fn the_largest_payload_fits_exactly_and_one_byte_more_does_not() {
        for (secrets, overhead) in [(vec!["s"], 16 + 40), (vec![], 16)] {
            let sealer = Sealer::new("c", &secrets);
            let most = MAX_DATAGRAM_BYTES - overhead;
            let datagram = seal(&sealer, &vec![7; most]);
            assert_eq!(datagram.len(), MAX_DATAGRAM_BYTES);
            assert!(sealer.open(&datagram).is_ok());
            assert_eq!(sealer.open(&[&datagram[..], &[0]].concat()), Err(OpenError::TooLong));
            let refused =
                sealer.seal(&mut StdRng::seed_from_u64(1), SENDER.parse().unwrap(), &vec![7; most + 1]);
            assert_eq!(refused, Err(Oversized { len: most + 1 }));
        }
    }

    #[test]
    fn equal_payloads_do_not_look_equal() {
        let (sealer, mut rng) = (Sealer::new("c", &["s"]), StdRng::seed_from_u64(1));
        let mut seal = || sealer.seal(&mut rng, SENDER.parse().unwrap(), b"payload").unwrap();
        let (first, second) = (seal(), seal());
        assert_ne!(first[16..], second[16..]);
    }
}
