//! How an entry is laid out in bytes: a header, the key, the value.
//!
//! ```text
//! flags 1 | use 1 | list 6 | tag 8 | vnode 2 | key length 2 | value length 3
//!         | next piece 3, if cut | expiry 6, if any | wheel 6, if a value that expires | since 6, if a marker | touch 2, if any
//! ```
//!
//! Pieces behind the first begin with 7 bytes: a zero, where the piece before lies, where the next one.

use super::arena::Loc;
use shoal_proto::types::{Tag, UnixMillis, Version, Vnode};

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
    /// Since when the marker stands; `None` for a value.
    pub(super) since: Option<UnixMillis>,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
}

impl Fields {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let flags = bytes[0];
        let mut at = FIXED + if flags & CUT != 0 { Loc::BYTES } else { 0 };
        let mut millis = |skip: usize| {
            let millis = millis(bytes, at);
            at += MILLIS + skip;
            millis
        };
        let expires_at = (flags & EXPIRY != 0).then(|| millis(if flags & MARKER == 0 { LINKS } else { 0 }));
        let since = (flags & MARKER != 0).then(|| millis(0));
        Self {
            vnode: vnode(bytes),
            tag: Tag::from_bits(u64::from_le_bytes(part(bytes, TAG_AT)))
                .expect("was a tag when it was stored"),
            touch: if flags & TOUCH != 0 { u16::from_le_bytes(part(bytes, at)) } else { 0 },
            expires_at,
            since,
            key_len: key_len(bytes),
            value_len: value_len(bytes),
        }
    }

    fn flags(&self, cut: bool) -> u8 {
        let flag = |present: bool, flag: u8| if present { flag } else { 0 };
        HEAD | flag(self.since.is_some(), MARKER)
            | flag(self.expires_at.is_some(), EXPIRY)
            | flag(cut, CUT)
            | flag(self.touch != 0, TOUCH)
    }

    /// Bytes of the header.
    pub(super) fn header_len(&self, cut: bool) -> usize {
        header_len(self.flags(cut))
    }

    /// Writes the header of an entry that is in no list yet; returns its length.
    pub(super) fn write(&self, bytes: &mut [u8], cut: bool) -> usize {
        let flags = self.flags(cut);
        bytes[..FIXED].fill(0);
        bytes[0] = flags;
        bytes[USE_AT] = if self.key_len > usize::from(u16::MAX) { LONGEST_KEY } else { 0 };
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
            at += MILLIS + if self.since.is_none() { LINKS } else { 0 };
        }
        if let Some(since) = self.since {
            bytes[at..at + MILLIS].copy_from_slice(&since.0.to_le_bytes()[..MILLIS]);
            at += MILLIS;
        }
        if self.touch != 0 {
            bytes[at..at + 2].copy_from_slice(&self.touch.to_le_bytes());
        }
        header_len(flags)
    }
}

/// Bytes of an entry in one piece, with so many of key and value.
pub(super) fn len(version: &Version, payload: usize) -> usize {
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    let flags = flag(version.dead, MARKER)
        | flag(version.expires_at.is_some(), EXPIRY)
        | flag(version.touch != 0, TOUCH);
    header_len(flags) + payload
}

pub(super) fn is_head(bytes: &[u8]) -> bool {
    bytes[0] & HEAD != 0
}

pub(super) fn is_marker(bytes: &[u8]) -> bool {
    bytes[0] & MARKER != 0
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
    (bytes[0] & (EXPIRY | MARKER) == EXPIRY).then(|| millis(bytes, at))
}

/// Where a value that expires has its links in the wheel.
pub(super) fn wheel_at(bytes: &[u8]) -> usize {
    expiry_at(bytes) + MILLIS
}

pub(super) fn vnode(bytes: &[u8]) -> Vnode {
    Vnode(u16::from_le_bytes(part(bytes, VNODE_AT)))
}

pub(super) fn key_len(bytes: &[u8]) -> usize {
    let len = usize::from(u16::from_le_bytes(part(bytes, KEY_LEN_AT)));
    if bytes[USE_AT] & LONGEST_KEY != 0 { len + 1 + usize::from(u16::MAX) } else { len }
}

pub(super) fn value_len(bytes: &[u8]) -> usize {
    let [a, b, c] = part(bytes, VALUE_LEN_AT);
    u32::from_le_bytes([a, b, c, 0]) as usize
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
    header_len(bytes[0])
}

fn header_len(flags: u8) -> usize {
    usize::from(HEADER_LENS[usize::from(flags) % HEADER_LENS.len()])
}

/// By the flags, the list aside.
const HEADER_LENS: [u8; 1 << LIST_SHIFT] = {
    let mut lens = [FIXED as u8; 1 << LIST_SHIFT];
    let mut flags = 0;
    while flags < lens.len() {
        let (marker, expiry) = (flags as u8 & MARKER != 0, flags as u8 & EXPIRY != 0);
        let cut = if flags as u8 & CUT != 0 { Loc::BYTES } else { 0 };
        let expiry = if expiry { MILLIS + if marker { 0 } else { LINKS } } else { 0 };
        let since = if marker { MILLIS } else { 0 };
        let touch = if flags as u8 & TOUCH != 0 { 2 } else { 0 };
        lens[flags] += (cut + expiry + since + touch) as u8;
        flags += 1;
    }
    lens
};

fn millis(bytes: &[u8], at: usize) -> UnixMillis {
    let [a, b, c, d, e, f] = part(bytes, at);
    UnixMillis(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

/// So many bytes from a place on.
fn part<const LEN: usize>(bytes: &[u8], at: usize) -> [u8; LEN] {
    *bytes[at..].first_chunk().expect("a header is as long as it says")
}
