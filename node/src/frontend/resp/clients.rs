//! The clients of the door: what each is, what it holds, and how it is let go.

use super::session::Session;
use crate::metrics::Ending;
use parking_lot::Mutex;
use shoal_proto::types::UnixMillis;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// What is held is counted in units of so many bytes, so that a client with little to say changes no count.
const UNIT: usize = 1024;

/// All clients that are connected.
#[derive(Debug, Default)]
pub(super) struct Clients {
    // Held to come, to go, and by who looks at all of them.
    all: Mutex<BTreeMap<u64, Arc<Client>>>,
    /// Units that all of them hold together: the sum of their own counts.
    held: AtomicUsize,
}

/// One client, as others see it.
#[derive(Debug)]
pub(super) struct Client {
    number: u64,
    /// Units it holds.
    held: AtomicUsize,
    // Both held for an instant.
    seen: Mutex<Seen>,
    ending: Mutex<Option<Ending>>,
    ended: Notify,
}

/// What is known of a client.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) session: Session,
    pub(super) holding: Holding,
    /// When it last sent a command.
    pub(super) active: UnixMillis,
}

/// What a connection holds between two turns, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holding {
    /// Requests that were read and not run.
    pub(super) unread: usize,
    /// All memory for requests.
    pub(super) input: usize,
    /// Replies that the client has not taken.
    pub(super) unsent: usize,
    /// All memory for replies.
    pub(super) output: usize,
    /// Commands that are under way.
    pub(super) running: usize,
    /// Memory for those, and for values that wait to be encoded.
    pub(super) under_way: usize,
}

impl Holding {
    /// All of it together.
    pub(super) fn bytes(&self) -> usize {
        self.input + self.output + self.under_way
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.unsent == 0
    }
}

/// A client among the others, until it is dropped.
pub(super) struct Present<'a> {
    clients: &'a Clients,
    client: Arc<Client>,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.clients.all.lock().remove(&self.client.number);
        self.clients.count(&self.client, 0);
    }
}

impl Clients {
    /// Takes a client in.
    pub(super) fn enter(&self, session: &Session) -> Present<'_> {
        let seen = Seen { session: session.clone(), holding: Holding::default(), active: session.since };
        let client = Arc::new(Client {
            number: session.id,
            held: AtomicUsize::new(0),
            seen: Mutex::new(seen),
            ending: Mutex::new(None),
            ended: Notify::new(),
        });
        self.all.lock().insert(client.number, client.clone());
        Present { clients: self, client }
    }

    /// Everyone, in the order they came.
    pub(super) fn list(&self) -> Vec<Seen> {
        let all: Vec<Arc<Client>> = self.all.lock().values().cloned().collect();
        all.iter().map(|client| client.seen.lock().clone()).collect()
    }

    /// Lets the client go that has this number, if there is one.
    pub(super) fn kill(&self, number: u64) {
        let client = self.all.lock().get(&number).cloned();
        if let Some(client) = client {
            client.end(Ending::Killed);
        }
    }

    /// Lets those go that have sent no command for as long as `idle` and wait for nothing.
    pub(super) fn end_idle(&self, now: UnixMillis, idle: Duration) {
        for client in self.all.lock().values() {
            let seen = client.seen.lock();
            if seen.holding.is_idle() && now.saturating_since(seen.active) >= idle {
                drop(seen);
                client.end(Ending::Idle);
            }
        }
    }

    /// Lets those go that hold the most, until what the others hold is at most `limit` bytes.
    pub(super) fn end_largest(&self, limit: usize) {
        while self.exceed(limit) {
            let all = self.all.lock();
            let holders = all.values().filter(|client| client.held.load(Relaxed) > 0);
            let evictable = holders.filter(|client| !client.seen.lock().session.no_evict);
            let Some(largest) = evictable.max_by_key(|client| client.held.load(Relaxed)).cloned() else {
                return;
            };
            drop(all);
            largest.end(Ending::ClientMemory);
            self.count(&largest, 0);
        }
    }

    fn exceed(&self, limit: usize) -> bool {
        self.held.load(Relaxed).saturating_mul(UNIT) > limit
    }

    /// Counts `units` for a client from now on; says how many it had before.
    fn count(&self, client: &Client, units: usize) -> usize {
        let before = client.held.swap(units, Relaxed);
        // Wraps around where it shrinks, which adds up all the same.
        self.held.fetch_add(units.wrapping_sub(before), Relaxed);
        before
    }
}

impl Present<'_> {
    /// Notes what the client holds after a turn, which command it sent last and when, if it sent any. Should all
    /// together hold more than `limit` bytes now, the largest is let go.
    pub(super) fn note(&self, holding: Holding, sent: Option<(&'static str, UnixMillis)>, limit: usize) {
        let mut seen = self.client.seen.lock();
        seen.holding = holding;
        if let Some((command, now)) = sent {
            seen.session.command = command;
            seen.active = now;
        }
        drop(seen);
        let units = holding.bytes() / UNIT;
        // One that was let go is counted no more.
        if units != self.client.held.load(Relaxed) && self.client.ending.lock().is_none() {
            let before = self.clients.count(&self.client, units);
            if units > before && self.clients.exceed(limit) {
                self.clients.end_largest(limit);
            }
        }
    }

    /// Notes what the client has agreed on.
    pub(super) fn agree(&self, session: &Session) {
        self.client.seen.lock().session = session.clone();
    }

    /// Waits until the client is let go; says why.
    pub(super) async fn ended(&self) -> Ending {
        loop {
            if let Some(ending) = *self.client.ending.lock() {
                return ending;
            }
            self.client.ended.notified().await;
        }
    }
}

impl Client {
    /// Asks the connection to end. The first reason counts.
    fn end(&self, ending: Ending) {
        self.ending.lock().get_or_insert(ending);
        self.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const LIMIT: usize = 100 * UNIT;

    fn session(id: u64) -> Session {
        Session::new(id, "client:1".into(), "node:1".into(), UnixMillis(1_000), None)
    }

    fn holding(bytes: usize) -> Holding {
        Holding { input: bytes, ..Holding::default() }
    }

    fn ending(present: &Present<'_>) -> Option<Ending> {
        present.ended().now_or_never()
    }

    #[test]
    fn of_clients_that_hold_too_much_together_the_largest_goes() {
        let clients = Clients::default();
        let entered: Vec<_> = (1..=3).map(|id| clients.enter(&session(id))).collect();
        for (client, bytes) in entered.iter().zip([20, 60, 20]) {
            client.note(holding(bytes * UNIT), None, LIMIT);
        }
        assert!(entered.iter().all(|client| ending(client).is_none()));
        entered[0].note(holding(21 * UNIT), None, LIMIT);
        assert_eq!(ending(&entered[1]), Some(Ending::ClientMemory));
        assert_eq!((ending(&entered[0]), ending(&entered[2])), (None, None));
        // It holds that much until it has really gone, but counts no more.
        entered[1].note(holding(70 * UNIT), None, LIMIT);
        assert_eq!(clients.held.load(Relaxed), 41);
        drop(entered);
        assert_eq!(clients.held.load(Relaxed), 0);
        assert!(clients.list().is_empty());
    }

    #[test]
    fn a_client_that_asked_not_to_be_let_go_stays() {
        let clients = Clients::default();
        let (large, small) = (clients.enter(&session(1)), clients.enter(&session(2)));
        large.agree(&Session { no_evict: true, ..session(1) });
        large.note(holding(2 * LIMIT), None, LIMIT);
        assert_eq!((ending(&large), ending(&small)), (None, None), "nobody else holds anything");
        small.note(holding(UNIT), None, LIMIT);
        assert_eq!((ending(&large), ending(&small)), (None, Some(Ending::ClientMemory)));
    }

    #[test]
    fn a_client_is_idle_only_while_it_waits_for_nothing() {
        let clients = Clients::default();
        let entered: Vec<_> = (1..=3).map(|id| clients.enter(&session(id))).collect();
        entered[1].note(Holding { running: 1, ..Holding::default() }, None, LIMIT);
        entered[2].note(Holding::default(), Some(("GET", UnixMillis(5_000))), LIMIT);
        clients.end_idle(UnixMillis(6_000), Duration::from_secs(5));
        let endings: Vec<_> = entered.iter().map(ending).collect();
        assert_eq!(endings, [Some(Ending::Idle), None, None]);
        clients.kill(3);
        clients.kill(4);
        assert_eq!(ending(&entered[2]), Some(Ending::Killed));
    }
}
