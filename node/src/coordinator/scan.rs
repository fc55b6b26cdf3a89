//! Walks over all keys of the cluster, page by page, from whichever rebuilt owners can be asked.

use super::{
    Coordinator, CoordinatorError, RequestOptions,
    cursor::{Cursor, Within, starts},
    glob::Glob,
};
use crate::{
    limits,
    replica::{Done, ReplicaRequest},
};
use bytes::Bytes;
use shoal_membership::{ClusterView, ring};
use shoal_proto::types::{
    Consistency, Key, KeyListing, KeysPage, PullCursor, ReplicaAnswer, ReplicaOp, Vnode,
};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

/// Which keys a scan tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeyFilter {
    /// All.
    #[default]
    All,
    /// Those that match a pattern.
    Glob(Bytes),
    /// None.
    Nothing,
}

/// One step of a walk over all keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRequest {
    /// Where the last step ended, 0 to begin.
    pub cursor: u64,
    /// About how many keys to look at.
    pub count: u32,
    /// Which of them to tell.
    pub filter: KeyFilter,
}

/// What a step of a walk came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanReply {
    /// Keys; perhaps none, and perhaps some that were told before.
    pub keys: Vec<Key>,
    /// Where to go on, 0 at the end.
    pub cursor: u64,
}

/// The keys of one hash slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotReply {
    /// How many there are.
    pub count: u64,
    /// Some of them.
    pub keys: Vec<Key>,
}

impl Coordinator {
    /// Takes a step of a walk over all keys. A key that is held from the first step to the last is told at least once,
    /// and one that a restarted or lost owner was asked for in the meantime perhaps twice. Counts as no use of the keys.
    /// What an owner missed and nobody has repaired yet may be missed, as by any read at ONE.
    ///
    /// # Errors
    /// Before there is a ring, for a cursor that no step returned, and when no rebuilt owner of a vnode can be asked.
    pub async fn scan(
        &self,
        request: &ScanRequest,
        options: &RequestOptions,
    ) -> Result<ScanReply, CoordinatorError> {
        let unknown = || CoordinatorError::Invalid("invalid cursor".into());
        let glob = match &request.filter {
            KeyFilter::Glob(pattern) => Some(pattern_of(pattern)?),
            KeyFilter::All | KeyFilter::Nothing => None,
        };
        let deadline = self.deadline(options);
        let mut cursor = Cursor::from_bits(request.cursor).ok_or_else(unknown)?;
        let (mut keys, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
        let count = request.count.clamp(1, limits::SCAN_KEYS);
        for _ in 0..limits::SCAN_PAGES {
            let view = self.cluster.view();
            let vnodes = view.record().ok_or(CoordinatorError::NotReady)?.table().vnodes();
            if cursor.vnode.0 >= vnodes {
                return Err(unknown());
            }
            let (page, next) = self.scan_page(&view, cursor, count - looked_at, deadline).await?;
            looked_at += page.len() as u32;
            bytes += page.iter().map(|key| key.as_bytes().len()).sum::<usize>();
            keys.extend(page.into_iter().filter(|key| match (&request.filter, &glob) {
                (KeyFilter::Nothing, _) => false,
                (_, Some(glob)) => glob.is_match(key.as_bytes()),
                (_, None) => true,
            }));
            match next {
                Some(next) => cursor = next,
                None => return Ok(ScanReply { keys, cursor: 0 }),
            }
            if looked_at >= count || bytes >= limits::SCAN_PAGE_BYTES {
                break;
            }
        }
        Ok(ScanReply { keys, cursor: cursor.to_bits() })
    }

    /// Tells how many keys a hash slot has, and about `limit` of them, as one of its rebuilt owners holds them.
    ///
    /// # Errors
    /// Before there is a ring, and when no rebuilt owner of the slot can be asked.
    pub async fn keys_in_slot(
        &self,
        slot: u16,
        limit: u32,
        options: &RequestOptions,
    ) -> Result<SlotReply, CoordinatorError> {
        let view = self.cluster.view();
        let record = view.record().ok_or(CoordinatorError::NotReady)?;
        let vnode = ring::vnode_of_slot(slot, record.table().vnodes());
        let deadline = self.deadline(options);
        for owner in self.candidates(&view, vnode) {
            if let Some(reply) = self.list_slot(&view, owner, vnode, slot, limit, deadline).await {
                return Ok(reply);
            }
        }
        Err(nobody(&view, vnode))
    }

    async fn list_slot(
        &self,
        view: &Arc<ClusterView>,
        owner: u16,
        vnode: Vnode,
        slot: u16,
        limit: u32,
        deadline: Instant,
    ) -> Option<SlotReply> {
        let (mut reply, mut after, mut bytes) = (SlotReply::default(), None, 0);
        loop {
            let listing = KeyListing {
                vnodes: vec![vnode],
                slot: Some(slot),
                after,
                limit: limits::SCAN_KEYS,
                source_generation: view.member(owner).generation,
            };
            let page = self.ask_for_keys(view, owner, listing, deadline).await?;
            reply.count += page.keys.len() as u64;
            for key in page.keys {
                if reply.keys.len() < limit as usize && bytes < limits::SCAN_PAGE_BYTES {
                    bytes += key.as_bytes().len();
                    reply.keys.push(key);
                }
            }
            after = page.next;
            if after.is_none() {
                return Some(reply);
            }
        }
    }

    /// One page, and where the next begins: of the owner whose order the cursor follows if it can be asked, otherwise
    /// of another one, from the beginning of the vnode.
    async fn scan_page(
        &self,
        view: &Arc<ClusterView>,
        cursor: Cursor,
        limit: u32,
        deadline: Instant,
    ) -> Result<(Vec<Key>, Option<Cursor>), CoordinatorError> {
        let followed = cursor.within.and_then(|within| self.followed(view, cursor.vnode, within));
        let resumed = followed.map(|(owner, hash)| (owner, Some(PullCursor { vnode: cursor.vnode, hash })));
        let anew = self.candidates(view, cursor.vnode).into_iter().map(|owner| (owner, None));
        for (owner, after) in resumed.into_iter().chain(anew) {
            let vnodes = run_of(view, cursor.vnode, owner);
            let last = vnodes.last().copied().unwrap_or(cursor.vnode);
            let source_generation = view.member(owner).generation;
            let listing = KeyListing { vnodes, slot: None, after, limit, source_generation };
            // Half of what is left, so that another can be asked if this one does not answer.
            let left = deadline.saturating_duration_since(Instant::now());
            let until = if view.my_index() == Some(owner) { deadline } else { deadline - left / 2 };
            if let Some(page) = self.ask_for_keys(view, owner, listing, until).await {
                let next = match page.next {
                    Some(PullCursor { vnode, hash: u64::MAX }) => following(view, vnode),
                    Some(PullCursor { vnode, hash }) => within(view, vnode, owner, hash),
                    None => following(view, last),
                };
                return Ok((page.keys, next));
            }
        }
        Err(nobody(view, cursor.vnode))
    }

    async fn ask_for_keys(
        &self,
        view: &Arc<ClusterView>,
        owner: u16,
        listing: KeyListing,
        deadline: Instant,
    ) -> Option<KeysPage> {
        let (outcomes, mut heard) = mpsc::channel(1);
        let done = Done::new(move |outcome| drop(outcomes.try_send(outcome)));
        let op = ReplicaOp::ListKeys(listing);
        // A page of this node's own costs time, and there may be many.
        tokio::task::yield_now().await;
        self.replicas.submit(view, owner, ReplicaRequest { stamp: None, op, deadline, done });
        match heard.recv().await? {
            Ok(ReplicaAnswer::Keys(page)) => Some(page),
            _ => None,
        }
    }

    /// The owner whose order a cursor follows, and where in it, if it still keeps that order.
    fn followed(&self, view: &ClusterView, vnode: Vnode, within: Within) -> Option<(u16, u64)> {
        let owner = view.owners(vnode).get(usize::from(within.place)).copied()?;
        let keeps_it = starts(view.member(owner).generation) == within.starts;
        let hash = u64::from(within.position) << (u64::BITS - KeyListing::POSITION_BITS);
        (keeps_it && self.replicas.can_ask(view, owner)).then_some((owner, hash))
    }

    /// Owners that can be asked: this node first, then the living in preference order, then the rest.
    fn candidates(&self, view: &ClusterView, vnode: Vnode) -> Vec<u16> {
        let owners = view.owners(vnode).iter().copied();
        let mut owners: Vec<u16> = owners.filter(|owner| self.replicas.can_ask(view, *owner)).collect();
        owners.sort_by_key(|owner| (Some(*owner) != view.my_index(), !view.member(*owner).live));
        owners
    }
}

fn pattern_of(pattern: &[u8]) -> Result<Glob, CoordinatorError> {
    if pattern.len() > limits::SCAN_PATTERN_BYTES {
        return Err(CoordinatorError::Invalid(format!(
            "pattern of {} bytes exceeds the limit of {} bytes",
            pattern.len(),
            limits::SCAN_PATTERN_BYTES
        )));
    }
    Ok(Glob::new(pattern))
}

/// Neighbouring vnodes of `owner` from `first` on, as many as one page may be about.
fn run_of(view: &ClusterView, first: Vnode, owner: u16) -> Vec<Vnode> {
    let vnodes = (first.0..u16::MAX).map(Vnode).take(limits::SCAN_VNODES);
    vnodes.take_while(|vnode| exists(view, *vnode) && view.owners(*vnode).contains(&owner)).collect()
}

fn exists(view: &ClusterView, vnode: Vnode) -> bool {
    view.record().is_some_and(|record| vnode.0 < record.table().vnodes())
}

/// The beginning of the next vnode; `None` after the last.
fn following(view: &ClusterView, vnode: Vnode) -> Option<Cursor> {
    let next = Vnode(vnode.0 + 1);
    exists(view, next).then(|| Cursor::at(next))
}

fn within(view: &ClusterView, vnode: Vnode, owner: u16, hash: u64) -> Option<Cursor> {
    let place = view.owners(vnode).iter().position(|other| *other == owner)? as u8;
    let position = (hash >> (u64::BITS - KeyListing::POSITION_BITS)) as u32;
    let starts = starts(view.member(owner).generation);
    Some(Cursor { vnode, within: Some(Within { place, starts, position }) })
}

fn nobody(view: &ClusterView, vnode: Vnode) -> CoordinatorError {
    CoordinatorError::Unavailable {
        level: Consistency::One,
        required: 1,
        available: 0,
        replicas: view.owners(vnode).len(),
        maybe: false,
    }
}
