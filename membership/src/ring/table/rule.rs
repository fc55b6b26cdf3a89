//! The two things a table shares out: places in rows, and who comes first in them.

use super::{draft::Row, shares::Shares};

/// What members hold of a row and how it may pass from one to another.
pub(super) trait Rule {
    /// Those who hold something of the row, ascending. Only a vacancy may appear twice.
    fn holders<'a>(&self, row: &'a Row) -> &'a [u16];
    /// The row after `from` has given to `to`, if the two may.
    fn shift(&self, row: &Row, from: u16, to: u16) -> Option<Row>;
    /// What it costs, per vnode, that a row is `now` what it was not `before`. Never negative.
    fn cost(&self, before: &Row, now: &Row) -> i64;
    /// What it may cost per vnode to bring a member within its bounds to its best.
    fn fair_price(&self) -> i64;
}

/// Members hold the vnodes they own. Data that has to move is what it costs.
pub(super) struct Owners<'a> {
    pub(super) shares: &'a Shares,
}

impl Rule for Owners<'_> {
    fn holders<'a>(&self, row: &'a Row) -> &'a [u16] {
        row.owners()
    }

    fn shift(&self, row: &Row, from: u16, to: u16) -> Option<Row> {
        let zone = self.shares.zone(to)?;
        if row.owners().contains(&to) {
            return None;
        }
        let others =
            row.owners().iter().filter(|owner| **owner != from && self.shares.zone(**owner) == Some(zone));
        if others.count() < self.shares.zone_cap { row.replace(from, to) } else { None }
    }

    fn cost(&self, before: &Row, now: &Row) -> i64 {
        let vacant = self.shares.vacant();
        now.owners().iter().filter(|owner| **owner != vacant && !before.owners().contains(owner)).count()
            as i64
    }

    fn fair_price(&self) -> i64 {
        1
    }
}

/// Members hold the vnodes whose preference list they lead. A vnode whose owners stay should keep its order.
pub(super) struct Firsts {
    pub(super) vacant: u16,
}

impl Rule for Firsts {
    fn holders<'a>(&self, row: &'a Row) -> &'a [u16] {
        std::slice::from_ref(&row.first)
    }

    fn shift(&self, row: &Row, from: u16, to: u16) -> Option<Row> {
        let may = row.first == from && from != to && to != self.vacant && row.owners().contains(&to);
        may.then(|| row.led_by(to))
    }

    fn cost(&self, before: &Row, now: &Row) -> i64 {
        (before.owners() == now.owners() && before.first != now.first).into()
    }

    fn fair_price(&self) -> i64 {
        0
    }
}
