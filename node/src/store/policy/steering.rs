//! How large the window of W-TinyLFU is to be: as large as makes a byte of it worth as many hits as a byte outside.

/// The part of the capacity that the window begins with.
pub(in crate::store) const START: f64 = 0.10;
const MIN: f64 = 0.02;
const MAX: f64 = 0.80;
/// The part of the capacity by which the window changes at most, and for each e-fold between the densities.
const MAX_STEP: f64 = 0.30;
const STEP: f64 = 0.03;
/// Requests for each value held between one change and the next.
const PERIOD: u64 = 4;

/// What one shard saw for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::store) struct Sample {
    pub(in crate::store) requests: u64,
    pub(in crate::store) window_hits: u64,
    pub(in crate::store) main_hits: u64,
    pub(in crate::store) window_bytes: u64,
    pub(in crate::store) main_bytes: u64,
    pub(in crate::store) values: u64,
}

/// Steers the window of all shards by what they see together.
#[derive(Debug)]
pub(in crate::store) struct Steering {
    shards: u64,
    share: f64,
    seen: Seen,
    density: f64,
}

/// Sums of samples; bytes are weighted with the requests during which they were there.
#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    window_hits: f64,
    main_hits: f64,
    window_bytes: f64,
    main_bytes: f64,
}

impl Steering {
    pub(in crate::store) fn new(shards: u64) -> Self {
        Self { shards, share: START, seen: Seen::default(), density: 1.0 }
    }

    /// The window's part of the capacity.
    pub(in crate::store) fn share(&self) -> f64 {
        self.share
    }

    /// Hits per byte of the window, as a multiple of those outside, when last compared.
    pub(in crate::store) fn density(&self) -> f64 {
        self.density
    }

    /// Takes a shard's sample into account; the window's part of the capacity from now on.
    pub(in crate::store) fn add(&mut self, sample: &Sample) -> f64 {
        let weight = sample.requests as f64;
        self.seen.requests += sample.requests;
        self.seen.window_hits += sample.window_hits as f64;
        self.seen.main_hits += sample.main_hits as f64;
        self.seen.window_bytes += sample.window_bytes as f64 * weight;
        self.seen.main_bytes += sample.main_bytes as f64 * weight;
        if self.seen.requests >= PERIOD * sample.values * self.shards {
            self.change();
        }
        self.share
    }

    fn change(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        if seen.window_bytes == 0.0 || seen.main_bytes == 0.0 || seen.window_hits + seen.main_hits == 0.0 {
            return;
        }
        self.density = (seen.window_hits / seen.window_bytes) / (seen.main_hits / seen.main_bytes);
        // The logarithm is infinite where one has no hits: then the step is the largest.
        let excess = self.density.ln();
        let step = (STEP * excess.abs()).min(MAX_STEP);
        self.share = (self.share + excess.signum() * step).clamp(MIN, MAX);
    }
}
