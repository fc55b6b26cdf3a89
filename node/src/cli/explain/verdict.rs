//! In words: whether the owners agree, and what will mend it if not.

use shoal_client::{CopyState, Explanation, Held, NodeId, OwnerCopy, Trust};

const READS_MEND: &str = "No hint waits for it: unless the write is still on its way, the next read at QUORUM or \
                          above that asks it mends it; one at ALL asks every owner.";

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
    // Where some have evicted it, those that hold it tell what it is.
    let shown = newest.iter().find(|held| held.state != CopyState::Evicted).or(newest.first());
    let Some(held) = shown else { return "No owner answered: nothing is known of the key.".into() };
    let what = match held.state {
        CopyState::Absent => "nothing is held under the key",
        CopyState::Value => "there is a value",
        CopyState::Tombstone => "the key was deleted",
        CopyState::Expired => "the value has expired",
        CopyState::Evicted => "the value was evicted",
    };
    match (newest.len(), owners.len()) {
        (1, 1) => format!("The only owner says: {what}."),
        (newest, all) if newest == all => format!("All {all} owners agree: {what}."),
        (newest, all) => {
            let reach = if newest > all / 2 { "a quorum" } else { "less than a quorum" };
            format!("The newest, on {newest} of {all} owners ({reach}): {what}.")
        }
    }
}

/// What is wrong with an owner's copy, and what will mend it; nothing if nothing is.
fn remedy(owner: &OwnerCopy) -> Option<String> {
    let name = &owner.node_id;
    let trouble = match &owner.held {
        Ok(held) if held.newest => return None,
        Ok(Held { trust: Trust::Starting | Trust::Rebuilding, .. }) => {
            return Some(format!("{name} is behind. It is rebuilding its memory from the other owners."));
        }
        Ok(Held { state: CopyState::Absent, .. }) => {
            format!("{name} lacks the key: it missed the write or has evicted it")
        }
        Ok(_) => format!("{name} is behind"),
        Err(why) => format!("The copy of {name} is unknown: {why}"),
    };
    let mending = match (&owner.held, owner.hinted_by.as_slice()) {
        (_, keepers @ [_, ..]) => {
            format!("A hint at {} waits for it and is delivered once it can be reached.", list(keepers))
        }
        (Ok(_), []) => READS_MEND.into(),
        (Err(_), []) => "No hint waits for it; a write still on its way leaves one if it fails.".into(),
    };
    Some(format!("{trouble}. {mending}"))
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
            (CopyState::Absent, "nothing is held under the key"),
            (CopyState::Value, "there is a value"),
            (CopyState::Tombstone, "the key was deleted"),
            (CopyState::Expired, "the value has expired"),
            (CopyState::Evicted, "the value was evicted"),
        ] {
            let explanation = explanation([held(state, true), held(state, true), held(state, true)]);
            assert!(agreed(&explanation));
            assert_eq!(verdict(&explanation), format!("All 3 owners agree: {what}."));
            let alone = Explanation { owners: explanation.owners[..1].to_vec(), ..explanation };
            assert_eq!(verdict(&alone), format!("The only owner says: {what}."));
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
            "The newest, on 2 of 3 owners (a quorum): there is a value.\n\
             n2 is behind. No hint waits for it: unless the write is still on its way, the next read at QUORUM or \
             above that asks it mends it; one at ALL asks every owner."
        );
        lagging.owners[1].hinted_by = vec![node("n1"), node("n3")];
        let said = verdict(&lagging);
        assert!(
            said.ends_with(
                "n2 is behind. A hint at n1, n3 waits for it and is delivered once it can be reached."
            ),
            "{said}"
        );
        let forgetful = verdict(&explanation([value(), value(), held(CopyState::Absent, false)]));
        assert!(
            forgetful
                .contains("n3 lacks the key: it missed the write or has evicted it. No hint waits for it: "),
            "{forgetful}"
        );
        let rebuilding = behind().map(|held| Held { trust: Trust::Rebuilding, ..held });
        let rebuilding = explanation([value(), rebuilding, behind()]);
        let said = verdict(&rebuilding);
        assert!(
            said.starts_with("The newest, on 1 of 3 owners (less than a quorum): there is a value.\n"),
            "{said}"
        );
        assert!(said.contains("n2 is behind. It is rebuilding its memory from the other owners."), "{said}");
    }

    #[test]
    fn silence_is_told_apart_from_agreement() {
        let silent = || Err("unreachable".to_owned());
        let mut one = explanation([held(CopyState::Value, true), silent(), held(CopyState::Value, true)]);
        assert!(!agreed(&one));
        let said = verdict(&one);
        assert!(
            said.contains("The copy of n2 is unknown: unreachable. No hint waits for it; a write "),
            "{said}"
        );
        one.owners[1].hinted_by = vec![node("n1")];
        one.silent = vec![node("n2"), node("n9")];
        let said = verdict(&one);
        assert!(said.contains("The copy of n2 is unknown: unreachable. A hint at n1 waits for it"), "{said}");
        assert!(said.ends_with("No answer from n9: hints may lie there."), "{said}");
        let nobody = verdict(&explanation([silent(), silent(), silent()]));
        assert!(nobody.starts_with("No owner answered: nothing is known of the key.\n"), "{nobody}");
    }
}
