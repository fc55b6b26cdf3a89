//! Pure: which of several answers is the truth, and who lacks it.

use shoal_proto::types::{ReadAnswer, Stamped, UnixMillis, Version};

/// The largest version among the answers, as of now, and how far it has spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The winner; a value past its expiry is its marker. `None` when nobody holds anything, or nothing that is not older
    /// than what an owner has evicted.
    pub winner: Option<Stamped>,
    /// The owners, as given with the answers, that hold exactly the winner, or have evicted it and know it still.
    pub holders: Vec<u16>,
    /// The owners that hold less.
    pub lagging: Vec<u16>,
}

/// Two owners claim the same version, but neither sent the value it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the newest version came without its value")]
pub struct ValueMissing;

/// Resolves the answers of different owners. `known` is what the others were told the coordinator has already.
///
/// Commutative, associative and idempotent in the answers: replicas that have seen the same versions, in whatever order
/// and however often, resolve alike.
///
/// # Errors
/// When the winning version's value is in no answer and not `known`: a peer broke the protocol.
pub fn resolve(
    answers: &[(u16, ReadAnswer)],
    known: Option<&Stamped>,
    now: UnixMillis,
) -> Result<Resolution, ValueMissing> {
    // Each answer as of now before any is compared, as stores do: an expired value ranks as its marker.
    let newest = answers.iter().filter_map(|(_, answer)| Some(answer.version?.as_of(now))).max();
    // Evicted, a newer value must not let an older one reappear.
    let ghost = answers.iter().filter_map(|(_, answer)| answer.ghost).max();
    let newest = newest.filter(|newest| ghost.is_none_or(|ghost| ghost <= newest.tag));
    let Some(newest) = newest else {
        return Ok(Resolution {
            winner: None,
            holders: owners(answers, |answer| answer.version.is_none()),
            lagging: Vec::new(),
        });
    };
    let winner = entry(newest, answers, known).ok_or(ValueMissing)?;
    // An owner whose slower clock still shows the value does not hold its marker: it might show the value to others.
    let holds = |answer: &ReadAnswer| answer.version == Some(newest) || answer.ghost == Some(newest.tag);
    Ok(Resolution {
        holders: owners(answers, holds),
        lagging: owners(answers, |answer| !holds(answer)),
        winner: Some(winner),
    })
}

fn owners(answers: &[(u16, ReadAnswer)], which: impl Fn(&ReadAnswer) -> bool) -> Vec<u16> {
    answers.iter().filter(|(_, answer)| which(answer)).map(|(owner, _)| *owner).collect()
}

/// The entry of `version`. Of several values with the same hash the largest counts, as everywhere.
fn entry(version: Version, answers: &[(u16, ReadAnswer)], known: Option<&Stamped>) -> Option<Stamped> {
    if version.dead {
        return Stamped::from_parts(version, None);
    }
    let sent = answers.iter().filter(|(_, answer)| answer.version == Some(version));
    let sent = sent.filter_map(|(_, answer)| Stamped::from_parts(version, answer.value.clone()));
    sent.chain(known.filter(|known| known.version() == version).cloned()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shoal_proto::types::{Tag, Value, WriterId};

    fn arb_entry() -> impl Strategy<Value = Stamped> {
        (1u64..4, any::<bool>(), 0u16..2, proptest::option::of(10u64..13), "[ab]{0,2}").prop_map(
            |(tick, dead, touch, expires, value)| {
                let tag = Tag::from_ticks(tick, WriterId::member(1).unwrap()).unwrap();
                let expires = expires.map(UnixMillis);
                if dead {
                    Stamped::marker(tag, touch, expires)
                } else {
                    Stamped::live(tag, touch, expires, Value::new(value).unwrap())
                }
            },
        )
    }

    fn answer(owner: u16, entry: Option<&Stamped>) -> (u16, ReadAnswer) {
        let version = entry.map(Stamped::version);
        (
            owner,
            ReadAnswer { votes: true, version, value: entry.and_then(Stamped::value).cloned(), ghost: None },
        )
    }

    fn winner(entries: &[Option<Stamped>]) -> Option<Stamped> {
        let answers: Vec<_> = entries.iter().enumerate().map(|(i, e)| answer(i as u16, e.as_ref())).collect();
        resolve(&answers, None, UnixMillis(11)).unwrap().winner
    }

    proptest! {
        #[test]
        fn resolve_is_commutative_associative_and_idempotent(
            a in proptest::option::of(arb_entry()), b in proptest::option::of(arb_entry()), c in proptest::option::of(arb_entry())
        ) {
            let w = |entries: &[&Option<Stamped>]| winner(&entries.iter().map(|e| (*e).clone()).collect::<Vec<_>>());
            prop_assert_eq!(w(&[&a, &b]), w(&[&b, &a]));
            prop_assert_eq!(w(&[&w(&[&a, &b]), &c]), w(&[&a, &w(&[&b, &c])]));
            prop_assert_eq!(w(&[&a, &a, &b]), w(&[&a, &b]));
        }

        #[test]
        fn every_answer_either_holds_the_winner_or_lags(entries in proptest::collection::vec(proptest::option::of(arb_entry()), 1..5)) {
            let answers: Vec<_> = entries.iter().enumerate().map(|(i, e)| answer(i as u16, e.as_ref())).collect();
            let resolution = resolve(&answers, None, UnixMillis(11)).unwrap();
            prop_assert_eq!(resolution.holders.len() + resolution.lagging.len(), entries.len());
            for owner in resolution.lagging {
                let held = entries[usize::from(owner)].as_ref();
                prop_assert!(held.is_none_or(|held| Some(held) < resolution.winner.as_ref()));
            }
            for entry in entries.into_iter().flatten() {
                prop_assert!(Some(entry.as_of(UnixMillis(11))) <= resolution.winner);
            }
        }
    }

    /// What an owner tells: an entry, a ghost, or nothing.
    #[derive(Debug, Clone)]
    enum Told {
        Held(Stamped),
        Ghost(Tag),
        Nothing,
    }

    fn arb_told() -> impl Strategy<Value = Told> {
        prop_oneof![
            3 => arb_entry().prop_map(Told::Held),
            2 => arb_entry().prop_map(|entry| Told::Ghost(entry.version().tag)),
            1 => Just(Told::Nothing),
        ]
    }

    fn tell(told: &[Told]) -> Vec<(u16, ReadAnswer)> {
        let each = told.iter().map(|told| match told {
            Told::Held(entry) => answer(0, Some(entry)).1,
            Told::Ghost(tag) => ReadAnswer { ghost: Some(*tag), ..answer(0, None).1 },
            Told::Nothing => answer(0, None).1,
        });
        (0..).zip(each).collect()
    }

    proptest! {
        #[test]
        fn nothing_older_than_a_ghost_is_found_and_no_owner_is_sent_what_it_evicted(
            told in proptest::collection::vec(arb_told(), 1..6),
            reordered in any::<prop::sample::Index>(),
        ) {
            let now = UnixMillis(11);
            let answers = tell(&told);
            let resolution = resolve(&answers, None, now).unwrap();
            let ghost = answers.iter().filter_map(|(_, answer)| answer.ghost).max();
            let newest = answers.iter().filter_map(|(_, answer)| Some(answer.version?.as_of(now))).max();
            match (&resolution.winner, ghost) {
                (Some(winner), ghost) => {
                    prop_assert_eq!(Some(winner.version()), newest);
                    prop_assert!(ghost.is_none_or(|ghost| ghost <= winner.version().tag));
                }
                (None, Some(ghost)) => prop_assert!(newest.is_none_or(|newest| newest.tag < ghost)),
                (None, None) => prop_assert_eq!(newest, None),
            }
            for owner in &resolution.lagging {
                let told = &answers[usize::from(*owner)].1;
                let winner = resolution.winner.as_ref().map(|winner| winner.version());
                prop_assert!(told.ghost.is_none_or(|ghost| Some(ghost) < winner.map(|winner| winner.tag)));
                prop_assert!(told.version < winner);
            }
            let mut turned = told;
            let by = reordered.index(turned.len());
            turned.rotate_left(by);
            prop_assert_eq!(resolve(&tell(&turned), None, now).unwrap().winner, resolution.winner);
        }
    }

    #[test]
    fn an_owner_that_evicted_the_newest_counts_as_holding_it() {
        let tag = |tick| Tag::from_ticks(tick, WriterId::member(1).unwrap()).unwrap();
        let value = |tick| Stamped::live(tag(tick), 0, None, Value::new("v").unwrap());
        let told = |ghost| tell(&[Told::Held(value(5)), Told::Ghost(tag(ghost)), Told::Nothing]);
        let of = |ghost| resolve(&told(ghost), None, UnixMillis(11)).unwrap();
        let (winner, lacks) = (Some(value(5)), vec![1, 2]);
        assert_eq!(of(4), Resolution { winner: winner.clone(), holders: vec![0], lagging: lacks });
        assert_eq!(of(5), Resolution { winner, holders: vec![0, 1], lagging: vec![2] });
        assert_eq!(of(6), Resolution { winner: None, holders: vec![1, 2], lagging: Vec::new() });
    }

    #[test]
    fn an_owner_that_still_shows_an_expired_value_lacks_its_marker() {
        let tag = Tag::from_ticks(5, WriterId::member(1).unwrap()).unwrap();
        let value = Stamped::live(tag, 0, Some(UnixMillis(10)), Value::new("v").unwrap());
        let marker = value.clone().as_of(UnixMillis(10));
        let answers = [answer(0, Some(&value)), answer(1, Some(&marker))];
        let resolution = resolve(&answers, None, UnixMillis(11)).unwrap();
        assert_eq!(resolution, Resolution { winner: Some(marker), holders: vec![1], lagging: vec![0] });
    }

    #[test]
    fn an_owner_that_was_told_what_is_known_need_not_send_it() {
        let tag = Tag::from_ticks(5, WriterId::member(1).unwrap()).unwrap();
        let known = Stamped::live(tag, 0, None, Value::new("v").unwrap());
        let agreeing = ReadAnswer { votes: true, version: Some(known.version()), value: None, ghost: None };
        let answers = [answer(0, Some(&known)), (1, agreeing.clone())];
        let resolution = resolve(&answers, Some(&known), UnixMillis(0)).unwrap();
        assert_eq!((resolution.winner, resolution.holders), (Some(known), vec![0, 1]));
        assert_eq!(resolve(&[(1, agreeing)], None, UnixMillis(0)), Err(ValueMissing));
    }
}
