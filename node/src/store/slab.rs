use super::entry::Entry;
use std::ops::{Index, IndexMut};

/// Entries per chunk: small enough that a chunk with free room is no loss worth counting.
const CHUNK: usize = 256;

/// Entries under slot numbers from 0 without gaps. Grows and shrinks by chunks, so that no operation moves the whole
/// and memory follows the number of entries.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Entry>>,
    len: u32,
}

impl Slab {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Appends an entry and returns its slot.
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        let slot = self.len;
        self.len += 1;
        slot
    }

    /// Takes out the entry at `slot`; the last entry moves there.
    pub(super) fn swap_remove(&mut self, slot: u32) -> Option<Entry> {
        let last = self.pop()?;
        if slot == self.len { Some(last) } else { Some(std::mem::replace(&mut self[slot], last)) }
    }

    fn pop(&mut self) -> Option<Entry> {
        let chunk = self.chunks.last_mut()?;
        let last = chunk.pop();
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.len -= 1;
        last
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    fn index(&self, slot: u32) -> &Entry {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

impl IndexMut<u32> for Slab {
    fn index_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}
