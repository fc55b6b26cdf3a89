//! Decides whether a node is worth asking, from what became of calls to it.

use std::time::Duration;

/// Failures within [`WINDOW`] that open a breaker, if no answer came between them, or if there is at least one for
/// [`ANSWERS_PER_FAILURE`] answers.
const FAILURES: u32 = 10;
/// So many answers outweigh a failure: a node that fails one call in five is not worth asking first.
const ANSWERS_PER_FAILURE: u32 = 4;
/// How long outcomes are counted before counting begins anew.
const WINDOW: Duration = Duration::from_secs(10);
/// How long a breaker stays open the first time, and how long a probe may take.
const OPEN: Duration = Duration::from_secs(5);
/// How often that time is doubled at most while probes fail.
const DOUBLINGS: u32 = 4;
/// How long an answer shows that a node is there, whatever others say of it.
const FRESH: Duration = Duration::from_secs(10);

/// One node's breaker. Closed it lets everything pass. It opens when too many calls fail, or when nobody is there at all;
/// after a while it lets one call pass as a probe, which closes it or keeps it open for twice as long.
///
/// Times are counted from any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// When the present counts began.
    since: Duration,
    failed: u32,
    /// Of them, those since the last answer.
    in_a_row: u32,
    succeeded: u32,
    /// Probes that failed in a row.
    failed_probes: u32,
    answered_at: Option<Duration>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Duration,
    },
    /// One call is on its way, or was and nobody told of its end.
    Probing {
        until: Duration,
    },
}

impl Breaker {
    /// Whether other nodes should be asked first.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { until } | State::Probing { until } => now < until,
        }
    }

    /// Whether calls to the node have been answered of late.
    pub(crate) fn is_answering(&self, now: Duration) -> bool {
        self.state == State::Closed && self.answered_at.is_some_and(|at| now < at + FRESH)
    }

    /// A call is sent. Unless the breaker is closed, it is a probe.
    pub(crate) fn on_call(&mut self, now: Duration) {
        if self.state != State::Closed {
            self.state = State::Probing { until: now + OPEN };
        }
    }

    /// A call was answered.
    pub(crate) fn on_success(&mut self, now: Duration) {
        self.answered_at = Some(now);
        match self.state {
            State::Closed => {
                self.turn_window(now);
                self.succeeded += 1;
                self.in_a_row = 0;
            }
            State::Probing { .. } => {
                *self = Self { since: now, answered_at: self.answered_at, ..Self::default() };
            }
            // An answer to a call from before it opened.
            State::Open { .. } => {}
        }
    }

    /// A call failed. Returns whether that opens the breaker.
    pub(crate) fn on_failure(&mut self, now: Duration) -> bool {
        match self.state {
            State::Closed => {
                self.turn_window(now);
                self.failed += 1;
                self.in_a_row += 1;
                let is_silent = self.in_a_row >= FAILURES;
                let is_poor = self.failed >= FAILURES && self.failed * ANSWERS_PER_FAILURE >= self.succeeded;
                let opens = is_silent || is_poor;
                if opens {
                    self.open(now);
                }
                opens
            }
            State::Probing { .. } => {
                self.failed_probes += 1;
                self.open(now);
                false
            }
            State::Open { .. } => false,
        }
    }

    /// Nobody is there. Returns whether that opens the breaker.
    pub(crate) fn on_unreachable(&mut self, now: Duration) -> bool {
        let opens = self.state == State::Closed;
        if opens {
            self.open(now);
        } else {
            self.on_failure(now);
        }
        opens
    }

    fn open(&mut self, now: Duration) {
        self.state = State::Open { until: now + OPEN * (1 << self.failed_probes.min(DOUBLINGS)) };
    }

    fn turn_window(&mut self, now: Duration) {
        if now >= self.since + WINDOW {
            (self.since, self.failed, self.in_a_row, self.succeeded) = (now, 0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let opened = (0..FAILURES).filter(|_| breaker.on_failure(at(0))).count();
        assert_eq!(opened, 1);
        breaker
    }

    #[test]
    fn it_opens_after_ten_failures_within_ten_seconds() {
        assert!(opened().is_open(at(0)));
        let mut breaker = Breaker::default();
        for second in 0..100 {
            assert!(!breaker.on_failure(at(2 * second)), "failures far apart are no reason");
        }
    }

    #[test]
    fn silence_opens_it_however_many_answers_came_before() {
        let mut breaker = Breaker::default();
        (0..1_000_000).for_each(|_| breaker.on_success(at(0)));
        assert!((0..9).all(|_| !breaker.on_failure(at(1))));
        assert!(breaker.on_failure(at(1)));
    }

    #[test]
    fn failing_one_call_in_five_opens_it_and_fewer_do_not() {
        for (answers, opens) in [(4, true), (5, false)] {
            let mut breaker = Breaker::default();
            let call = |_: &u32| {
                (0..answers).for_each(|_| breaker.on_success(at(0)));
                breaker.on_failure(at(0))
            };
            assert_eq!((0..50).filter(call).count() > 0, opens, "{answers} answers per failure");
        }
    }

    #[test]
    fn an_answer_shows_for_a_while_that_a_node_is_there_unless_the_breaker_has_opened() {
        let mut breaker = Breaker::default();
        assert!(!breaker.is_answering(at(0)));
        breaker.on_success(at(1));
        assert!(breaker.is_answering(at(10)) && !breaker.is_answering(at(11)));
        breaker.on_unreachable(at(2));
        assert!(!breaker.is_answering(at(2)));
    }

    #[test]
    fn one_probe_passes_after_a_while_and_closes_it() {
        let mut breaker = opened();
        breaker.on_success(at(1));
        assert!(breaker.is_open(at(4)), "a late answer is no probe");
        assert!(!breaker.is_open(at(5)));
        breaker.on_call(at(5));
        assert!(breaker.is_open(at(5)), "only one probe at a time");
        breaker.on_success(at(6));
        assert!(!breaker.is_open(at(6)));
    }

    #[test]
    fn a_probe_of_which_nobody_tells_is_followed_by_another() {
        let mut breaker = opened();
        breaker.on_call(at(5));
        assert!(breaker.is_open(at(9)) && !breaker.is_open(at(10)));
    }

    #[test]
    fn failing_probes_keep_it_open_twice_as_long_each_time_up_to_a_bound() {
        let mut breaker = opened();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let opened = now;
            while breaker.is_open(now) {
                now += at(1);
            }
            waits.push((now - opened).as_secs());
            breaker.on_call(now);
            breaker.on_failure(now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 80, 80]);
    }

    #[test]
    fn nobody_there_opens_it_at_once() {
        let mut breaker = Breaker::default();
        assert!(breaker.on_unreachable(at(0)) && breaker.is_open(at(0)));
        assert!(!breaker.on_unreachable(at(0)), "it is open already");
    }

    proptest! {
        #[test]
        fn whatever_happened_a_node_that_answers_is_soon_asked_again(
            events in proptest::collection::vec((0u64..20, 0u8..4), 0..200)
        ) {
            let mut breaker = Breaker::default();
            let mut now = Duration::ZERO;
            for (pause, event) in events {
                now += at(pause);
                match event {
                    0 => breaker.on_call(now),
                    1 => breaker.on_success(now),
                    2 => drop(breaker.on_failure(now)),
                    _ => drop(breaker.on_unreachable(now)),
                }
            }
            now += OPEN * (1 << DOUBLINGS);
            prop_assert!(!breaker.is_open(now));
            breaker.on_call(now);
            breaker.on_success(now);
            prop_assert!(!breaker.is_open(now));
        }
    }
}
