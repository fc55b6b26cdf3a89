use super::{
    owner::World,
    rule::{Rule, Sentence},
    scenario::{self, Scenario},
    search::{Promises, exhaustive, random},
    state::State,
};
use std::env;

/// A larger search than every change is checked with.
fn asked_for(variable: &str, ordinary: usize) -> usize {
    env::var(variable).map_or(ordinary, |number| number.parse().expect("a number"))
}

fn whole(scenario: &Scenario) -> World<'_> {
    World { rule: Rule::WHOLE, scenario }
}

#[test]
fn nothing_that_can_happen_to_a_value_and_its_deletion_breaks_a_promise() {
    let search = exhaustive(&whole(&scenario::DELETION), Promises::All, 1_000_000);
    assert!(search.complete && search.states > 10_000, "{search:?}");
    assert_eq!(search.found, None);
}

#[test]
fn no_promise_is_broken_in_any_scenario() {
    let limit = asked_for("SHOAL_MODEL_STATES", 100_000);
    for scenario in scenario::ALL {
        let search = exhaustive(&whole(&scenario), Promises::All, limit);
        let all = if search.complete { ", all there are" } else { "" };
        println!("{}: {} states{all}, {} steps away at most", scenario.name, search.states, search.depth);
        assert!(search.complete || search.states >= limit, "{}: {search:?}", scenario.name);
        if let Some(found) = search.found {
            panic!("{}: {found}", scenario.name);
        }
    }
}

#[test]
fn no_promise_is_broken_at_random_when_everything_can_happen() {
    let walks = asked_for("SHOAL_MODEL_WALKS", 1_000);
    let search = random(&whole(&scenario::EVERYTHING), Promises::All, 7, walks as u64, 150);
    assert!(search.steps >= 50 * walks as u64, "{search:?}");
    if let Some(found) = search.found {
        panic!("{found}");
    }
}

/// What goes wrong without a sentence, and in which scenario.
const NEEDED: [(Sentence, Scenario, Promises); Sentence::ALL.len()] = [
    (Sentence::SealBeforeListing, scenario::DELETION, Promises::Clients),
    (Sentence::RefuseSealed, scenario::DELETION, Promises::Clients),
    (Sentence::RefuseSealedForKnownKeys, scenario::DELETION, Promises::Clients),
    (Sentence::EvictionLeavesGhost, scenario::EVICTION, Promises::Clients),
    (Sentence::GhostBlocksOlder, scenario::EVICTION, Promises::Clients),
    (Sentence::GhostsAreListed, scenario::EVICTION, Promises::Clients),
    (Sentence::GhostRemovesOlder, scenario::EVICTION, Promises::Clients),
    (Sentence::NothingInstalledAtConfirmed, scenario::MISSED_DELETION, Promises::Clients),
    (Sentence::EveryOwnerConfirms, scenario::DELETION, Promises::All),
    (Sentence::OneGenerationVector, scenario::RESTART_AFTER_DELETION, Promises::All),
    (Sentence::SettleUnderPresentVector, scenario::RESTART_AFTER_DELETION, Promises::All),
    (Sentence::MarkersUntilSettled, scenario::DELETION, Promises::Clients),
    (Sentence::DiscardUnconfirmedAnswers, scenario::MISSED_DELETION, Promises::Clients),
    (Sentence::RebuilderTakesSealed, scenario::RESTART, Promises::All),
    (Sentence::RebuilderTakesSettled, scenario::RESTART_AFTER_DELETION, Promises::Clients),
    (Sentence::RebuilderPullsGhosts, scenario::RESTART_AND_EVICTION, Promises::Clients),
    (Sentence::RebuiltBeforeRounds, scenario::RESTART_AFTER_DELETION, Promises::Clients),
    (Sentence::AdoptBeforeAnswer, scenario::RESTART, Promises::Clients),
    (Sentence::TouchNeedsItsValue, scenario::TOUCH, Promises::Clients),
    (Sentence::MarkerStandsAtExpiry, scenario::EXPIRY, Promises::Clients),
    (Sentence::EveryOwnerRefuses, scenario::RETAG, Promises::Clients),
    (Sentence::FirstRefusalCounts, scenario::DELETION, Promises::Clients),
];

#[test]
fn no_sentence_of_the_rule_can_be_left_out() {
    for (sentence, (needed, scenario, promises)) in Sentence::ALL.into_iter().zip(NEEDED) {
        assert_eq!(sentence, needed);
        let world = World { rule: Rule::WHOLE.without(sentence), scenario: &scenario };
        let search = exhaustive(&world, promises, 3_000_000);
        let found =
            search.found.unwrap_or_else(|| panic!("{sentence:?} is not needed: {} states", search.states));
        println!("without {sentence:?}, after {} states, {}: {found}", search.states, scenario.name);
        // The same steps, as far as they can happen, do no harm under the whole rule.
        let world = whole(&scenario);
        let mut state = State::founding(&scenario);
        for step in found.steps {
            state = state.after(&world, step).unwrap_or(state);
            assert_eq!(state.judge_reads(&world), None, "{sentence:?} at {step:?}");
        }
    }
}
