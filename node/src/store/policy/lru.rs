use super::{Entries, Loc, Policy};

const ALL: usize = 0;

/// Gives up what has not been used for longest.
pub(super) struct Lru;

impl Policy for Lru {
    fn list_of_new(&mut self, _hash: u64, _user: bool) -> usize {
        ALL
    }

    fn used(&mut self, entries: &mut Entries, at: Loc, _hash: u64, _times: u32) {
        entries.refresh(at, ALL);
    }

    fn settle(&mut self, _entries: &mut Entries, _capacity: u64) {}

    fn victim(&mut self, entries: &mut Entries, _capacity: u64, _excess: u64) -> Option<Loc> {
        entries.least_recent(ALL)
    }
}
