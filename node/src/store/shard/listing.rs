//! What is held of a vnode by the hashes of its keys: how owners find out in what they differ.

use super::*;
use crate::store::list::{Held as Listed, List};

impl Shard {
    /// Adds what is held of `vnode`, ghosts too, to a list until that is full; says whether all fitted.
    pub(in crate::store) fn list(&self, vnode: Vnode, after: u64, list: &mut List) -> bool {
        let from = list.last();
        self.in_order(vnode, after, from, |hash, at| {
            if !list.wants(self.entries.fields(at).rank().stamp()) {
                return true;
            }
            let has_room = list.has_room(hash);
            if has_room {
                list.add(hash, self.listed(at));
            }
            has_room
        })
    }

    /// The entry whose key has this hash.
    pub(in crate::store) fn fetch(
        &mut self,
        vnode: Vnode,
        hash: u64,
        now: UnixMillis,
    ) -> Option<(Key, Held)> {
        let at = self.entries.find_by_hash(vnode, hash)?;
        if record::due(self.entries.head(at)).is_some_and(|due| due <= now) {
            self.expire_value(at, now);
            return self.fetch(vnode, hash, now);
        }
        let key = Key::new(self.entries.key(at)).expect("was a key when it was stored");
        Some((key, self.held(at)))
    }

    fn listed(&self, at: Loc) -> Listed {
        match record::is_ghost(self.entries.head(at)) {
            true => Listed::Ghost(self.entries.fields(at).rank()),
            false => Listed::Entry(self.held(at)),
        }
    }
}
