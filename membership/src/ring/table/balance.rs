//! Moves holdings from members that have too much to those that have too little, at the least cost.

use super::{
    chunk::best_chunk, draft::Draft, draft::Row, draft::Stretch, path::cheapest_path, rule::Rule,
    shares::Targets,
};

/// Gives every member its share, and fills vacancies.
pub(super) fn balance(draft: &mut Draft, rule: &impl Rule, targets: &Targets) {
    level(draft, rule, &targets.best, rule.fair_price());
    // The best may not be worth its price and not even possible. The bounds around it always are: see `Shares`.
    level(draft, rule, &targets.most, i64::MAX);
    level(draft, rule, &targets.least, i64::MAX);
}

/// Shifts vnodes from members above their target, and from vacancies, to members below theirs, until there are none of
/// the one or the other or the next shift is impossible or costs more than `limit` per vnode.
///
/// This is a minimum-cost flow by successive cheapest paths: members with an excess are its sources, those with too
/// little its sinks, rows its edges. The cost is minimal because no path is taken before all cheaper ones. A chunk is a
/// path of one step that many neighbouring vnodes take together; of these, the one that tears the fewest stretches
/// apart goes first. Longer paths, on which members hand on what they get, are only searched when chunks run out.
fn level(draft: &mut Draft, rule: &impl Rule, targets: &[usize], limit: i64) {
    let mut excess: Vec<i64> = draft.accounts(rule).into_iter().map(|held| held as i64).collect();
    for (excess, target) in excess.iter_mut().zip(targets) {
        *excess -= *target as i64;
    }
    let mut price = None;
    while excess.iter().any(|excess| *excess > 0) && excess.iter().any(|excess| *excess < 0) {
        if let Some(chunk) = price.and_then(|price| best_chunk(draft.stretches(), &excess, rule, price)) {
            draft.shift(rule, &chunk.vnodes, chunk.from, chunk.to);
            settle(&mut excess, chunk.from, chunk.to, chunk.vnodes.len());
            continue;
        }
        let Some(path) = cheapest_path(draft.stretches(), &excess, rule) else { return };
        if path.cost > limit {
            return;
        }
        if price.is_none_or(|price| path.cost > price) {
            price = Some(path.cost);
            continue;
        }
        for step in &path.steps {
            draft.shift(rule, &(step.start..step.start + path.vnodes), step.from, step.to);
        }
        settle(&mut excess, path.from, path.to, path.vnodes);
    }
}

fn settle(excess: &mut [i64], from: u16, to: u16, vnodes: usize) {
    excess[usize::from(from)] -= vnodes as i64;
    excess[usize::from(to)] += vnodes as i64;
}

/// How much the cost of a stretch changes, per vnode, if its row becomes `shifted`.
pub(super) fn added_cost(rule: &impl Rule, stretch: &Stretch, shifted: &Row) -> i64 {
    rule.cost(&stretch.before, shifted) - rule.cost(&stretch.before, &stretch.now)
}

/// How many more breaks there are between a stretch and its neighbour if its row becomes `shifted`: -1, 0 or 1.
pub(super) fn added_breaks(stretch: &Stretch, shifted: &Row, neighbour: Option<&Stretch>) -> i64 {
    neighbour
        .map_or(0, |neighbour| i64::from(*shifted != neighbour.now) - i64::from(stretch.now != neighbour.now))
}
