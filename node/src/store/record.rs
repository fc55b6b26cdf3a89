//! How an entry is laid out in bytes: a header, the key, the value.
//!
//! ```text
//! flags 1 | use 1 | list 6 | tag 8 | vnode 2 | key length 2 | value length 3
//!         | next piece 3, if cut | expiry 6, if any | wheel 6, if a value that expires | since 6, if a marker
//!         | hash 8, if a ghost | touch 2 and its stamp 8, if any
//! ```
//!
//! A ghost is a marker without a key: the hash stands for it, and it is told apart by the byte of use, which only values
//! have a use for.
//!
//! Pieces behind the first begin with 7 bytes: a zero, where the piece before lies, where the next one.

use super::arena::Loc;
use shoal_proto::types::{Tag, UnixMillis, Version, Vnode};

/// Beyond the byte of flags: a ghost.
const GHOST: u16 = 1 << 8;
/// In the byte of use of a marker: it is a ghost.
const GHOST_USE: u8 = 1;

const HEAD: u8 = 1;
const MARKER: u8 = 2;
const EXPIRY: u8 = 4;
const CUT: u8 = 8;
const TOUCH: u8 = 16;
const LIST_SHIFT: u32 = 5;
/// In the byte of use: the key has one byte more than its length can say.
const LONGEST_KEY: u8 = 0x80;

const USE_AT: usize = 1;
pub(super) const LIST_AT: usize = 2;
const TAG_AT: usize = 8;
const VNODE_AT: usize = 16;
const KEY_LEN_AT: usize = 18;
const VALUE_LEN_AT: usize = 20;
const FIXED: usize = 23;
const MILLIS: usize = 6;
const HASH: usize = 8;
const TOUCH_LEN: usize = 2 + 8;
pub(super) const LINKS: usize = 2 * Loc::BYTES;

pub(super) const TAIL_PREV_AT: usize = 1;
pub(super) const TAIL_NEXT_AT: usize = 4;

/// What a header says, links aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) vnode: Vnode,
    pub(super) tag: Tag,
    pub(super) touch: u16,
    pub(super) expires_at: Option<UnixMillis>,
    /// The stamp of the last change of expiry.
    pub(super) touched_at: Option<Tag>,
    /// What it is.
    pub(super) kind: Kind,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
}

/// What is held under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    /// What is left of a deletion or of a value that has expired.
    Marker {
        since: UnixMillis,
    },
    /// What is left of a value that was given up. Its key is forgotten.
    Ghost {
        hash: u64,
    },
}

impl Fields {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let flags = bytes[0];
        let mut at = FIXED + if flags & CUT != 0 { Loc::BYTES } else { 0 };
        let mut next = |len: usize| {
            at += len;
            number(&bytes[at - len..at])
        };
        let expires_at = (flags & EXPIRY != 0).then(|| UnixMillis(next(MILLIS)));
        let kind = match (flags & MARKER != 0, is_ghost(bytes)) {
            (false, _) => Kind::Value,
            (true, false) => Kind::Marker { since: UnixMillis(next(MILLIS)) },
            (true, true) => Kind::Ghost { hash: next(HASH) },
        };
        if kind == Kind::Value && expires_at.is_some() {
            next(LINKS);
        }
        let (touch, touched_at) = if flags & TOUCH != 0 { (next(2) as u16, next(8)) } else { (0, 0) };
        Self {
            vnode: vnode(bytes),
            tag: Tag::from_bits(number(&bytes[TAG_AT..TAG_AT + 8])).expect("was a tag when it was stored"),
            touch,
            expires_at,
            touched_at: Tag::from_bits(touched_at),
            kind,
            key_len: key_len(bytes),
            value_len: value_len(bytes),
        }
    }

    /// The version, but for the hash of the value.
    pub(super) fn rank(&self) -> Version {
        Version {
            tag: self.tag,
            dead: matches!(self.kind, Kind::Marker { .. }),
            touch: self.touch,
            expires_at: self.expires_at,
            touched_at: self.touched_at,
            value_hash: 0,
        }
    }

    fn flags(&self, cut: bool) -> u16 {
        let flag = |present: bool, flag: u8| u16::from(if present { flag } else { 0 });
        u16::from(HEAD)
            | flag(self.kind != Kind::Value, MARKER)
            | flag(self.expires_at.is_some(), EXPIRY)
            | flag(cut, CUT)
            | flag(self.touch != 0 || self.touched_at.is_some(), TOUCH)
            | if matches!(self.kind, Kind::Ghost { .. }) { GHOST } else { 0 }
    }

    /// Bytes of the header.
    pub(super) fn header_len(&self, cut: bool) -> usize {
        header_len(self.flags(cut))
    }

    /// Writes the header of an entry that is in no list yet; returns its length.
    pub(super) fn write(&self, bytes: &mut [u8], cut: bool) -> usize {
        let flags = self.flags(cut);
        bytes[..FIXED].fill(0);
        bytes[0] = flags as u8;
        bytes[USE_AT] = if self.key_len > usize::from(u16::MAX) { LONGEST_KEY } else { 0 }
            | if flags & GHOST != 0 { GHOST_USE } else { 0 };
        bytes[TAG_AT..TAG_AT + 8].copy_from_slice(&self.tag.to_bits().to_le_bytes());
        bytes[VNODE_AT..VNODE_AT + 2].copy_from_slice(&self.vnode.0.to_le_bytes());
        bytes[KEY_LEN_AT..KEY_LEN_AT + 2].copy_from_slice(&(self.key_len as u16).to_le_bytes());
        bytes[VALUE_LEN_AT..VALUE_LEN_AT + 3].copy_from_slice(&(self.value_len as u32).to_le_bytes()[..3]);
        let mut at = FIXED;
        if cut {
            Loc::NONE.write(&mut bytes[at..]);
            at += Loc::BYTES;
        }
        if let Some(expires_at) = self.expires_at {
            bytes[at..at + MILLIS].copy_from_slice(&expires_at.0.to_le_bytes()[..MILLIS]);
            at += MILLIS + if self.kind == Kind::Value { LINKS } else { 0 };
        }
        match self.kind {
            Kind::Value => {}
            Kind::Marker { since } => {
                bytes[at..at + MILLIS].copy_from_slice(&since.0.to_le_bytes()[..MILLIS]);
                at += MILLIS;
            }
            Kind::Ghost { hash } => {
                bytes[at..at + HASH].copy_from_slice(&hash.to_le_bytes());
                at += HASH;
            }
        }
        if flags & u16::from(TOUCH) != 0 {
            bytes[at..at + 2].copy_from_slice(&self.touch.to_le_bytes());
            let stamp = self.touched_at.map_or(0, Tag::to_bits);
            bytes[at + 2..at + TOUCH_LEN].copy_from_slice(&stamp.to_le_bytes());
        }
        header_len(flags)
    }
}

/// Bytes of an entry in one piece, with so many of key and value.
pub(super) fn len(version: &Version, payload: usize) -> usize {
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    let flags = flag(version.dead, MARKER)
        | flag(version.expires_at.is_some(), EXPIRY)
        | flag(version.touch != 0 || version.touched_at.is_some(), TOUCH);
    header_len(flags.into()) + payload
}

pub(super) fn is_head(bytes: &[u8]) -> bool {
    bytes[0] & HEAD != 0
}

/// Whether it is a value.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    bytes[0] & MARKER == 0
}

/// Whether it is a ghost.
pub(super) fn is_ghost(bytes: &[u8]) -> bool {
    !is_value(bytes) && uses(bytes) == GHOST_USE
}

/// The hash that a ghost has in the place of a key.
pub(super) fn ghost_hash(bytes: &[u8]) -> u64 {
    let at = FIXED + if bytes[0] & EXPIRY != 0 { MILLIS } else { 0 };
    number(&bytes[at..at + HASH])
}

/// Whether the entry has more than one piece.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    bytes[0] & CUT != 0
}

/// Where the location of the second piece stands, in an entry that is cut.
pub(super) const SECOND_AT: usize = FIXED;

fn expiry_at(bytes: &[u8]) -> usize {
    FIXED + if is_cut(bytes) { Loc::BYTES } else { 0 }
}

/// When the value expires; `None` for a marker too.
pub(super) fn due(bytes: &[u8]) -> Option<UnixMillis> {
    let at = expiry_at(bytes);
    (bytes[0] & (EXPIRY | MARKER) == EXPIRY).then(|| UnixMillis(number(&bytes[at..at + MILLIS])))
}

/// Where a value that expires has its links in the wheel.
pub(super) fn wheel_at(bytes: &[u8]) -> usize {
    expiry_at(bytes) + MILLIS
}

pub(super) fn vnode(bytes: &[u8]) -> Vnode {
    Vnode(number(&bytes[VNODE_AT..VNODE_AT + 2]) as u16)
}

pub(super) fn key_len(bytes: &[u8]) -> usize {
    let len = number(&bytes[KEY_LEN_AT..KEY_LEN_AT + 2]) as usize;
    if bytes[USE_AT] & LONGEST_KEY != 0 { len + 1 + usize::from(u16::MAX) } else { len }
}

pub(super) fn value_len(bytes: &[u8]) -> usize {
    number(&bytes[VALUE_LEN_AT..VALUE_LEN_AT + 3]) as usize
}

/// The list the entry stands in.
pub(super) fn list(bytes: &[u8]) -> usize {
    usize::from(bytes[0] >> LIST_SHIFT)
}

pub(super) fn set_list(bytes: &mut [u8], list: usize) {
    bytes[0] = bytes[0] & ((1 << LIST_SHIFT) - 1) | (list as u8) << LIST_SHIFT;
}

/// The entry's neighbours in its list.
pub(super) fn list_links(bytes: &[u8]) -> [u8; LINKS] {
    let mut links = [0; LINKS];
    links.copy_from_slice(&bytes[LIST_AT..LIST_AT + LINKS]);
    links
}

pub(super) fn set_list_links(bytes: &mut [u8], links: [u8; LINKS]) {
    bytes[LIST_AT..LIST_AT + LINKS].copy_from_slice(&links);
}

/// Seven bits in which a policy may count use.
pub(super) fn uses(bytes: &[u8]) -> u8 {
    bytes[USE_AT] & !LONGEST_KEY
}

pub(super) fn set_uses(bytes: &mut [u8], uses: u8) {
    bytes[USE_AT] = bytes[USE_AT] & LONGEST_KEY | uses & !LONGEST_KEY;
}

pub(super) fn header_len_of(bytes: &[u8]) -> usize {
    header_len(u16::from(bytes[0]) | if is_ghost(bytes) { GHOST } else { 0 })
}

fn header_len(flags: u16) -> usize {
    let part = |flag: u8, len: usize| if flags & u16::from(flag) != 0 { len } else { 0 };
    let marker = if flags & GHOST != 0 { HASH } else { MILLIS };
    FIXED
        + part(CUT, Loc::BYTES)
        + part(EXPIRY, MILLIS)
        + if flags & u16::from(EXPIRY | MARKER) == u16::from(EXPIRY) { LINKS } else { 0 }
        + part(MARKER, marker)
        + part(TOUCH, TOUCH_LEN)
}

fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(number)
}
