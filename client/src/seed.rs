use crate::ClientError;
use rand::{TryRng as _, rngs::SysRng};
use shoal_membership::Seed;

/// What all randomness of a client is drawn from: the system, unless its configuration says otherwise.
pub(crate) fn choose(configured: Option<u64>) -> Result<Seed, ClientError> {
    let drawn = configured.map_or_else(|| SysRng.try_next_u64(), Ok);
    drawn.map(Seed).map_err(|error| ClientError::Invalid(format!("the system gives no randomness: {error}")))
}
