//! Pure: what a restarted owner may do about one vnode, given what its co-owners say.
//!
//! A write acknowledged by W owners may have counted this node's lost memory, but then W-1 others hold it; whoever has
//! asked N-W+1 of the other N-1 has asked one of them. W is a quorum.

use super::Answer;
use shoal_proto::types::{Consistency, Generations, NodeId};

/// Another owner of the vnode, as far as this round has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoOwner {
    /// Who.
    pub node: NodeId,
    /// What it said this round.
    pub answer: Option<Answer>,
    /// Its memory of the vnode has been taken over in full.
    pub pulled: bool,
}

/// What to do about the vnode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask again later.
    Wait {
        /// How many co-owners know of this incarnation.
        answered: usize,
    },
    /// No owner holds anything from before these generations, so there is nothing to take over: what was acknowledged
    /// since, each of them keeps itself.
    Found(Generations),
    /// Take over the memory of these, each as the incarnation that answered.
    Pull(Vec<(NodeId, u64)>),
    /// Enough has been taken over.
    Finished,
    /// Too few co-owners hold memory, and all that do have been taken over.
    Lost,
}

impl Decision {
    /// Whether so many co-owners know of this incarnation that writes planned under an older one cannot be acknowledged
    /// any more, given how many co-owners there are.
    #[must_use]
    pub fn trusts_writes(&self, co_owners: usize) -> bool {
        match self {
            Self::Wait { answered } => *answered >= sources_needed(co_owners + 1),
            _ => true,
        }
    }
}

/// N-W+1.
fn sources_needed(owners: usize) -> usize {
    owners - Consistency::Quorum.required(owners) + 1
}

/// Decides. `my_place` is this node's place in the preference list, of which `others` are the rest in order.
#[must_use]
pub fn decide(my_place: usize, my_generation: u64, others: &[CoOwner], lost_patience: bool) -> Decision {
    let answers = || others.iter().filter_map(|other| other.answer.as_ref());
    // An owner that shared this very start with the rest has nothing to take over: whatever was written since, it was
    // asked to hold itself.
    let founding = answers().filter_map(|(_, state)| state.founding.as_ref());
    if let Some(generations) = founding.into_iter().find(|g| g.get(my_place) == Some(&my_generation)) {
        return Decision::Found(generations.clone());
    }
    let needed = sources_needed(others.len() + 1);
    let pulled = others.iter().filter(|other| other.pulled).count();
    if pulled >= needed {
        return Decision::Finished;
    }
    let ready = |other: &&CoOwner| other.answer.as_ref().is_some_and(|(_, state)| state.ready);
    let answered = answers().count();
    if answered == others.len() && pulled == 0 && others.iter().all(|other| !ready(&other)) {
        let mut generations: Generations = answers().map(|(generation, _)| *generation).collect();
        generations.insert(my_place, my_generation);
        return Decision::Found(generations);
    }
    let untapped = others.iter().filter(|other| !other.pulled).filter(ready);
    let sources: Vec<(NodeId, u64)> =
        untapped.filter_map(|other| Some((other.node.clone(), other.answer.as_ref()?.0))).collect();
    if sources.len() + pulled >= needed {
        return Decision::Pull(sources.into_iter().take(needed - pulled).collect());
    }
    match (lost_patience, sources.is_empty()) {
        // Without a single answer there is no quorum to vote in either: nothing would be gained by going on.
        (true, true) if answered == 0 => Decision::Wait { answered },
        (true, true) => Decision::Lost,
        (true, false) => Decision::Pull(sources),
        (false, _) => Decision::Wait { answered },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::node_id;
    use proptest::prelude::*;
    use shoal_proto::types::RebuildState;

    fn other(i: usize, generation: u64, ready: bool) -> CoOwner {
        CoOwner {
            node: node_id(i),
            answer: Some((generation, RebuildState { ready, founding: None })),
            pulled: false,
        }
    }

    fn silent(i: usize) -> CoOwner {
        CoOwner { node: node_id(i), answer: None, pulled: false }
    }

    #[test]
    fn a_first_boot_founds_the_vnode_empty_once_everyone_has_spoken() {
        let decision = decide(1, 7, &[other(0, 5, false), silent(2)], false);
        assert_eq!(decision, Decision::Wait { answered: 1 });
        assert!(!decision.trusts_writes(2));
        let decision = decide(1, 7, &[other(0, 5, false), other(2, 6, false)], false);
        assert_eq!(decision, Decision::Found(Generations::from_slice(&[5, 7, 6])));
        assert_eq!(decide(0, 3, &[], false), Decision::Found(Generations::from_slice(&[3])));
    }

    #[test]
    fn whoever_shared_the_founding_joins_it_and_a_later_incarnation_does_not() {
        let mut founder = other(0, 5, true);
        founder.answer.as_mut().unwrap().1.founding = Some(Generations::from_slice(&[5, 7, 6]));
        let others = [founder, other(2, 6, false)];
        assert_eq!(decide(1, 7, &others, false), Decision::Found(Generations::from_slice(&[5, 7, 6])));
        assert_eq!(decide(1, 8, &others, false), Decision::Wait { answered: 2 });
    }

    #[test]
    fn with_three_owners_both_others_must_be_taken_over() {
        let mut others = [other(1, 1, true), other(2, 1, true)];
        assert_eq!(decide(0, 2, &others, false), Decision::Pull(vec![(node_id(1), 1), (node_id(2), 1)]));
        others[0].pulled = true;
        assert_eq!(decide(0, 2, &others, false), Decision::Pull(vec![(node_id(2), 1)]));
        others[1].pulled = true;
        assert_eq!(decide(0, 2, &others, false), Decision::Finished);
    }

    #[test]
    fn a_lost_owner_is_waited_for_and_then_done_without() {
        let mut others = [other(1, 1, true), silent(2)];
        assert_eq!(decide(0, 2, &others, false), Decision::Wait { answered: 1 });
        assert_eq!(decide(0, 2, &others, true), Decision::Pull(vec![(node_id(1), 1)]));
        others[0].pulled = true;
        assert_eq!(decide(0, 2, &others, true), Decision::Lost);
        // Nobody to be heard means that this node is cut off, not that the others are lost.
        assert_eq!(decide(0, 2, &[silent(1), silent(2)], true), Decision::Wait { answered: 0 });
    }

    proptest! {
        /// Whatever was acknowledged by a quorum that counted this node is on one of the co-owners taken over.
        #[test]
        fn what_finishes_a_rebuild_meets_every_quorum(owners in 2usize..8, pulled in any::<u8>(), quorum in any::<u8>()) {
            let others: Vec<CoOwner> = (1..owners)
                .map(|i| CoOwner { pulled: pulled & (1 << i) != 0, ..other(i, 1, true) })
                .collect();
            let w = Consistency::Quorum.required(owners);
            let holders: Vec<usize> = (1..owners).filter(|i| quorum & (1 << i) != 0).collect();
            prop_assume!(holders.len() == w - 1);
            if decide(0, 2, &others, false) == Decision::Finished {
                prop_assert!(holders.iter().any(|i| others[i - 1].pulled) || w == 1);
            }
        }
    }
}
