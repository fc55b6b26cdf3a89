//! In words: whether the owners agree, and what will mend it if not.

use shoal_client::{CopyState, Explanation, Held, NodeId, OwnerCopy, Trust};

/// Whether all owners answered and hold the same.
pub(super) fn agreed(explanation: &Explanation) -> bool {
    explanation.owners.iter().all(|owner| owner.held.as_ref().is_ok_and(|held| held.newest))
}

/// The verdict, in sentences.
pub(super) fn verdict(explanation: &Explanation) -> String {
    let owners = &explanation.owners;
    let mut sentences = vec![standing(explanation)];
    sentences.extend(owners.iter().filter_map(remedy));
    let strangers =
        explanation.silent.iter().filter(|node| owners.iter().all(|owner| owner.node_id != **node));
    let strangers: Vec<&NodeId> = strangers.collect();
    if !strangers.is_empty() {
        sentences.push(format!("No answer from {}: hints may lie there.", list(strangers)));
    }
    sentences.join("\n")
}

/// How many owners hold what.
fn standing(explanation: &Explanation) -> String {
    let owners = &explanation.owners;
    let newest: Vec<&Held> =
        owners.iter().filter_map(|owner| owner.held.as_ref().ok()).filter(|h| h.newest).collect();
    let Some(held) = newest.first() else { return "No owner answered: nothing is known of the key.".into() };
    let what = match held.state {
        CopyState::Absent => "nothing under the key",
        CopyState::Value => "the newest value",
        CopyState::Tombstone => "the newest state: the key was deleted",
        CopyState::Expired => "the newest state: the value has expired",
    };
    if agreed(explanation) {
        return format!("All {} owners agree: they hold {what}.", owners.len());
    }
    let quorum = owners.len() / 2 + 1;
    let reach = if newest.len() >= quorum { "a quorum" } else { "less than a quorum" };
    format!("{} of {} owners, {reach}, hold {what}.", newest.len(), owners.len())
}

/// What is wrong with an owner's copy, and what will mend it; nothing if nothing is.
fn remedy(owner: &OwnerCopy) -> Option<String> {
    let name = &owner.node_id;
    let hint = (!owner.hinted_by.is_empty()).then(|| list(&owner.hinted_by));
    Some(match (&owner.held, hint) {
        (Ok(held), _) if held.newest => return None,
        (Err(why), Some(keepers)) => {
            format!(
                "{name}: {why}. A hint at {keepers} waits for it and will be delivered once it can be reached."
            )
        }
        (Err(why), None) => format!("{name}: {why}. What it holds is unknown, and no hint waits for it."),
        (Ok(_), Some(keepers)) => {
            format!(
                "{name} is behind. A hint at {keepers} waits for it and will be delivered once it can be reached."
            )
        }
        (Ok(Held { trust: Trust::Starting | Trust::Rebuilding, .. }), None) => {
            format!("{name} is behind. It is rebuilding its memory from the other owners.")
        }
        (Ok(_), None) => format!(
            "{name} is behind and no hint waits for it. Unless the write is still on its way, the next read that asks \
             it will mend it; one at ALL asks every owner."
        ),
    })
}

fn list<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::{Key, Phase, UnixMillis};

    fn held(state: CopyState, newest: bool) -> Result<Held, String> {
        let trust = Trust::Ready;
        Ok(Held { trust, state, tag: None, touch: 0, expires_at: None, value_bytes: 0, newest })
    }

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn explanation(copies: [Result<Held, String>; 3]) -> Explanation {
        let owners = copies.into_iter().zip(["n1", "n2", "n3"]).map(|(held, name)| OwnerCopy {
            node_id: node(name),
            zone: String::new(),
            live: true,
            generation: 1,
            held,
            hinted_by: Vec::new(),
        });
        Explanation {
            key: Key::new("k").unwrap(),
            slot: 0,
            vnode: 0,
            epoch: 1,
            phase: Phase::New,
            owners: owners.collect(),
            silent: Vec::new(),
            clock: UnixMillis(0),
        }
    }

    #[test]
    fn agreement_says_on_what() {
        for (state, what) in [
            (CopyState::Absent, "nothing under the key"),
            (CopyState::Value, "the newest value"),
            (CopyState::Tombstone, "the newest state: the key was deleted"),
            (CopyState::Expired, "the newest state: the value has expired"),
        ] {
            let explanation = explanation([held(state, true), held(state, true), held(state, true)]);
            assert!(agreed(&explanation));
            assert_eq!(verdict(&explanation), format!("All 3 owners agree: they hold {what}."));
        }
    }

    #[test]
    fn disagreement_says_who_lacks_what_and_what_will_mend_it() {
        let value = || held(CopyState::Value, true);
        let behind = || held(CopyState::Value, false);
        let mut lagging = explanation([value(), behind(), value()]);
        assert!(!agreed(&lagging));
        assert_eq!(
            verdict(&lagging),
            "2 of 3 owners, a quorum, hold the newest value.\n\
             n2 is behind and no hint waits for it. Unless the write is still on its way, the next read that asks it \
             will mend it; one at ALL asks every owner."
        );
        lagging.owners[1].hinted_by = vec![node("n1"), node("n3")];
        assert!(verdict(&lagging).ends_with(
            "n2 is behind. A hint at n1, n3 waits for it and will be delivered once it can be reached."
        ));
        let rebuilding = behind().map(|held| Held { trust: Trust::Rebuilding, ..held });
        let rebuilding = explanation([value(), rebuilding, behind()]);
        let said = verdict(&rebuilding);
        assert!(said.starts_with("1 of 3 owners, less than a quorum, hold the newest value.\n"), "{said}");
        assert!(said.contains("n2 is behind. It is rebuilding its memory from the other owners."), "{said}");
    }

    #[test]
    fn silence_is_told_apart_from_agreement() {
        let silent = || Err("unreachable".to_owned());
        let mut one = explanation([held(CopyState::Value, true), silent(), held(CopyState::Value, true)]);
        assert!(!agreed(&one));
        assert!(
            verdict(&one).ends_with("n2: unreachable. What it holds is unknown, and no hint waits for it.")
        );
        one.owners[1].hinted_by = vec![node("n1")];
        one.silent = vec![node("n2"), node("n9")];
        let said = verdict(&one);
        assert!(said.contains("n2: unreachable. A hint at n1 waits for it"), "{said}");
        assert!(said.ends_with("No answer from n9: hints may lie there."), "{said}");
        let nobody = verdict(&explanation([silent(), silent(), silent()]));
        assert!(nobody.starts_with("No owner answered: nothing is known of the key.\n"), "{nobody}");
    }
}
