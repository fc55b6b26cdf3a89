//! One door's way to who its clients are: lets them in, asks what they may do, and counts whom it refuses.

use crate::{
    auth::{Auth, Identity, Scope, presented},
    metrics::{DoorRefusals, Refused},
};
use std::sync::Arc;

/// What every door asks before it does anything for a client. Clones count together.
#[derive(Clone)]
pub struct Gate {
    auth: Arc<Auth>,
    refusals: DoorRefusals,
}

/// A client is not let in, or not let do what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has shown nothing.
    #[error("authentication is required: send a token as 'Authorization: Bearer TOKEN'")]
    Missing,
    /// What it has shown is nobody's.
    #[error("the token or the password is wrong")]
    Wrong,
    /// What it has shown was good once.
    #[error("the token or the password is no longer valid")]
    Revoked,
    /// It may not do this.
    #[error("user {name} has the scope read, this needs write")]
    Forbidden {
        /// Who it is.
        name: String,
    },
}

impl Gate {
    /// Knows clients by `auth` and counts in `refusals`.
    #[must_use]
    pub fn new(auth: Arc<Auth>, refusals: DoorRefusals) -> Self {
        Self { auth, refusals }
    }

    /// Who a client is that has shown nothing; `None` when it must.
    #[must_use]
    pub fn anonymous(&self) -> Option<Identity> {
        self.auth.anonymous()
    }

    /// Lets a user in by its secret.
    ///
    /// # Errors
    /// When it is not that user's.
    pub fn prove(&self, name: &[u8], secret: &[u8]) -> Result<Identity, Refusal> {
        self.auth.prove(Some(name), secret).ok_or_else(|| self.refuse(Refused::Wrong, Refusal::Wrong))
    }

    /// Lets a client in by the header `Authorization`, which an open node does not look at.
    ///
    /// # Errors
    /// When there is none, or it is nobody's.
    pub fn enter(&self, header: Option<&[u8]>) -> Result<Identity, Refusal> {
        if let Some(anybody) = self.anonymous() {
            return Ok(anybody);
        }
        let Some(header) = header else { return Err(self.refuse(Refused::Missing, Refusal::Missing)) };
        presented(header)
            .and_then(|shown| self.auth.prove(shown.name.as_deref(), &shown.secret))
            .ok_or_else(|| self.refuse(Refused::Wrong, Refusal::Wrong))
    }

    /// Whether `identity` is still good for `scope`. Brings it up to date.
    ///
    /// # Errors
    /// When it is not.
    pub fn allow(&self, identity: &mut Identity, scope: Scope) -> Result<(), Refusal> {
        if !self.auth.is_current(identity) {
            let renewed = self.auth.renewed(identity);
            *identity = renewed.ok_or_else(|| self.refuse(Refused::Revoked, Refusal::Revoked))?;
        }
        if identity.scope() >= scope {
            return Ok(());
        }
        let name = identity.name().to_owned();
        Err(self.refuse(Refused::Forbidden, Refusal::Forbidden { name }))
    }

    /// Who the client of a connection is by now: credentials may have been replaced.
    #[must_use]
    pub fn renewed(&self, identity: Option<Identity>) -> Option<Identity> {
        let Some(identity) = identity else { return self.anonymous() };
        if self.auth.is_current(&identity) {
            return Some(identity);
        }
        let renewed = self.auth.renewed(&identity);
        if renewed.is_none() {
            self.count(Refused::Revoked);
        }
        renewed
    }

    /// Counts a refusal.
    pub fn count(&self, why: Refused) {
        self.refusals.count(why);
    }

    fn refuse(&self, why: Refused, refusal: Refusal) -> Refusal {
        self.count(why);
        refusal
    }
}
