//! A flush that was answered parts what was written before it from what is written after: nothing that was acknowledged
//! at QUORUM before it began is read at QUORUM, or kept, once it is over, and nothing that is written at QUORUM from then
//! on is taken for older than it.

use super::Violation;
use crate::{
    content::{self, Content, KeyId, WriteId},
    evidence::Evidence,
    history::{Action, Answer, Operation},
};
use shoal_proto::types::Tag;
use std::collections::BTreeMap;

const NAME: &str = "flush";

/// Values that outlived a flush, and writes that were lost to one before them.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let is_flush = |operation: &&Operation| operation.action == Action::Flush;
    let answered = history.operations.iter().filter(is_flush);
    let flushes: Vec<(&Operation, Tag)> =
        answered.filter_map(|operation| Some((operation, operation.own_tag()?))).collect();
    if flushes.is_empty() {
        return Vec::new();
    }
    let is_write = |operation: &&Operation| matches!(operation.action, Action::Write { .. });
    let acknowledged = history.operations.iter().filter(is_write).filter(|write| history.is_quorum(write));
    let writes: BTreeMap<WriteId, &Operation> = acknowledged.map(|write| (write.write_id(), write)).collect();
    let outlived = |content: &Content, by| {
        let Content::Of(write) = content else { return None };
        let write = writes.get(write)?;
        flushes.iter().find(|(flush, _)| write.end < flush.start && flush.end < by).map(|(f, _)| (*write, *f))
    };
    let mut violations = Vec::new();
    for operation in &history.operations {
        if let Answer::Hit { content, .. } = &operation.answer
            && history.is_quorum(operation)
            && let Some((write, flush)) = outlived(content, operation.start)
        {
            let what = format!("{operation} read what {write} stored before {flush}");
            violations.push(Violation::on(NAME, history, operation.key, operation.end, what));
        }
        if let (Answer::Acknowledged { tag, .. }, false) = (&operation.answer, is_flush(&operation))
            && history.is_quorum(operation)
            && let Some((flush, _)) = flushes.iter().find(|(f, at)| f.end < operation.start && tag <= at)
        {
            let what = format!("{operation} was taken for older than {flush}");
            violations.push(Violation::on(NAME, history, operation.key, operation.end, what));
        }
    }
    let at = evidence.converged.at;
    for (node, store) in &evidence.converged.stores {
        for (key, stamped) in store {
            let content = stamped.value().map(content::decode);
            if let (Some(key), Some((write, flush))) =
                (KeyId::parse(key), content.and_then(|content| outlived(&content, at)))
            {
                let what = format!("node {node} holds what {write} stored before {flush}");
                violations.push(Violation::on(NAME, history, key, at, what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;
    use shoal_proto::types::Stamped;

    fn broken(operations: Vec<Operation>) -> usize {
        check(&evidence(operations)).len()
    }

    fn read_of(write: &Operation, time: std::ops::Range<u64>, tag: u64) -> Operation {
        hit(1, time, tag).of(write.write_id())
    }

    #[test]
    fn what_was_acknowledged_before_a_flush_is_not_read_after_it_whatever_its_tag() {
        let write = || write(1, 0..10, 5);
        for tag in [4, 6] {
            assert_eq!(broken(vec![write(), flush(11..20, tag), read_of(&write(), 21..22, 5)]), 1);
        }
        // It overlaps the write, or the read overlaps it.
        assert_eq!(broken(vec![write(), flush(9..20, 4), read_of(&write(), 21..22, 5)]), 0);
        assert_eq!(broken(vec![write(), flush(11..20, 6), read_of(&write(), 20..22, 5)]), 0);
    }

    #[test]
    fn neither_lower_levels_nor_a_flush_that_was_not_answered_promise_anything() {
        let (weak, strong) = (write(1, 0..10, 5).at_one(), write(1, 0..10, 5));
        assert_eq!(broken(vec![weak.clone(), flush(11..20, 4), read_of(&weak, 21..22, 5)]), 0);
        assert_eq!(broken(vec![strong.clone(), flush(11..20, 4), read_of(&strong, 21..22, 5).at_one()]), 0);
        assert_eq!(broken(vec![strong.clone(), flush(11..20, 4).maybe(), read_of(&strong, 21..22, 5)]), 0);
    }

    #[test]
    fn what_is_written_after_a_flush_is_newer() {
        assert_eq!(broken(vec![flush(0..10, 5), write(1, 11..20, 6)]), 0);
        assert_eq!(broken(vec![flush(0..10, 5), write(1, 11..20, 5)]), 1);
        assert_eq!(broken(vec![flush(0..10, 5), delete(1, 11..20, 4)]), 1);
        assert_eq!(broken(vec![flush(0..10, 5), write(1, 9..20, 4)]), 0);
        // One owner that was out of sight may not have heard of it.
        assert_eq!(broken(vec![flush(0..10, 5), write(1, 11..20, 4).at_one()]), 0);
    }

    #[test]
    fn no_node_keeps_what_was_flushed() {
        let written = write(1, 0..10, 5);
        let value = content::encode(written.write_id(), 40);
        let kept = Stamped::live(tag(5), 0, None, value);
        let mut evidence = evidence(vec![written, flush(11..20, 4)]);
        evidence.converged = snapshot(1, [None, None, Some(kept)]);
        assert_eq!(check(&evidence).len(), 1);
        evidence.converged = snapshot(1, [None, None, None]);
        assert_eq!(check(&evidence).len(), 0);
    }
}
