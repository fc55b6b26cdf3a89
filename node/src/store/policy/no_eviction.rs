use super::{Entries, Loc, Policy};

/// Gives nothing up.
pub(super) struct NoEviction;

impl Policy for NoEviction {
    fn list_of_new(&mut self, _hash: u64, _user: bool) -> usize {
        0
    }

    fn used(&mut self, _entries: &mut Entries, _at: Loc, _hash: u64, _times: u32) {}

    fn settle(&mut self, _entries: &mut Entries, _capacity: u64) {}

    fn victim(&mut self, _entries: &mut Entries, _capacity: u64, _excess: u64) -> Option<Loc> {
        None
    }

    fn evicts(&self) -> bool {
        false
    }
}
