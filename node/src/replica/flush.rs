//! A flush, on the node that adopts it: what is gone is never told, never taken, and dropped in the background.
//!
//! Whether a version is gone depends on its tag and the adopted record alone, so owners that know the same record hold
//! the same, in whatever order they got there.

use super::LocalReplica;
use crate::{limits, mutant, store::Found};
use shoal_membership::ClusterView;
use shoal_proto::types::{Cause, ClockReading, Key, Stamped, Tag, UnixMillis, Version, Vnode};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The pause after every page of entries that was looked through.
const PAUSE: Duration = Duration::from_millis(1);

impl LocalReplica {
    /// Whether what has this tag is gone by the record of `view`.
    pub(super) fn is_gone(&self, view: &ClusterView, tag: Tag) -> bool {
        view.flushes(tag) && !mutant::active("ignore_flush")
    }

    /// What is known of a key as a user reads it, unless it is gone.
    pub(super) fn get(&self, view: &ClusterView, vnode: Vnode, key: &Key, now: UnixMillis) -> Found {
        self.unless_gone(view, self.store.read(vnode, key, now))
    }

    /// Nothing in the place of what is gone.
    pub(super) fn unless_gone(&self, view: &ClusterView, found: Found) -> Found {
        let tag = match &found {
            Found::Held(entry) => entry.version().tag,
            Found::Ghost(version) => version.tag,
            Found::Nothing => return found,
        };
        if self.is_gone(view, tag) { Found::Nothing } else { found }
    }

    /// Takes over what another owner holds, unless it is gone.
    pub fn take_over(&self, key: &Key, entry: Stamped) {
        let tag = entry.version().tag;
        self.clock.observe(entry.version().stamp());
        let view = self.cluster.view();
        let Some(vnode) = view.vnode_of(key.as_bytes()).filter(|_| !self.is_gone(&view, tag)) else { return };
        self.share_seed(&view);
        self.store.put(vnode, key, entry, Cause::Rebuild, self.now());
        self.reconsider(&view, vnode, key, tag);
    }

    /// Forgets what was stored under `view` if a record adopted meanwhile says that it is gone: the sweep may have been
    /// there already.
    pub(super) fn reconsider(&self, view: &Arc<ClusterView>, vnode: Vnode, key: &Key, tag: Tag) {
        let newest = self.cluster.view();
        if !Arc::ptr_eq(view, &newest) && self.is_gone(&newest, tag) {
            self.store.forget(vnode, key, tag);
        }
    }

    /// Forgets what is gone of a key that is about to be written, lest it be told to have been there.
    pub(super) fn forget_gone(&self, view: &ClusterView, vnode: Vnode, key: &Key) {
        let flushed = view.record().map_or(0, |record| record.settings().flush_tag);
        if let Some(flush) = Tag::from_bits(flushed)
            && flushed > self.swept()
            && self.is_gone(view, flush)
        {
            self.store.forget(vnode, key, flush);
        }
    }

    /// What stands in the way of a write that is gone before it arrives: the flush, as the deletion it is.
    pub(super) fn superseded_by_flush(view: &ClusterView) -> Option<Version> {
        let flush = Tag::from_bits(view.record()?.settings().flush_tag)?;
        Some(Stamped::tombstone(flush).version())
    }

    pub(super) fn clock_reading(&self) -> ClockReading {
        ClockReading { ticks: self.clock.ticks(), ready: self.cluster.me().ready }
    }

    /// The tag up to which everything has been dropped from memory, 0 if there was no flush.
    pub(super) fn swept(&self) -> u64 {
        *self.swept.borrow()
    }

    /// Waits until this node has dropped what the newest record it knows says is gone.
    pub async fn wait_swept(&self) {
        let flushed = self.cluster.view().record().map_or(0, |record| record.settings().flush_tag);
        // It ends with the node, which the caller does not outlive either.
        let _ = self.swept.subscribe().wait_for(|swept| *swept >= flushed).await;
    }

    /// Drops from memory what every adopted record says is gone, page by page, until shutdown.
    pub async fn sweep(self: Arc<Self>, shutdown: CancellationToken) {
        let mut views = self.cluster.subscribe();
        loop {
            let flushed = views.borrow_and_update().record().map_or(0, |record| record.settings().flush_tag);
            let dropped = async {
                if let Some(flush) = Tag::from_bits(flushed).filter(|_| flushed > self.swept()) {
                    self.drop_through(flush).await;
                    self.swept.send_replace(flushed);
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = dropped => {}
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                changed = views.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn drop_through(&self, flush: Tag) {
        if mutant::active("ignore_flush") {
            return;
        }
        let vnodes = self.cluster.view().record().map_or(0, |record| record.table().vnodes());
        let mut looked_through = 0;
        // Of all vnodes: what is held of one that is not owned any more is gone as well.
        for vnode in (0..vnodes).map(Vnode) {
            let mut after = None;
            loop {
                let (page, next) = self.store.scan(vnode, after, limits::FLUSH_PAGE_BYTES, self.now());
                for (key, entry) in &page {
                    if entry.version().tag <= flush {
                        self.store.forget(vnode, key, flush);
                    }
                }
                // Looking at an empty vnode costs something, too.
                looked_through += 1 + page.len();
                if looked_through >= limits::FLUSH_PAGE_ENTRIES {
                    looked_through = 0;
                    tokio::time::sleep(PAUSE).await;
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
    }
}
