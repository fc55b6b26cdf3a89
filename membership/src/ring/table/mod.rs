//! The owner table editor: lays out a new cluster's table and changes a running one's.
//!
//! What it wants, the most important first:
//!
//! 1. every vnode has distinct owners, not too many of them in one zone;
//! 2. members hold what their capacity entitles them to (see [`targets`]), within 3 % or a vnode;
//! 3. a change moves as few replicas as that allows: mostly just what the members that gain are to gain;
//! 4. neighbouring vnodes look alike, so that clients see few slot ranges;
//! 5. every member comes first in its part of the vnodes it owns.
//!
//! ```text
//! previous table -> Draft -> balance owners -> balance firsts -> OwnerTable
//!                              ^                 ^
//!        members -> Shares -> Targets           Targets
//! ```
//!
//! Equal inputs give equal tables: there is no randomness in it. The table is data that travels in the ring record and
//! nobody but the proposer of a change computes it, so other versions may place differently.

mod balance;
mod chunk;
mod draft;
mod path;
mod rule;
mod shares;
mod slots;
#[cfg(test)]
mod tests;

use balance::balance;
use draft::Draft;
use rule::{Firsts, Owners};
use shares::{Shares, Targets};
use shoal_proto::types::{InvalidRecord, MAX_MEMBERS, MAX_REPLICAS, MAX_VNODES, Member, OwnerTable};
pub use slots::{OwnedSlots, slot_ranges};

/// The table of the epoch before, and what became of its members.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// The table that is changed.
    pub table: &'a OwnerTable,
    /// Where each of the previous members stands among the new ones; `None` if it left and its data with it.
    pub places: &'a [Option<u16>],
}

/// There is no table for these members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A ring has at least one member and at most [`MAX_MEMBERS`].
    #[error("{0} members: 1 to {MAX_MEMBERS} are allowed")]
    Members(usize),
    /// A member without capacity could own nothing.
    #[error("member {0} has no capacity")]
    Capacity(usize),
    /// The places do not cover the previous table, name a member twice or one that does not exist.
    #[error("places of the previous members do not fit the members")]
    Places,
    /// The number of replicas or vnodes is out of range.
    #[error(transparent)]
    Shape(#[from] InvalidRecord),
}

/// The table of a new cluster: `vnodes` rows (a power of two) of `replicas` owners, fewer if there are fewer members.
///
/// # Errors
/// When there are no or too many members, one has no capacity, or a number is out of range.
pub fn found(members: &[Member], replicas: usize, vnodes: u16) -> Result<OwnerTable, TableError> {
    if !vnodes.is_power_of_two() || u32::from(vnodes) > MAX_VNODES {
        return Err(InvalidRecord::Vnodes(vnodes.into()).into());
    }
    let mut count = replicas.max(1).min(members.len());
    let mut table = lay_out(&members[..count], replicas, (0..vnodes).map(|_| Vec::new()))?;
    // Growing mixes the members. Laid out at once, the ranges would be longer still, but each member would share its
    // vnodes with few others: they alone would take its load when it dies, and a later leave would have to move more
    // than the leaver's share because those who may not take a vnode are the ones that lack some.
    while count < members.len() {
        count = members.len().min(count + count.div_ceil(4));
        table = lay_out(&members[..count], replicas, table.rows().map(<[u16]>::to_vec))?;
    }
    Ok(table)
}

/// The table for `members` and `replicas` that differs least from the previous one.
///
/// Members should keep their order and newcomers follow: preference lists are circles through the order of members, so
/// that another order would turn them around.
///
/// # Errors
/// Those of [`found`], and when the places do not fit.
pub fn edit(previous: Previous<'_>, members: &[Member], replicas: usize) -> Result<OwnerTable, TableError> {
    let Previous { table, places } = previous;
    let mut kept: Vec<u16> = places.iter().copied().flatten().collect();
    kept.sort_unstable();
    let unknown = kept.iter().any(|place| usize::from(*place) >= members.len());
    let uncovered = table.places().iter().any(|owner| usize::from(*owner) >= places.len());
    if unknown || uncovered || kept.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(TableError::Places);
    }
    lay_out(
        members,
        replicas,
        table.rows().map(|row| row.iter().filter_map(|owner| places[usize::from(*owner)]).collect()),
    )
}

/// Where each member of `before` stands in `after`, found by name: the places of a [`Previous`]. A node that was
/// removed and joins again within one change is a new one and must be struck out by the caller.
#[must_use]
pub fn places(before: &[Member], after: &[Member]) -> Vec<Option<u16>> {
    let place =
        |old: &Member| after.iter().position(|new| new.node_id == old.node_id).map(|place| place as u16);
    before.iter().map(place).collect()
}

/// The zone-feasible target of each member in vnodes, which tables meet within 3 % or a vnode: its fair share by
/// capacity as far as one replica per vnode and the zones allow it.
///
/// # Errors
/// Those of [`found`].
pub fn targets(members: &[Member], replicas: usize, vnodes: u16) -> Result<Vec<f64>, TableError> {
    Ok(shares(members, replicas, vnodes.into())?.targets)
}

fn shares(members: &[Member], replicas: usize, vnodes: usize) -> Result<Shares, TableError> {
    if members.is_empty() || members.len() > MAX_MEMBERS {
        return Err(TableError::Members(members.len()));
    }
    if let Some(member) = members.iter().position(|member| member.capacity == 0) {
        return Err(TableError::Capacity(member));
    }
    if !(1..=MAX_REPLICAS).contains(&replicas) {
        return Err(InvalidRecord::Replicas(replicas).into());
    }
    Ok(Shares::new(members, replicas.min(members.len()), vnodes))
}

/// Lays out a table whose rows had these owners, in order of preference, so far.
fn lay_out(
    members: &[Member],
    replicas: usize,
    rows: impl ExactSizeIterator<Item = Vec<u16>>,
) -> Result<OwnerTable, TableError> {
    let vnodes = rows.len();
    let shares = shares(members, replicas, vnodes)?;
    let mut draft = Draft::new(rows, &shares);

    let owners = Owners { shares: &shares };
    let held = draft.holdings(&owners);
    balance(&mut draft, &owners, &Targets::new(&shares.targets, &held, vnodes * shares.replicas));

    let firsts = Firsts { vacant: shares.vacant() };
    let ideals: Vec<f64> =
        draft.holdings(&owners).iter().map(|held| *held as f64 / shares.replicas as f64).collect();
    let held = draft.holdings(&firsts);
    balance(&mut draft, &firsts, &Targets::new(&ideals, &held, vnodes));

    Ok(OwnerTable::new(shares.replicas, draft.places())?)
}
