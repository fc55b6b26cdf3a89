//! Pure: what the nodes' knowledge of one key comes to.

use shoal_membership::{ClusterView, ring};
use shoal_proto::types::{CopyState, Inspection, Key, NodeId, Phase, Tag, Trust, UnixMillis, Version, Vnode};
use std::collections::BTreeMap;

/// Everything there is to know of one key: who owns it, who holds what, what is still on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The key.
    pub key: Key,
    /// Its hash slot.
    pub slot: u16,
    /// Its vnode.
    pub vnode: Vnode,
    /// Epoch of the ring record that names the owners.
    pub epoch: u64,
    /// Phase of that record.
    pub phase: Phase,
    /// The owners in preference order.
    pub owners: Vec<OwnerCopy>,
    /// Members that did not answer: hints that lie there are not seen.
    pub silent: Vec<NodeId>,
    /// The coordinator's clock, by which expiry is judged.
    pub now: UnixMillis,
}

/// One owner's copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerCopy {
    /// The owner.
    pub node_id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// Worth asking, as far as this node knows.
    pub live: bool,
    /// The start of the node that answered; of one that did not, the newest heard of.
    pub generation: u64,
    /// What it holds, or why that is unknown.
    pub held: Result<Held, String>,
    /// Nodes that keep a hint of the key for it.
    pub hinted_by: Vec<NodeId>,
}

/// What an owner holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How far its memory of the vnode can be trusted.
    pub trust: Trust,
    /// The version, as of now; `None` when it holds nothing.
    pub version: Option<Version>,
    /// The tag of what it evicted before all owners had confirmed it; only when it holds nothing.
    pub ghost: Option<Tag>,
    /// The value's length, 0 without one.
    pub value_bytes: u64,
    /// No owner told of a newer version: it holds the newest, or nothing where nobody holds anything.
    pub newest: bool,
}

impl Held {
    /// The state of the copy, in a word.
    #[must_use]
    pub fn state(&self) -> CopyState {
        match (self.version, self.ghost) {
            (Some(version), _) => version.state(),
            (None, Some(_)) => CopyState::Evicted,
            (None, None) => CopyState::Absent,
        }
    }

    /// The tag of what it holds, or has evicted.
    #[must_use]
    pub fn tag(&self) -> Option<Tag> {
        self.version.map(|version| version.tag).or(self.ghost)
    }
}

/// What a node said of the key, or why it did not.
pub(super) type Told = Result<Inspection, String>;

/// Puts together what the nodes said of `key`; `None` before there is a ring.
pub(super) fn assemble(
    view: &ClusterView,
    key: Key,
    told: &BTreeMap<NodeId, Told>,
    now: UnixMillis,
) -> Option<Explanation> {
    let record = view.record()?;
    let vnode = view.vnode_of(key.as_bytes())?;
    let owners = view.owners(vnode).iter().map(|owner| {
        let member = view.member(*owner);
        let own = told.get(&member.node_id);
        let gossiped = view.nodes().get(&member.node_id).map(|node| &node.zone);
        OwnerCopy {
            node_id: member.node_id.clone(),
            zone: gossiped.unwrap_or(&record.members()[usize::from(*owner)].zone).clone(),
            live: member.live,
            generation: match own {
                Some(Ok(inspection)) => inspection.generation,
                _ => member.generation,
            },
            held: held(own, now),
            hinted_by: hinted_by(&member.node_id, told),
        }
    });
    let mut owners: Vec<OwnerCopy> = owners.collect();
    mark_newest(&mut owners);
    let silent = told.iter().filter(|(_, told)| told.is_err()).map(|(node, _)| node.clone());
    Some(Explanation {
        slot: ring::slot(key.as_bytes()),
        vnode,
        epoch: record.epoch(),
        phase: record.phase(),
        owners,
        silent: silent.collect(),
        now,
        key,
    })
}

fn held(told: Option<&Told>, now: UnixMillis) -> Result<Held, String> {
    match told {
        Some(Ok(inspection)) if inspection.owner => Ok(Held {
            trust: inspection.trust,
            version: inspection.version.map(|version| version.as_of(now)),
            ghost: inspection.ghost.filter(|_| inspection.version.is_none()),
            // What expired on its way here has no length any more.
            value_bytes: if inspection.version.is_some_and(|v| v.is_live(now)) {
                inspection.value_bytes
            } else {
                0
            },
            newest: false,
        }),
        Some(Ok(_)) => Err("its own ring record names other owners".into()),
        Some(Err(why)) => Err(why.clone()),
        None => Err("not asked".into()),
    }
}

fn hinted_by(owner: &NodeId, told: &BTreeMap<NodeId, Told>) -> Vec<NodeId> {
    let keeps = |told: &Told| told.as_ref().is_ok_and(|inspection| inspection.hinted.contains(owner));
    told.iter().filter(|(_, told)| keeps(told)).map(|(node, _)| node.clone()).collect()
}

fn mark_newest(owners: &mut [OwnerCopy]) {
    let held = || owners.iter().filter_map(|owner| owner.held.as_ref().ok());
    let ghost = held().filter_map(|held| held.ghost).max();
    // As reads do: what is older than a ghost is as good as nothing, and who evicted the newest does not lack it.
    let newest = held().filter_map(|held| held.version).max().filter(|version| ghost <= Some(version.tag));
    for held in owners.iter_mut().filter_map(|owner| owner.held.as_mut().ok()) {
        let has_evicted_it = newest.is_some_and(|newest| held.ghost == Some(newest.tag));
        held.newest = held.version == newest || has_evicted_it;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{node_id, view_of};
    use proptest::prelude::*;
    use shoal_proto::types::{Stamped, Tag, Value, WriterId};

    const NOW: UnixMillis = UnixMillis(100);

    fn value(tick: u64, expires_at: Option<u64>) -> Version {
        let tag = Tag::from_ticks(tick, WriterId::member(1).unwrap()).unwrap();
        Stamped::live(tag, 0, expires_at.map(UnixMillis), Value::new("v").unwrap()).version()
    }

    fn holds(version: Option<Version>) -> Told {
        Ok(Inspection {
            generation: 5,
            owner: true,
            trust: Trust::Ready,
            version,
            value_bytes: u64::from(version.is_some()),
            ghost: None,
            hinted: Vec::new(),
        })
    }

    /// The explanation of a key whose owners are n0, n1, n2 of four members, in some order.
    fn explain(told: impl IntoIterator<Item = Told>) -> Explanation {
        let view = view_of(4, 3, 1);
        let told = told.into_iter().enumerate().map(|(i, told)| (node_id(i), told)).collect();
        assemble(&view, Key::new("k").unwrap(), &told, NOW).unwrap()
    }

    fn newest(explanation: &Explanation) -> Vec<Option<bool>> {
        explanation.owners.iter().map(|owner| owner.held.as_ref().ok().map(|held| held.newest)).collect()
    }

    proptest! {
        #[test]
        fn whoever_is_not_newest_holds_less_than_someone_who_is(
            ticks in proptest::collection::vec(proptest::option::of((1u64..4, proptest::option::of(99u64..102))), 3)
        ) {
            let versions = ticks.iter().map(|held| held.map(|(tick, expires_at)| value(tick, expires_at)));
            let explanation = explain(versions.map(holds));
            let copies: Vec<Held> = explanation.owners.iter().map(|owner| owner.held.clone().unwrap()).collect();
            let best = copies.iter().find(|held| held.newest).expect("somebody is newest").version;
            for held in copies {
                let fits = if held.newest { held.version == best } else { held.version < best };
                prop_assert!(fits);
                prop_assert!(held.version.is_none_or(|version| version.dead || !version.is_past(NOW)));
                prop_assert_eq!(held.value_bytes > 0, held.state() == CopyState::Value);
            }
        }
    }

    #[test]
    fn owners_stand_in_preference_order_with_what_each_holds() {
        let explanation = explain([holds(Some(value(2, None))), holds(Some(value(1, None))), holds(None)]);
        let ids: Vec<&str> = explanation.owners.iter().map(|owner| owner.node_id.as_str()).collect();
        assert_eq!(ids, ["n0", "n1", "n2"]);
        assert_eq!(newest(&explanation), [Some(true), Some(false), Some(false)]);
        let states = explanation.owners.iter().map(|owner| owner.held.as_ref().unwrap().state());
        assert!(states.eq([CopyState::Value, CopyState::Value, CopyState::Absent]));
        assert_eq!(
            (explanation.epoch, explanation.vnode, explanation.owners[0].generation),
            (1, Vnode(0), 5)
        );
    }

    #[test]
    fn an_owner_that_evicted_the_newest_lacks_nothing_and_what_is_older_is_not_the_newest() {
        let evicted =
            |tick| holds(None).map(|told| Inspection { ghost: Some(value(tick, None).tag), ..told });
        let explanation = explain([holds(Some(value(2, None))), evicted(2), evicted(1)]);
        assert_eq!(newest(&explanation), [Some(true), Some(true), Some(false)]);
        let held = explanation.owners[1].held.clone().unwrap();
        assert_eq!((held.state(), held.tag()), (CopyState::Evicted, Some(value(2, None).tag)));
        let explanation = explain([holds(Some(value(2, None))), evicted(3), holds(None)]);
        assert_eq!(newest(&explanation), [Some(false), Some(true), Some(true)]);
    }

    #[test]
    fn a_key_nobody_holds_is_agreed_on() {
        assert_eq!(newest(&explain([holds(None), holds(None), holds(None)])), [Some(true); 3]);
    }

    #[test]
    fn a_value_seen_past_its_expiry_is_as_good_as_its_marker() {
        let seen = value(1, Some(100));
        let explanation = explain([holds(Some(seen)), holds(Some(seen.expired())), holds(None)]);
        assert_eq!(newest(&explanation), [Some(true), Some(true), Some(false)]);
        let held = explanation.owners[0].held.clone().unwrap();
        assert_eq!((held.state(), held.value_bytes), (CopyState::Expired, 0));
    }

    #[test]
    fn hints_are_found_wherever_they_lie_and_the_silent_are_named() {
        let keeper =
            |told: Told| told.map(|told| Inspection { hinted: vec![node_id(1), node_id(3)], ..told });
        let stranger = holds(None).map(|told| Inspection { owner: false, ..told });
        let told =
            [keeper(holds(Some(value(1, None)))), Err("unreachable".into()), holds(None), keeper(stranger)];
        let explanation = explain(told);
        assert_eq!(explanation.owners[1].held, Err("unreachable".into()));
        assert_eq!(explanation.owners[1].hinted_by, [node_id(0), node_id(3)]);
        assert_eq!(explanation.owners[1].generation, 1, "as gossip tells it");
        assert!(explanation.owners[0].hinted_by.is_empty() && explanation.owners[2].hinted_by.is_empty());
        assert_eq!(explanation.silent, [node_id(1)]);
    }

    #[test]
    fn an_owner_that_does_not_believe_it_is_one_holds_nothing_that_counts() {
        let stranger = holds(Some(value(9, None))).map(|told| Inspection { owner: false, ..told });
        let explanation = explain([stranger, holds(Some(value(1, None))), holds(Some(value(1, None)))]);
        assert!(explanation.owners[0].held.as_ref().is_err_and(|why| why.contains("names other owners")));
        assert_eq!(newest(&explanation), [None, Some(true), Some(true)]);
    }
}
