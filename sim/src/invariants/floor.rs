//! The sweep behind freshness and monotonic reads: what was known before a read began bounds what it may return.

use super::Violation;
use crate::{
    content::KeyId,
    history::{History, Operation, Rank},
};

/// An operation that proves that a version of its key was on a quorum when it ended.
pub(super) struct Witness<'a> {
    pub(super) rank: Rank,
    pub(super) operation: &'a Operation,
}

/// The quorum reads of `key` that returned less than a witness which ended before they began.
///
/// Sorted by time once; then one pass that carries the largest rank known so far.
pub(super) fn check(
    invariant: &str,
    history: &History,
    key: KeyId,
    mut witnesses: Vec<Witness<'_>>,
) -> Vec<Violation> {
    witnesses.sort_by_key(|witness| witness.operation.end);
    let mut reads: Vec<&Operation> =
        history.on(key).filter(|op| !op.is_mutation() && history.is_quorum(op)).collect();
    reads.sort_by_key(|read| read.start);

    let mut known = witnesses.iter().peekable();
    let mut floor: Option<&Witness<'_>> = None;
    let mut violations = Vec::new();
    for read in reads {
        while let Some(witness) = known.next_if(|witness| witness.operation.end < read.start) {
            if floor.is_none_or(|largest| witness.rank > largest.rank) {
                floor = Some(witness);
            }
        }
        if let Some(floor) = floor.filter(|floor| !satisfies(history, read, floor.rank)) {
            let what = format!("{read} came after {}", floor.operation);
            violations.push(Violation::on(invariant, history, key, read.end, what));
        }
    }
    violations
}

/// A miss that names no marker is right only if what it should have found may be dead.
fn satisfies(history: &History, read: &Operation, floor: Rank) -> bool {
    match read.seen() {
        Some(seen) => seen >= floor,
        None => history.may_be_dead(read.key, floor.tag, read.end),
    }
}
