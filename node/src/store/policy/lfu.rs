use super::{Entries, Loc, Policy, sketch::Sketch, values};

/// Lists by how often their values were used: 0 to 1 time, 2 to 3, 4 to 7, 8 to 15.
const CLASSES: usize = 4;
/// Values whose class is looked up again for every one that is given up.
const REVIEWED: usize = 4;

/// Gives up what is used least often, and among such what has not been used for longest. Counts age.
#[derive(Default)]
pub(super) struct Lfu {
    sketch: Sketch,
}

fn class(uses: u32) -> usize {
    uses.max(1).ilog2() as usize
}

impl Policy for Lfu {
    fn list_of_new(&mut self, hash: u64, user: bool) -> usize {
        if user {
            self.sketch.count(hash);
        }
        class(self.sketch.uses(hash))
    }

    fn used(&mut self, entries: &mut Entries, at: Loc, hash: u64, times: u32) {
        (0..times).for_each(|_| self.sketch.count(hash));
        entries.refresh(at, class(self.sketch.uses(hash)));
    }

    fn settle(&mut self, entries: &mut Entries, _capacity: u64) {
        self.sketch.make_room(values(entries));
    }

    fn victim(&mut self, entries: &mut Entries, _capacity: u64, _excess: u64) -> Option<Loc> {
        // Counts have aged since a value joined its list: those at its end, longest unused, may belong to a lower one.
        for list in (1..CLASSES).rev() {
            for _ in 0..REVIEWED {
                let Some(last) = entries.least_recent(list) else { break };
                let now = class(self.sketch.uses(entries.hash(last)));
                if now >= list {
                    break;
                }
                entries.move_first(last, now);
            }
        }
        (0..CLASSES).find_map(|list| entries.least_recent(list))
    }

    fn uses(&self, hash: u64) -> Option<u32> {
        Some(self.sketch.uses(hash))
    }

    fn bytes(&self) -> u64 {
        self.sketch.bytes()
    }
}
