//! Clients that were not let in, or not let do what they asked for.

use super::{
    requests::{DOORS, DoorName},
    table::{Counters, Label, Labels},
};

/// Why a client was not let in, or not let do what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It has shown nothing.
    Missing,
    /// What it has shown is nobody's.
    Wrong,
    /// It may not do this.
    Forbidden,
    /// What it has shown was good once.
    Revoked,
    /// It has not shown anything in time.
    Late,
}

impl Refused {
    pub(super) const ALL: [Self; 5] =
        [Self::Missing, Self::Wrong, Self::Forbidden, Self::Revoked, Self::Late];

    /// Its name as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::Forbidden => "forbidden",
            Self::Revoked => "revoked",
            Self::Late => "late",
        }
    }
}

impl Label for (DoorName, Refused) {
    fn all() -> Vec<Labels> {
        let labels = |door, why: Refused| vec![("door", door), ("reason", why.name())];
        DOORS.iter().flat_map(|door| Refused::ALL.map(|why| labels(*door, why))).collect()
    }

    fn index(self) -> usize {
        let (door, why) = self;
        door as usize * Refused::ALL.len() + why as usize
    }
}

impl Counters<(DoorName, Refused)> {
    /// Those of one door.
    #[must_use]
    pub fn door(&self, door: DoorName) -> DoorRefusals {
        DoorRefusals { door, all: self.clone() }
    }
}

/// What one door counts. Clones count together.
#[derive(Debug, Clone)]
pub struct DoorRefusals {
    door: DoorName,
    all: Counters<(DoorName, Refused)>,
}

impl DoorRefusals {
    /// Counts one more.
    pub fn count(&self, why: Refused) {
        self.all.inc((self.door, why));
    }
}
