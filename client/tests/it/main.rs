//! The client's own behaviour against nodes that misbehave on request.

mod fake_node;
mod pipeline;
mod reconnect;
mod timeout;
