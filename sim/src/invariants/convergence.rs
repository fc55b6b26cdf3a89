//! Soon after the last fault all owners of a key hold the same.

use super::Violation;
use crate::{content::KeyId, evidence::Evidence};

const NAME: &str = "convergence";

/// Keys whose owners still disagree, and keys that no client ever named.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let snapshot = &evidence.converged;
    let mut violations = Vec::new();
    for key in snapshot.owners.keys() {
        let held = snapshot.on_owners(*key);
        let absent = held.iter().find(|(owner, _)| !snapshot.stores.contains_key(owner));
        if let Some((owner, _)) = absent {
            violations.push(Violation::new(NAME, format!("node {owner}, an owner of {key}, is not back")));
        } else if held.iter().any(|(_, entry)| *entry != held[0].1) {
            let held: Vec<String> = held
                .iter()
                .map(|(owner, entry)| format!("node {owner}: {:?}", entry.map(|stamped| stamped.version())))
                .collect();
            let what = format!("the owners of {key} hold different versions: {}", held.join(", "));
            violations.push(Violation::on(NAME, &evidence.history, *key, snapshot.at, what));
        }
    }
    for key in snapshot.keys() {
        if KeyId::parse(&key).is_none() {
            violations.push(Violation::new(NAME, format!("a node holds {key:?}, which no client wrote")));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;
    use shoal_proto::types::Stamped;

    fn differing(held: [Option<Stamped>; 3]) -> usize {
        let mut evidence = evidence(vec![]);
        evidence.converged = snapshot(1, held);
        assert_eq!(evidence.converged.agrees(), check(&evidence).is_empty());
        check(&evidence).len()
    }

    #[test]
    fn owners_that_hold_the_same_agree() {
        assert_eq!(differing([Some(live(3)), Some(live(3)), Some(live(3))]), 0);
        assert_eq!(differing([None, None, None]), 0);
        assert_eq!(differing([Some(dead(3)), Some(dead(3)), Some(dead(3))]), 0);
    }

    #[test]
    fn an_older_a_dead_or_a_missing_entry_is_a_disagreement() {
        assert_eq!(differing([Some(live(3)), Some(live(2)), Some(live(3))]), 1);
        assert_eq!(differing([Some(live(3)), Some(dead(3)), Some(live(3))]), 1);
        assert_eq!(differing([Some(live(3)), Some(live(3)), None]), 1);
    }

    #[test]
    fn an_owner_that_is_not_back_is_a_disagreement() {
        let mut evidence = evidence(vec![]);
        evidence.converged = snapshot(1, [None, None, None]);
        evidence.converged.stores.remove(&2);
        assert!(!evidence.converged.agrees());
        assert_eq!(check(&evidence).len(), 1);
    }

    #[test]
    fn values_that_expire_meanwhile_are_compared_as_of_one_instant() {
        let now = shoal_proto::types::UnixMillis(100);
        let stores = [live_until(3, 100), live_until(3, 100).as_of(now)];
        let stores = stores.map(|stamped| vec![(KeyId(1).to_key(), stamped)]).into_iter().enumerate();
        let owners = [(KeyId(1), vec![0, 1])].into();
        assert!(crate::snapshot::Snapshot::new(crate::history::SimTime(0), now, stores, owners).agrees());
    }
}
