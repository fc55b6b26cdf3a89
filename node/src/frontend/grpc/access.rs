//! Who calls: known from the head of a call, before any of its messages is read.

use crate::{
    auth::{Identity, Scope},
    frontend::{Gate, error_map},
};
use tonic::{Request, Status};

const HEADER: &str = "authorization";

/// Lets only those into a service whom `gate` lets in, and tells it who they are.
pub fn interceptor(gate: Gate) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |mut request: Request<()>| {
        let identity = identify(&gate, &request)?;
        request.extensions_mut().insert(identity);
        Ok(request)
    }
}

/// Who makes a call that may do what `scope` includes.
///
/// # Errors
/// When the caller is unknown or may not do that.
pub(super) fn caller<T>(gate: &Gate, request: &Request<T>, scope: Scope) -> Result<Identity, Status> {
    let mut identity = match request.extensions().get::<Identity>() {
        Some(identity) => identity.clone(),
        // Simulated servers know no interceptor in front of a service.
        None => identify(gate, request)?,
    };
    gate.allow(&mut identity, scope).map_err(|refusal| error_map::refusal_status(&refusal))?;
    Ok(identity)
}

fn identify<T>(gate: &Gate, request: &Request<T>) -> Result<Identity, Status> {
    let header = request.metadata().get(HEADER).map(|value| value.as_bytes());
    gate.enter(header).map_err(|refusal| error_map::refusal_status(&refusal))
}
