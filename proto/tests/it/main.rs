//! What crosses the wire arrives as it was sent, and what should not have been sent is refused by name.

mod bad_input;
mod round_trip;
mod strategies;
