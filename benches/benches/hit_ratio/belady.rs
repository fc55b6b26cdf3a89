//! The most hits that any cache of objects could have.

use crate::trace::Trace;
use std::collections::{BTreeMap, BTreeSet};

/// Percent of requests that hit where the future is known: what is needed last goes, or does not come in.
pub(crate) fn hits(trace: &Trace, capacity: usize) -> f64 {
    let mut next_use = vec![usize::MAX; trace.requests.len()];
    let mut later = BTreeMap::new();
    for (at, request) in trace.requests.iter().enumerate().rev() {
        next_use[at] = later.insert(request.key, at).unwrap_or(usize::MAX);
    }
    let mut held: BTreeSet<(usize, u32)> = BTreeSet::new();
    let mut hits = 0;
    for (at, request) in trace.requests.iter().enumerate() {
        hits += usize::from(held.remove(&(at, request.key)));
        if next_use[at] == usize::MAX {
            continue;
        }
        held.insert((next_use[at], request.key));
        if held.len() > capacity {
            held.pop_last();
        }
    }
    100.0 * hits as f64 / trace.requests.len() as f64
}
