//! Pure: may a request planned under this stamp be served here?

use shoal_membership::ClusterView;
use shoal_proto::types::{NodeId, Refusal, Stamp, Vnode};

/// What a replica does about a stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StampVerdict {
    /// The coordinator and this replica believe the same.
    Serve,
    /// The coordinator knows of newer generations: adopt them, then serve.
    AdoptThenServe(Vec<(NodeId, u64)>),
    /// One of the two is behind.
    Refuse(Refusal),
}

/// Checks `stamp` against what this node believes about `vnode`.
///
/// Generations only ever grow, so for each owner the larger number is the truth: a coordinator that names a smaller one
/// would count answers from before and after an empty restart as one quorum.
#[must_use]
pub fn check(view: &ClusterView, vnode: Vnode, stamp: &Stamp) -> StampVerdict {
    let Some(record) = view.record() else {
        return StampVerdict::Refuse(Refusal::Behind { epoch: 0, phase: 0 });
    };
    let (mine, theirs) = (record.number(), (stamp.epoch, stamp.phase));
    if theirs > mine {
        return StampVerdict::Refuse(Refusal::Behind { epoch: mine.0, phase: mine.1.number() });
    }
    let known = view.generations(vnode);
    let stale = |record| StampVerdict::Refuse(Refusal::StaleStamp { record, generations: known.clone() });
    if theirs < mine {
        return stale(Some(Box::new((**record).clone())));
    }
    if stamp.generations.len() != known.len() {
        return StampVerdict::Refuse(Refusal::Invalid("stamp does not fit the owner table".into()));
    }
    let owners = view.owners(vnode);
    let mut newer = Vec::new();
    for ((owner, known), stamped) in owners.iter().zip(&known).zip(&stamp.generations) {
        if stamped < known && !crate::mutant::active("ignore_stamp_generations") {
            return stale(None);
        }
        if stamped > known {
            if Some(*owner) == view.my_index() {
                return StampVerdict::Refuse(Refusal::Invalid(
                    "a newer incarnation of this node exists".into(),
                ));
            }
            newer.push((view.member(*owner).node_id.clone(), *stamped));
        }
    }
    if newer.is_empty() { StampVerdict::Serve } else { StampVerdict::AdoptThenServe(newer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{view_of, with_generation};
    use shoal_proto::types::Phase;

    const VNODE: Vnode = Vnode(3);

    fn stamp(generations: [u64; 3]) -> Stamp {
        Stamp { epoch: 1, phase: Phase::New, generations: generations.into_iter().collect() }
    }

    #[test]
    fn equal_beliefs_are_served_and_newer_generations_adopted() {
        let view = view_of(3, 3, 8);
        let believed = view.stamp(VNODE).unwrap();
        assert_eq!(check(&view, VNODE, &believed), StampVerdict::Serve);
        let other = view.owners(VNODE).iter().position(|o| Some(*o) != view.my_index()).unwrap();
        let mut newer = believed;
        newer.generations[other] += 1;
        let id = view.member(view.owners(VNODE)[other]).node_id.clone();
        assert_eq!(
            check(&view, VNODE, &newer),
            StampVerdict::AdoptThenServe(vec![(id, newer.generations[other])])
        );
    }

    #[test]
    fn a_generation_from_before_a_restart_is_refused_with_the_newer_one() {
        let view = with_generation(3, 3, 8, "n1", 5);
        let verdict = check(&view, VNODE, &stamp([1, 1, 1]));
        let StampVerdict::Refuse(Refusal::StaleStamp { record: None, generations }) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(generations, view.generations(VNODE));
    }

    #[test]
    fn another_epoch_is_refused_on_whichever_side_is_behind() {
        let view = view_of(3, 3, 8);
        let mut ahead = view.stamp(VNODE).unwrap();
        ahead.epoch = 2;
        assert_eq!(check(&view, VNODE, &ahead), StampVerdict::Refuse(Refusal::Behind { epoch: 1, phase: 3 }));
        let mut behind = view.stamp(VNODE).unwrap();
        behind.phase = Phase::Old;
        let verdict = check(&view, VNODE, &behind);
        assert!(
            matches!(verdict, StampVerdict::Refuse(Refusal::StaleStamp { record: Some(_), .. })),
            "{verdict:?}"
        );
    }
}
