//! How often keys were used lately, in 4 bits each: a count-min sketch with ageing, that grows with the number of keys.
//!
//! A key has 4 counters in one block of 64 bytes. Blocks are split one at a time as keys are added, by linear hashing,
//! so that growth never moves more than a block; and they are halved one at a time, each once per period.

/// 128 counters.
type Block = [u64; 8];

/// Keys per block: 4 bytes of sketch for each.
const KEYS: u64 = 16;
/// Uses per key after which every counter has been halved.
const PERIOD: u64 = 10;
/// The most that a counter tells.
pub(in crate::store) const MAX_USES: u32 = 15;

/// Blocks in one allocation, so that growth moves no more than the table of chunks.
const CHUNK: usize = 512;
const MIN_BLOCKS: usize = 8;

pub(in crate::store) struct Sketch {
    chunks: Vec<Vec<Block>>,
    blocks: usize,
    /// The block to be halved next.
    ageing: usize,
    /// Uses since a block was halved.
    uses: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        let mut sketch = Self { chunks: Vec::new(), blocks: 0, ageing: 0, uses: 0 };
        (0..MIN_BLOCKS).for_each(|_| sketch.push([0; 8]));
        sketch
    }
}

impl Sketch {
    pub(in crate::store) fn bytes(&self) -> u64 {
        (self.blocks * size_of::<Block>()) as u64
    }

    /// Sees to it that there is room for so many keys.
    pub(in crate::store) fn make_room(&mut self, keys: u64) {
        if self.blocks as u64 * KEYS < keys {
            // The keys of a block are divided among two; each begins with the counters of both.
            let half = self.blocks.next_power_of_two() / if self.blocks.is_power_of_two() { 1 } else { 2 };
            let split = *self.block(self.blocks - half);
            self.push(split);
        }
    }

    /// Counts a use.
    pub(in crate::store) fn count(&mut self, hash: u64) {
        let number = self.number(hash);
        let block = self.block_mut(number);
        let uses = COUNTERS.map(|n| counter(block, hash, n)).into_iter().min().unwrap_or(0);
        if uses < MAX_USES {
            for n in COUNTERS {
                if counter(block, hash, n) == uses {
                    let (word, shift) = place(hash, n);
                    block[word] += 1 << shift;
                }
            }
        }
        self.uses += 1;
        if self.uses >= PERIOD * KEYS {
            self.uses = 0;
            self.age();
        }
    }

    /// How often it was used lately, at most [`MAX_USES`].
    pub(in crate::store) fn uses(&self, hash: u64) -> u32 {
        let block = self.block(self.number(hash));
        COUNTERS.map(|n| counter(block, hash, n)).into_iter().min().unwrap_or(0)
    }

    fn age(&mut self) {
        self.ageing = if self.ageing + 1 < self.blocks { self.ageing + 1 } else { 0 };
        let number = self.ageing;
        self.block_mut(number).iter_mut().for_each(|word| *word = *word >> 1 & 0x7777_7777_7777_7777);
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
            self.chunks.push(Vec::with_capacity(if self.blocks == 0 { MIN_BLOCKS } else { CHUNK }));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(block);
            self.blocks += 1;
        }
    }

    fn block(&self, number: usize) -> &Block {
        &self.chunks[number / CHUNK][number % CHUNK]
    }

    fn block_mut(&mut self, number: usize) -> &mut Block {
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }
}

const COUNTERS: [u32; 4] = [0, 1, 2, 3];

/// Counter `n` of a key lies in one of the two words that are its own.
fn place(hash: u64, n: u32) -> (usize, u32) {
    let bits = (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (32 + 5 * n)) as u32 & 31;
    ((2 * n + (bits & 1)) as usize, (bits >> 1) * 4)
}

fn counter(block: &Block, hash: u64, n: u32) -> u32 {
    let (word, shift) = place(hash, n);
    (block[word] >> shift & 15) as u32
}
