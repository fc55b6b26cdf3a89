//! The table while it is edited: stretches of neighbouring vnodes that are alike.

use super::{rule::Rule, shares::Shares};
use shoal_proto::types::MAX_REPLICAS;
use std::ops::Range;

/// The owners of a vnode, ascending, and which of them comes first. What a row lacks are vacancies at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    // A plain array, because the search copies rows all the time.
    places: [u16; MAX_REPLICAS],
    replicas: usize,
    pub(super) first: u16,
}

/// Neighbouring vnodes that had one row before the change and have one now.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) vnodes: usize,
    pub(super) before: Row,
    pub(super) now: Row,
}

/// All stretches in vnode order. Their number, not that of the vnodes, is what editing takes time for.
#[derive(Debug)]
pub(super) struct Draft {
    stretches: Vec<Stretch>,
    members: usize,
}

impl Draft {
    /// A draft of rows with these owners, in order of preference. Owners that may not stay give way to vacancies.
    pub(super) fn new(rows: impl Iterator<Item = Vec<u16>>, shares: &Shares) -> Self {
        let rows: Vec<Row> = rows
            .map(|owners| Row::new(&owners, owners.first().copied().unwrap_or(shares.vacant())))
            .collect();
        let mut excess: Vec<f64> = shares.targets.iter().map(|target| -target).collect();
        for owner in rows.iter().flat_map(Row::owners) {
            excess[usize::from(*owner)] += 1.0;
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for before in rows {
            let now = before.fit(shares, &mut excess);
            match stretches.last_mut() {
                Some(last) if last.before == before && last.now == now => last.vnodes += 1,
                _ => stretches.push(Stretch { vnodes: 1, before, now }),
            }
        }
        Self { stretches, members: shares.targets.len() }
    }

    /// How many vnodes each member holds.
    pub(super) fn holdings(&self, rule: &impl Rule) -> Vec<usize> {
        let mut held = self.accounts(rule);
        held.pop();
        held
    }

    /// How many vnodes each member holds, followed by how many are vacant.
    pub(super) fn accounts(&self, rule: &impl Rule) -> Vec<usize> {
        let mut held = vec![0; self.members + 1];
        for stretch in &self.stretches {
            for holder in rule.holders(&stretch.now) {
                held[usize::from(*holder)] += stretch.vnodes;
            }
        }
        held
    }

    /// The stretches in vnode order.
    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Shifts `vnodes` from one member to another where the rule allows it.
    pub(super) fn shift(&mut self, rule: &impl Rule, vnodes: &Range<usize>, from: u16, to: u16) {
        let (start, end) = (self.cut(vnodes.start), self.cut(vnodes.end));
        for stretch in &mut self.stretches[start..end] {
            if let Some(shifted) = rule.shift(&stretch.now, from, to) {
                stretch.now = shifted;
            }
        }
    }

    /// All preference lists laid end to end.
    pub(super) fn places(&self) -> Vec<u16> {
        let rows =
            self.stretches.iter().flat_map(|stretch| std::iter::repeat_n(&stretch.now, stretch.vnodes));
        rows.flat_map(Row::preference_list).collect()
    }

    /// The index of the stretch that begins at `vnode`, cutting the one around it if there is none.
    fn cut(&mut self, vnode: usize) -> usize {
        let mut end = 0;
        for at in 0..self.stretches.len() {
            if end == vnode {
                return at;
            }
            end += self.stretches[at].vnodes;
            if end > vnode {
                let rest = Stretch { vnodes: end - vnode, ..self.stretches[at].clone() };
                self.stretches[at].vnodes -= rest.vnodes;
                self.stretches.insert(at + 1, rest);
                return at + 1;
            }
        }
        self.stretches.len()
    }
}

impl Row {
    /// A row of no more than [`MAX_REPLICAS`] owners.
    fn new(owners: &[u16], first: u16) -> Self {
        let mut row = Self { places: [u16::MAX; MAX_REPLICAS], replicas: owners.len(), first };
        for (place, owner) in row.places.iter_mut().zip(owners) {
            *place = *owner;
        }
        row.places.sort_unstable();
        row
    }

    /// The owners, ascending, and then the vacancies.
    pub(super) fn owners(&self) -> &[u16] {
        &self.places[..self.replicas]
    }

    /// Drops the owners that are too many for the row or for their zone, those with an excess first.
    fn fit(&self, shares: &Shares, excess: &mut [f64]) -> Self {
        let mut owners = self.owners().to_vec();
        loop {
            let in_zone = |zone| owners.iter().filter(|owner| shares.zone(**owner) == zone).count();
            let too_long = owners.len() > shares.replicas;
            let misfits =
                (0..owners.len()).filter(|i| too_long || in_zone(shares.zone(owners[*i])) > shares.zone_cap);
            // Of several with an excess always the same: neighbouring rows should stay alike.
            let lack = |i: &usize| -excess[usize::from(owners[*i])].min(0.0);
            let Some(worst) = misfits.min_by(|a, b| lack(a).total_cmp(&lack(b))) else { break };
            excess[usize::from(owners.remove(worst))] -= 1.0;
        }
        let first = if owners.contains(&self.first) { self.first } else { shares.vacant() };
        owners.resize(shares.replicas, shares.vacant());
        Self::new(&owners, first)
    }

    /// This row with `to` in the place of `from`.
    pub(super) fn replace(&self, from: u16, to: u16) -> Option<Self> {
        let mut row = *self;
        let place = self.owners().iter().position(|owner| *owner == from)?;
        row.places[place] = to;
        row.places.sort_unstable();
        if row.first == from {
            row.first = to;
        }
        Some(row)
    }

    /// This row with another owner as its first.
    pub(super) fn led_by(&self, first: u16) -> Self {
        Self { first, ..*self }
    }

    /// The owners in a circle, beginning with the first: so those who come second are as balanced as those who come
    /// first, and an owner keeps its place when its neighbours do.
    fn preference_list(&self) -> impl Iterator<Item = u16> {
        let start = self.owners().iter().position(|owner| *owner == self.first).unwrap_or_default();
        self.owners().iter().cycle().skip(start).take(self.replicas).copied()
    }
}
