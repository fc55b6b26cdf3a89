//! How far this node's memory of each vnode can be trusted since it started empty.

use parking_lot::Mutex;
use shoal_proto::types::{Generations, RebuildState, Trust, Vnode};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

/// The trust in every vnode.
#[derive(Debug)]
pub struct VnodeStates {
    trust: Vec<AtomicU8>,
    ready: AtomicU32,
    // Touched when a vnode is declared empty and when a co-owner asks; never across an await.
    founding: Mutex<BTreeMap<Vnode, Generations>>,
}

impl VnodeStates {
    /// All of `vnodes` untrusted.
    #[must_use]
    pub fn new(vnodes: u16) -> Self {
        Self {
            trust: (0..vnodes).map(|_| AtomicU8::new(Trust::Starting as u8)).collect(),
            ready: AtomicU32::new(0),
            founding: Mutex::default(),
        }
    }

    /// The trust in `vnode`.
    #[must_use]
    pub fn trust(&self, vnode: Vnode) -> Trust {
        match self.trust.get(usize::from(vnode.0)).map(|t| t.load(Ordering::Acquire)) {
            Some(2) => Trust::Ready,
            Some(1) => Trust::Rebuilding,
            _ => Trust::Starting,
        }
    }

    /// Raises the trust in `vnode`; a lower one is ignored.
    pub fn raise(&self, vnode: Vnode, to: Trust) {
        let Some(trust) = self.trust.get(usize::from(vnode.0)) else { return };
        let before = trust.fetch_max(to as u8, Ordering::AcqRel);
        if to == Trust::Ready && before < Trust::Ready as u8 {
            self.ready.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Declares `vnode` ready because all its owners were empty under these generations.
    pub fn found(&self, vnode: Vnode, generations: Generations) {
        self.founding.lock().insert(vnode, generations);
        self.raise(vnode, Trust::Ready);
    }

    /// How many vnodes are ready.
    #[must_use]
    pub fn ready_count(&self) -> u32 {
        self.ready.load(Ordering::Acquire)
    }

    /// What a co-owner that rebuilds must know of `vnode`.
    #[must_use]
    pub fn state(&self, vnode: Vnode) -> RebuildState {
        RebuildState {
            ready: self.trust(vnode) == Trust::Ready,
            founding: self.founding.lock().get(&vnode).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_only_grows_and_ready_vnodes_are_counted_once() {
        let states = VnodeStates::new(4);
        states.raise(Vnode(1), Trust::Rebuilding);
        states.raise(Vnode(1), Trust::Ready);
        states.raise(Vnode(1), Trust::Ready);
        states.raise(Vnode(1), Trust::Rebuilding);
        states.found(Vnode(2), Generations::from_slice(&[1, 2, 3]));
        states.raise(Vnode(9), Trust::Ready);
        assert_eq!(
            [0, 1, 2, 9].map(|v| states.trust(Vnode(v))),
            [Trust::Starting, Trust::Ready, Trust::Ready, Trust::Starting]
        );
        assert_eq!(states.ready_count(), 2);
        assert_eq!(states.state(Vnode(2)).founding.as_deref(), Some(&[1, 2, 3][..]));
    }
}
