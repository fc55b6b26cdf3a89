use std::time::Duration;
use tokio::time::Instant;

/// Lets one log line through per `interval` and counts those it held back: strangers must not fill the disk.
#[derive(Debug)]
pub(super) struct LogGate {
    interval: Duration,
    last: Option<Instant>,
    held_back: u64,
}

impl LogGate {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: None, held_back: 0 }
    }

    /// Whether to log now; if so, how many lines were held back since the last one.
    pub(super) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < self.interval) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_interval_and_tells_how_many_did_not() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut gate = LogGate::new(10 * second);
        let passed: Vec<_> = [0, 1, 9, 10, 11, 25].iter().map(|at| gate.pass(start + *at * second)).collect();
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
