//! How often keys were used lately, in 4 bits each: a count-min sketch with ageing, that grows with the number of keys.
//!
//! A key has 4 counters in one block of 64 bytes. Blocks are split one at a time as keys are added, by linear hashing,
//! so that growth never moves more than a block. All counters are halved at the same moment, or counts of two keys
//! could not be compared: a block remembers the age up to which that was done, and catches up when it is next written.

/// Keys per block: 3.2 bytes of sketch for each.
const KEYS: u64 = 20;
/// Uses per key after which every counter is halved.
const PERIOD: u64 = 12;
/// The most that a counter tells.
pub(in crate::store) const MAX_USES: u32 = 15;

/// Blocks in one allocation, so that growth moves no more than the table of chunks.
const CHUNK: usize = 256;
/// Blocks for a shard however small, where keys of chance would meet too often in fewer.
const MIN_BLOCKS: usize = 256;

pub(in crate::store) struct Sketch {
    chunks: Vec<Vec<Block>>,
    blocks: usize,
    /// Keys there is to be room for.
    keys: u64,
    /// How often all counters were halved, around 256.
    age: u8,
    /// Uses since then.
    uses: u64,
}

/// 124 counters, and in the place of the last four the age at which they were halved.
#[derive(Clone, Copy, Default)]
struct Block([u64; 8]);

impl Default for Sketch {
    fn default() -> Self {
        let mut sketch = Self { chunks: Vec::new(), blocks: 0, keys: 0, age: 0, uses: 0 };
        (0..MIN_BLOCKS).for_each(|_| sketch.push(Block::default()));
        sketch
    }
}

impl Sketch {
    pub(in crate::store) fn bytes(&self) -> u64 {
        (self.blocks * size_of::<Block>()) as u64
    }

    /// Sees to it that there is room for so many keys, which is to be said with each that is added.
    pub(in crate::store) fn make_room(&mut self, keys: u64) {
        self.keys = keys;
        if self.blocks as u64 * KEYS < keys {
            // The keys of a block are divided among two; each begins with the counters of both.
            let half = self.blocks.next_power_of_two() / if self.blocks.is_power_of_two() { 1 } else { 2 };
            let split = *self.block(self.blocks - half);
            self.push(split);
        }
    }

    /// Counts a use.
    pub(in crate::store) fn count(&mut self, hash: u64) {
        let (number, age) = (self.number(hash), self.age);
        let block = &mut self.chunks[number / CHUNK][number % CHUNK];
        block.catch_up(age);
        if block.count(hash) {
            self.uses += 1;
            if self.uses >= PERIOD * self.keys.max(KEYS) {
                self.uses = 0;
                self.age = self.age.wrapping_add(1);
            }
        }
    }

    /// How often it was used lately, at most [`MAX_USES`].
    pub(in crate::store) fn uses(&self, hash: u64) -> u32 {
        let block = self.block(self.number(hash));
        block.uses(hash).unbounded_shr(block.behind(self.age))
    }

    fn number(&self, hash: u64) -> usize {
        // The hash's upper bits say the shard and the place in the index.
        let bits = (hash ^ hash >> 32) as u32 as usize;
        let full = self.blocks.next_power_of_two();
        let number = bits & (full - 1);
        if number < self.blocks { number } else { number & (full / 2 - 1) }
    }

    fn push(&mut self, block: Block) {
        if self.blocks.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(block);
            self.blocks += 1;
        }
    }

    fn block(&self, number: usize) -> &Block {
        &self.chunks[number / CHUNK][number % CHUNK]
    }
}

impl Block {
    const AGE_SHIFT: u32 = 56;
    const HALF: u64 = 0x7777_7777_7777_7777;

    /// How often the counters have yet to be halved.
    fn behind(&self, age: u8) -> u32 {
        u32::from(age.wrapping_sub((self.0[7] >> Self::AGE_SHIFT) as u8))
    }

    fn catch_up(&mut self, age: u8) {
        for _ in 0..self.behind(age).min(4) {
            self.0.iter_mut().for_each(|word| *word = *word >> 1 & Self::HALF);
        }
        self.0[7] = self.0[7] << 8 >> 8 | u64::from(age) << Self::AGE_SHIFT;
    }

    /// Raises the lowest of the key's counters, unless they can count no further.
    fn count(&mut self, hash: u64) -> bool {
        let uses = self.uses(hash);
        if uses == MAX_USES {
            return false;
        }
        for (word, shift) in counters(hash) {
            if self.0[word] >> shift & 15 == u64::from(uses) {
                self.0[word] += 1 << shift;
            }
        }
        true
    }

    fn uses(&self, hash: u64) -> u32 {
        let counts = counters(hash).map(|(word, shift)| (self.0[word] >> shift & 15) as u32);
        counts.into_iter().min().unwrap_or(0)
    }
}

/// Where a key's counters are: each in one of the two words that are its own.
fn counters(hash: u64) -> [(usize, u32); 4] {
    let bits = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [0, 1, 2, 3].map(|n| {
        let bits = (bits >> (32 + 8 * n)) as usize;
        // The last byte of the last word is the age.
        let word = 2 * n + (bits & 1);
        let place = bits >> 1 & 15;
        (word, if word == 7 { place % 14 } else { place } as u32 * 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn hash(key: u64) -> u64 {
        xxh3_64(&key.to_le_bytes())
    }

    #[test]
    fn counts_are_kept_while_keys_are_added() {
        let mut sketch = Sketch::default();
        (0..5).for_each(|_| sketch.count(hash(0)));
        let before = sketch.bytes();
        for keys in 1..20_000 {
            sketch.make_room(keys);
        }
        assert!(sketch.bytes() > before);
        assert_eq!(sketch.uses(hash(0)), 5);
        assert!(sketch.bytes() <= 20_000 / KEYS * 64 + 64);
    }

    #[test]
    fn few_keys_are_taken_for_others() {
        let mut sketch = Sketch::default();
        (1..=10_000).for_each(|keys| sketch.make_room(keys));
        (0..10_000).for_each(|key| sketch.count(hash(key)));
        let (all, wrong) = (20_000, 10_000 / 12);
        assert!((0..10_000).all(|key| sketch.uses(hash(key)) >= 1));
        assert!((10_000..all).filter(|key| sketch.uses(hash(*key)) > 0).count() < wrong);
    }

    #[test]
    fn all_counts_are_halved_at_once_and_at_last_forgotten() {
        let mut sketch = Sketch::default();
        sketch.make_room(1_000);
        (0..8).for_each(|_| sketch.count(hash(0)));
        let mut counts = vec![8];
        for key in 1..PERIOD * 1_000 * 5 {
            sketch.count(hash(key));
            counts.push(sketch.uses(hash(0)));
        }
        counts.dedup();
        assert!(counts.starts_with(&[8, 4]) && counts.contains(&0), "{counts:?}");
    }
}
