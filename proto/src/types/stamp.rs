use super::Phase;
use smallvec::SmallVec;

/// Generations of a vnode's owners, in preference-list order.
pub type Generations = SmallVec<[u64; 5]>;

/// What a coordinator believed about a vnode when it planned a request. Every replica request carries one;
/// a replica that knows better refuses, so answers that are counted together share one stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Epoch of the ring record.
    pub epoch: u64,
    /// Phase of the change to that epoch.
    pub phase: Phase,
    /// Generations of the vnode's owners.
    pub generations: Generations,
}
