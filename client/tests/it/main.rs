//! The client's own behaviour against nodes that misbehave on request.

mod fake_cluster;
mod fake_node;
mod load;
mod pipeline;
mod reconnect;
mod retries;
mod routing;
mod timeout;
