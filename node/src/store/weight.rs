//! What is charged for an entry: its bytes, and everything the store keeps on its account.

use super::entry::Entry;

/// Its place in the index: a slot number and a control byte per bucket, and a table is at least 7/16 full.
const INDEX: usize = 12;
/// The allocator's header and rounding of the buffer that holds key and value.
const BUFFER: usize = 16;
/// The reference count a buffer gets when its first reader takes a share, as allocated.
const SHARE: usize = 32;
/// Its place in the tree of due times, with the free room of the tree's nodes.
const DUE: usize = 40;

/// Bytes charged per value or marker beyond those of key and value.
pub const ENTRY_OVERHEAD: u64 = (size_of::<Entry>() + INDEX + BUFFER + SHARE) as u64;
/// Bytes charged on top for a value that expires.
pub const EXPIRY_OVERHEAD: u64 = DUE as u64;

/// The charge for `payload` bytes of key and value; `due` if the store has to remember when the value expires.
pub(super) fn of(payload: usize, due: bool) -> u64 {
    payload as u64 + ENTRY_OVERHEAD + if due { EXPIRY_OVERHEAD } else { 0 }
}
