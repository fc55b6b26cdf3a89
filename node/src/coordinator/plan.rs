//! Pure: whom to ask for a key, in which order, and how many must answer.

use super::CoordinatorError;
use shoal_membership::ClusterView;
use shoal_proto::types::{Consistency, Key, Stamp, Vnode};
use smallvec::SmallVec;

/// The owners of one key as a request at one level sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The key's vnode.
    pub vnode: Vnode,
    /// What every replica request of this plan carries.
    pub stamp: Stamp,
    /// The level asked for.
    pub level: Consistency,
    /// How many owners must answer.
    pub required: usize,
    /// Indices into the view's members, best asked first: this node, then the living in preference order, then the rest.
    pub owners: SmallVec<[u16; 5]>,
}

impl Plan {
    /// Plans a request for `key` at `level`.
    ///
    /// # Errors
    /// Before there is a ring, and when the level needs more owners than the key has.
    pub fn new(view: &ClusterView, key: &Key, level: Consistency) -> Result<Self, CoordinatorError> {
        let vnode = view.vnode_of(key.as_bytes()).ok_or(CoordinatorError::NotReady)?;
        let stamp = view.stamp(vnode).ok_or(CoordinatorError::NotReady)?;
        let mut owners: SmallVec<[u16; 5]> = view.owners(vnode).into();
        let required = level.required(owners.len());
        if required > owners.len() {
            let replicas = owners.len();
            return Err(CoordinatorError::Invalid(format!(
                "{level} needs {required} owners, keys have {replicas}"
            )));
        }
        // A stable sort keeps the preference order within each class.
        owners.sort_by_key(|owner| (Some(*owner) != view.my_index(), !view.member(*owner).live));
        Ok(Self { vnode, stamp, level, required, owners })
    }

    /// How many owners the key has.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.owners.len()
    }

    /// The error for a level out of reach.
    #[must_use]
    pub fn unavailable(&self, available: usize, maybe: bool) -> CoordinatorError {
        CoordinatorError::Unavailable {
            level: self.level,
            required: self.required,
            available,
            replicas: self.replicas(),
            maybe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{cluster_of, node_id, view_of};
    use proptest::prelude::*;

    fn key(text: &str) -> Key {
        Key::new(text.to_owned()).unwrap()
    }

    proptest! {
        #[test]
        fn every_owner_is_planned_once_and_quorums_overlap(nodes in 1usize..8, replicas in 1usize..6, text in ".{0,12}") {
            let replicas = replicas.min(nodes);
            let view = view_of(nodes, replicas, 16);
            let plan = Plan::new(&view, &key(&text), Consistency::Quorum).unwrap();
            let mut planned = plan.owners.to_vec();
            planned.sort();
            let mut owners = view.owners(plan.vnode).to_vec();
            owners.sort();
            prop_assert_eq!(planned, owners);
            prop_assert!(2 * plan.required > replicas);
        }
    }

    #[test]
    fn this_node_is_asked_first_and_the_dead_last() {
        let cluster = cluster_of(3, 3, 16);
        cluster.observe_reachable(&node_id(1), false);
        let view = cluster.view();
        for text in ["a", "b", "c", "d"] {
            let plan = Plan::new(&view, &key(text), Consistency::One).unwrap();
            assert_eq!(plan.owners.as_slice(), [0, 2, 1]);
        }
    }

    #[test]
    fn a_level_above_the_number_of_owners_and_a_missing_ring_are_named() {
        let view = view_of(2, 2, 16);
        let error = Plan::new(&view, &key("k"), Consistency::Three).unwrap_err();
        assert_eq!(error.to_string(), "THREE needs 3 owners, keys have 2");
        let lonely = shoal_membership::Cluster::new(cluster_of(1, 1, 1).me()).view();
        assert_eq!(Plan::new(&lonely, &key("k"), Consistency::One), Err(CoordinatorError::NotReady));
    }
}
