//! Decides which node a call goes to.

use crate::topology::{Topology, TopologyNode};
use std::sync::Arc;

/// What the client's own calls to a node have come to of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Experience {
    /// There were none.
    None,
    /// It answers.
    Good,
    /// Its breaker is open.
    Bad,
}

/// What speaks against a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    None,
    Breaker,
    Dead,
}

/// Orders the nodes for a slot: first by what speaks against them, then owners before others, then who is rebuilt, then
/// who is in the caller's zone. Equal owners keep the order of the preference list, so that the reads of a key meet the
/// same copy; equal others are spread over the slots.
#[derive(Debug, Default)]
pub(crate) struct Router {
    topology: Option<Arc<Topology>>,
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    live: bool,
    ready: bool,
    near: bool,
    standing: Standing,
}

/// What a node is to the cluster, the most useful first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Member,
    Gateway,
    /// It was there before the last change and is no more.
    Leaving,
    /// Nobody knows where it is.
    Unknown,
}

impl Router {
    /// Routes over the nodes of `topology`, numbered as there, and after them over `leaving`.
    pub(crate) fn new(topology: Arc<Topology>, leaving: &[TopologyNode], zone: Option<&str>) -> Self {
        let place = |node: &TopologyNode, standing| Place {
            live: node.live,
            ready: node.ready,
            near: zone == Some(node.zone.as_str()),
            standing: if node.grpc_address.is_empty() { Standing::Unknown } else { standing },
        };
        let standing = |node: &TopologyNode| if node.member { Standing::Member } else { Standing::Gateway };
        let present = topology.nodes.iter().map(|node| place(node, standing(node)));
        let places = present.chain(leaving.iter().map(|node| place(node, Standing::Leaving))).collect();
        Self { topology: Some(topology), places }
    }

    /// Routes over `count` nodes of which nothing is known.
    pub(crate) fn blind(count: usize) -> Self {
        let place = Place { live: true, ready: true, near: false, standing: Standing::Gateway };
        Self { topology: None, places: vec![place; count] }
    }

    /// The best node for `slot` that is not among `tried`.
    pub(crate) fn next(
        &self,
        slot: u16,
        tried: &[u16],
        experience: impl Fn(u16) -> Experience,
    ) -> Option<u16> {
        let owners = self.topology.as_ref().map_or(&[] as &[u16], |topology| topology.preference_list(slot));
        let trouble = |node: u16| trouble(experience(node), self.places[usize::from(node)].live);
        let is_left = |node: &u16| {
            !tried.contains(node) && self.places[usize::from(*node)].standing != Standing::Unknown
        };
        let rank = |(position, node): &(usize, u16)| {
            let place = &self.places[usize::from(*node)];
            (trouble(*node), !place.ready, !place.near, place.standing, *position)
        };
        // Most calls end here: an owner that nothing speaks against.
        let sound = owners.iter().copied().enumerate().filter(|(_, owner)| is_left(owner));
        let best = sound.filter(|(_, owner)| trouble(*owner) == Trouble::None).min_by_key(rank);
        if let Some((_, owner)) = best {
            return Some(owner);
        }
        let count = self.places.len();
        let others = (0..count as u16).filter(is_left).map(|node| {
            let preferred = owners.iter().position(|owner| *owner == node);
            let spread = (usize::from(node) + count - usize::from(slot) % count) % count;
            (preferred.is_none(), preferred.unwrap_or(spread), node)
        });
        let best = others.min_by_key(|(is_other, position, node)| {
            let (trouble, unready, far, standing, position) = rank(&(*position, *node));
            (trouble, *is_other, standing, unready, far, position)
        });
        best.map(|(_, _, node)| node)
    }
}

/// One's own experience counts more than the word of a node that may be cut off itself.
fn trouble(experience: Experience, live: bool) -> Trouble {
    match (experience, live) {
        (Experience::Good, _) | (Experience::None, true) => Trouble::None,
        (Experience::Bad, true) => Trouble::Breaker,
        (Experience::None | Experience::Bad, false) => Trouble::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::testing::told;
    use proptest::prelude::*;
    use shoal_membership::ring::SLOTS;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    struct Case {
        topology: Topology,
        experiences: Vec<Experience>,
        zone: Option<String>,
        slot: u16,
    }

    impl Case {
        fn router(&self) -> Router {
            Router::new(Arc::new(self.topology.clone()), &[], self.zone.as_deref())
        }

        fn trouble(&self, node: u16) -> Trouble {
            let node = usize::from(node);
            trouble(self.experiences[node], self.topology.nodes[node].live)
        }

        /// All candidates, best first.
        fn order(&self) -> Vec<u16> {
            let router = self.router();
            let mut tried = Vec::new();
            while let Some(node) = router.next(self.slot, &tried, |node| self.experiences[usize::from(node)])
            {
                tried.push(node);
            }
            tried
        }
    }

    fn case() -> impl Strategy<Value = Case> {
        let experience =
            prop_oneof![2 => Just(Experience::None), 1 => Just(Experience::Good), 1 => Just(Experience::Bad)];
        let node = (experience, any::<bool>(), any::<bool>());
        (proptest::collection::vec(node, 1..9), 0u32..4, 1usize..4, 0..SLOTS, any::<u64>()).prop_map(
            |(nodes, vnode_bits, replicas, slot, rotation)| {
                // The members come first, and only they own anything.
                let (count, members) = (nodes.len(), 1 + (rotation / 7) as usize % nodes.len());
                let replicas = replicas.min(members);
                let row = |vnode: u64| {
                    (0..replicas as u64).map(move |i| (vnode + i + rotation % 7) % members as u64)
                };
                let owners = (0..1u64 << vnode_bits).flat_map(row).map(|owner| owner as u32).collect();
                let mut response = told(7, 1, count as u16, replicas as u32, owners);
                for (i, (node, (_, live, ready))) in response.nodes.iter_mut().zip(&nodes).enumerate() {
                    (node.live, node.ready, node.member) = (*live, *ready, i < members);
                }
                let zone = rotation.is_multiple_of(2).then(|| format!("zone-{}", rotation % 3));
                let experiences = nodes.into_iter().map(|(experience, ..)| experience).collect();
                Case { topology: response.try_into().unwrap(), experiences, zone, slot }
            },
        )
    }

    proptest! {
        #[test]
        fn every_node_is_a_candidate_once(case in case()) {
            let order = case.order();
            prop_assert_eq!(order.len(), case.topology.nodes.len());
            prop_assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), order.len());
        }

        #[test]
        fn the_dead_come_last_and_an_open_breaker_after_a_closed_one(case in case()) {
            let order = case.order();
            prop_assert!(order.is_sorted_by_key(|node| case.trouble(*node)), "{:?}", order);
        }

        #[test]
        fn among_equally_troubled_nodes_owners_come_first(case in case()) {
            let owners = case.topology.preference_list(case.slot);
            let order = case.order();
            let ranks = order.iter().map(|node| (case.trouble(*node), !owners.contains(node)));
            prop_assert!(ranks.is_sorted(), "{:?}", order);
        }

        #[test]
        fn among_sound_owners_the_rebuilt_then_the_near_then_the_preferred_come_first(case in case()) {
            let owners = case.topology.preference_list(case.slot);
            let is_sound = |node: &u16| owners.contains(node) && case.trouble(*node) == Trouble::None;
            let sound: Vec<u16> = case.order().into_iter().filter(is_sound).collect();
            let rank = |node: &u16| {
                let told = &case.topology.nodes[usize::from(*node)];
                let is_far = case.zone.as_ref() != Some(&told.zone);
                (!told.ready, is_far, !told.member, owners.iter().position(|owner| owner == node))
            };
            prop_assert!(sound.is_sorted_by_key(rank), "{:?}", sound);
        }
    }

    #[test]
    fn a_node_that_answers_is_not_dead_whatever_others_say() {
        assert_eq!(trouble(Experience::Good, false), Trouble::None);
        assert_eq!(trouble(Experience::None, false), Trouble::Dead);
        assert_eq!(trouble(Experience::Bad, false), Trouble::Dead);
    }

    #[test]
    fn nodes_that_own_nothing_share_the_slots_evenly() {
        let router = Router::blind(3);
        let mut calls = [0; 3];
        for slot in 0..SLOTS {
            calls[usize::from(router.next(slot, &[], |_| Experience::None).unwrap())] += 1;
        }
        assert!(calls.iter().all(|calls| (5_461..=5_462).contains(calls)), "{calls:?}");
        assert_eq!(Router::default().next(0, &[], |_| Experience::None), None);
    }

    #[test]
    fn who_is_leaving_comes_after_who_stays_and_whom_nobody_can_find_not_at_all() {
        let mut response = told(7, 1, 3, 1, vec![0]);
        response.nodes[1].grpc_address.clear();
        response.nodes[2].member = false;
        let topology: Topology = response.try_into().unwrap();
        let leaving = [topology.nodes[0].clone()];
        let router = Router::new(Arc::new(topology), &leaving, None);
        let (mut tried, mut order) = (Vec::new(), Vec::new());
        while let Some(node) = router.next(5, &tried, |_| Experience::None) {
            tried.push(node);
            order.push(node);
        }
        assert_eq!(order, [0, 2, 3]);
    }
}
