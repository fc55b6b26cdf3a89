//! Loads under way: at most one per key.

use super::refresh::{self, LoadTime};
use crate::config::LOADS;
use parking_lot::Mutex;
use rand::{RngExt as _, rngs::StdRng};
use shoal_membership::Seed;
use shoal_proto::types::{Key, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a load came to.
pub(crate) type Landed = Result<Value, Arc<dyn Error + Send + Sync>>;

/// All loads of a client.
pub(crate) struct Loads {
    // Held for a few instructions; never across an await.
    state: Arc<Mutex<State>>,
}

struct State {
    flights: BTreeMap<Key, watch::Receiver<Option<Landed>>>,
    /// How many have ended.
    ended: u64,
    took: LoadTime,
    rng: StdRng,
}

/// A caller's part in a load.
pub(crate) enum Boarding {
    /// Nobody else loads the key: this caller does.
    Lead(Flight),
    /// Another caller loads it.
    Join(Passage),
    /// Too many keys are being loaded.
    Full,
}

/// The right to load a key. Once it is dropped, the next caller may.
pub(crate) struct Flight {
    key: Key,
    state: Arc<Mutex<State>>,
    landed: watch::Sender<Option<Landed>>,
}

/// A place among those who wait for a load.
pub(crate) struct Passage(watch::Receiver<Option<Landed>>);

impl Loads {
    pub(crate) fn new(seed: Seed) -> Self {
        let (flights, took, rng) = (BTreeMap::new(), LoadTime::default(), seed.stream("early loads"));
        Self { state: Arc::new(Mutex::new(State { flights, ended: 0, took, rng })) }
    }

    /// Joins the load of a key, or begins it.
    pub(crate) fn board(&self, key: &Key) -> Boarding {
        let mut state = self.state.lock();
        if let Some(flight) = state.flights.get(key) {
            return Boarding::Join(Passage(flight.clone()));
        }
        if state.flights.len() >= LOADS {
            return Boarding::Full;
        }
        let (landed, flight) = watch::channel(None);
        state.flights.insert(key.clone(), flight);
        Boarding::Lead(Flight { key: key.clone(), state: self.state.clone(), landed })
    }

    /// How many loads have ended so far.
    pub(crate) fn ended(&self) -> u64 {
        self.state.lock().ended
    }

    /// Whether a value that is good for `left` should be loaded anew now.
    pub(crate) fn is_due(&self, left: Duration) -> bool {
        let mut state = self.state.lock();
        let draw = 1.0 - state.rng.random::<f64>();
        refresh::is_due(left, state.took.get(), draw)
    }
}

impl Flight {
    /// Tells everybody who waits what the load came to, and how long it took.
    pub(crate) fn land(&self, landed: Landed, took: Duration) {
        self.state.lock().took.observe(took);
        self.landed.send_replace(Some(landed));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.flights.remove(&self.key);
        state.ended += 1;
    }
}

impl Passage {
    /// Waits for the load; `None` when whoever did it has given it up.
    pub(crate) async fn landed(mut self) -> Option<Landed> {
        let landed = self.0.wait_for(Option::is_some).await;
        landed.ok().and_then(|landed| landed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(number.to_string()).unwrap()
    }

    #[tokio::test]
    async fn one_leads_and_the_others_are_told() {
        let loads = Loads::new(Seed(1));
        let Boarding::Lead(flight) = loads.board(&key(1)) else { panic!("nobody leads") };
        let Boarding::Join(passage) = loads.board(&key(1)) else { panic!("two lead") };
        assert!(matches!(loads.board(&key(2)), Boarding::Lead(_)), "another key is another load");
        let value = Value::new("v").unwrap();
        flight.land(Ok(value.clone()), Duration::from_millis(1));
        let late = loads.board(&key(1));
        drop(flight);
        assert_eq!(passage.landed().await.unwrap().unwrap(), value);
        let Boarding::Join(late) = late else { panic!("the flight had not ended") };
        assert_eq!(late.landed().await.unwrap().unwrap(), value);
        assert!(matches!(loads.board(&key(1)), Boarding::Lead(_)));
    }

    #[tokio::test]
    async fn a_load_that_is_given_up_makes_room_for_the_next() {
        let loads = Loads::new(Seed(1));
        let Boarding::Lead(flight) = loads.board(&key(1)) else { panic!("nobody leads") };
        let Boarding::Join(passage) = loads.board(&key(1)) else { panic!("two lead") };
        drop(flight);
        assert!(passage.landed().await.is_none());
        assert_eq!(loads.ended(), 1);
        assert!(matches!(loads.board(&key(1)), Boarding::Lead(_)));
    }

    #[test]
    fn keys_under_load_are_bounded() {
        let loads = Loads::new(Seed(1));
        let flights: Vec<Boarding> = (0..LOADS).map(|number| loads.board(&key(number))).collect();
        assert!(flights.iter().all(|boarding| matches!(boarding, Boarding::Lead(_))));
        assert!(matches!(loads.board(&key(LOADS)), Boarding::Full));
        assert!(matches!(loads.board(&key(0)), Boarding::Join(_)));
        drop(flights);
        assert!(matches!(loads.board(&key(LOADS)), Boarding::Lead(_)));
    }
}
