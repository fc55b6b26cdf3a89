//! The search for the cheapest way from an excess to a member that lacks something, over others that hand on.

use super::{balance::added_breaks, balance::added_cost, draft::Stretch, rule::Rule};
use std::iter::successors;

/// A chain of members of which each gives the next `vnodes`, somewhere in the table.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) from: u16,
    pub(super) to: u16,
    /// What the whole chain costs per vnode.
    pub(super) cost: i64,
    pub(super) vnodes: usize,
    pub(super) steps: Vec<Step>,
}

/// One member gives another the vnodes from `start` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) start: usize,
    vnodes: usize,
    cost: i64,
    weight: i64,
}

/// One unit of cost outweighs all steps and breaks of a path.
const COST: i64 = 1 << 32;
/// One step more outweighs the break that may be saved by it, so that paths have no detours. Without detours, steps
/// that are allowed one by one are allowed together, even where two of them touch the same vnodes.
const STEP: i64 = 8;

/// The path of least cost, then fewest steps, then fewest breaks, from any member with an excess to any that lacks.
pub(super) fn cheapest_path(stretches: &[Stretch], excess: &[i64], rule: &impl Rule) -> Option<Path> {
    let steps = cheapest_steps(stretches, excess.len(), rule);
    let reached = reach(&steps, excess);
    let lacking = (0..excess.len()).filter(|member| excess[*member] < 0);
    let (_, end) = lacking.filter_map(|member| Some((reached[member]?.weight, member))).min()?;

    let step_to = |member: usize| reached[member].and_then(|reached| reached.last);
    let back = successors(step_to(end), |step| step_to(step.from.into())).take(excess.len());
    let mut steps: Vec<Step> = back.collect();
    steps.reverse();
    let (from, to) = (steps.first()?.from, steps.last()?.to);
    let settled = excess[usize::from(from)].min(-excess[end]) as usize;
    let vnodes = steps.iter().map(|step| step.vnodes).fold(settled, usize::min);
    Some(Path { from, to, vnodes, cost: steps.iter().map(|step| step.cost).sum(), steps })
}

/// The best step between any two of `members`, in a square by giver and taker.
fn cheapest_steps(stretches: &[Stretch], members: usize, rule: &impl Rule) -> Vec<Option<Step>> {
    let mut steps: Vec<Option<Step>> = vec![None; members * members];
    let mut start = 0;
    for (at, stretch) in stretches.iter().enumerate() {
        let neighbour = at.checked_sub(1).map(|before| &stretches[before]);
        for from in rule.holders(&stretch.now).iter().copied() {
            for to in 0..members as u16 {
                let Some(shifted) = rule.shift(&stretch.now, from, to) else { continue };
                let cost = added_cost(rule, stretch, &shifted);
                let weight = cost * COST + STEP + added_breaks(stretch, &shifted, neighbour);
                let best = &mut steps[usize::from(from) * members + usize::from(to)];
                if best.is_none_or(|best| weight < best.weight) {
                    *best = Some(Step { from, to, start, vnodes: stretch.vnodes, cost, weight });
                }
            }
        }
        start += stretch.vnodes;
    }
    steps
}

#[derive(Clone, Copy)]
struct Reached {
    weight: i64,
    last: Option<Step>,
}

/// How every member is best reached, by the method of Bellman and Ford: a step that takes back an earlier one has a
/// negative weight, but there are no circles of negative weight as long as every path taken is a cheapest one.
fn reach(steps: &[Option<Step>], excess: &[i64]) -> Vec<Option<Reached>> {
    let mut reached: Vec<Option<Reached>> =
        excess.iter().map(|excess| (*excess > 0).then_some(Reached { weight: 0, last: None })).collect();
    for _ in 0..excess.len() {
        let mut changed = false;
        for step in steps.iter().flatten() {
            let Some(giver) = reached[usize::from(step.from)] else { continue };
            let weight = giver.weight + step.weight;
            let taker = &mut reached[usize::from(step.to)];
            if taker.is_none_or(|taker| weight < taker.weight) {
                *taker = Some(Reached { weight, last: Some(*step) });
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    reached
}
