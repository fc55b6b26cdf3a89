//! How long a client may take over what it has begun.

use crate::limits;
use std::time::Duration;
use tokio::time::Instant;

/// What the node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Nothing, or the next command, which need never come.
    Nothing,
    /// The rest of a request.
    Request,
    /// That the client takes its replies.
    Reader,
}

/// Lets a client take its time for as long as something comes of it: every [`limits::RESP_STEP_BYTES`] are good for the
/// whole time again. One that sends or takes a byte now and then is told from one with a slow line by that.
#[derive(Debug)]
pub(super) struct Patience {
    awaited: Awaited,
    /// Since when; noted when it is first asked for, so that a client that is quick costs no look at the clock.
    since: Option<Instant>,
    moved: usize,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { awaited: Awaited::Nothing, since: None, moved: 0 }
    }

    /// From now on this is waited for.
    pub(super) fn awaits(&mut self, awaited: Awaited) {
        if self.awaited != awaited {
            self.awaited = awaited;
            self.renew();
        }
    }

    /// What is waited for.
    pub(super) fn awaited(&self) -> Awaited {
        self.awaited
    }

    /// So many bytes went to or came from the client.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= limits::RESP_STEP_BYTES {
            self.renew();
        }
    }

    /// Something was completed.
    pub(super) fn renew(&mut self) {
        self.since = None;
        self.moved = 0;
    }

    /// Waits until the client has taken longer than `limit`.
    pub(super) async fn over(&mut self, limit: Duration) {
        tokio::time::sleep_until(self.deadline(Instant::now, limit)).await;
    }

    /// When the client will have taken longer than `limit`.
    fn deadline(&mut self, now: impl FnOnce() -> Instant, limit: Duration) -> Instant {
        *self.since.get_or_insert_with(now) + limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn bytes_that_trickle_do_not_buy_time_and_a_step_does() {
        let (start, mut patience) = (Instant::now(), Patience::new());
        let at = |seconds| start + Duration::from_secs(seconds);
        patience.awaits(Awaited::Reader);
        for seconds in 0..50 {
            patience.moved(1);
            patience.awaits(Awaited::Reader);
            assert_eq!(patience.deadline(|| at(seconds), LIMIT), at(60));
        }
        patience.moved(limits::RESP_STEP_BYTES - 50);
        assert_eq!(patience.deadline(|| at(50), LIMIT), at(110));
        patience.awaits(Awaited::Request);
        assert_eq!(patience.deadline(|| at(70), LIMIT), at(130));
        patience.renew();
        assert_eq!(patience.deadline(|| at(80), LIMIT), at(140));
    }
}
