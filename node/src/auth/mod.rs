//! Who clients are, and what that lets them do.
//!
//! A node knows a set of [`Credentials`]. A client proves one of them, once per connection or with every request, and has
//! an [`Identity`] from then on. The set can be replaced while clients are connected: an identity notices, and is only
//! good for as long as its credential is in the set. Without any credentials everybody may do everything.

mod credentials;
mod header;

pub use credentials::{Credential, Credentials, Digest, Duplicate, Scope, UnknownScope};
pub use header::{Presented, presented};

use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The user that a client is who names none; the password is its secret, as in Redis.
pub const DEFAULT_USER: &str = "default";

/// The credentials of a node, as of now.
#[derive(Debug, Default)]
pub struct Auth {
    credentials: ArcSwap<Credentials>,
    /// How often they were replaced, so that an identity costs one comparison while they were not.
    replaced: AtomicU64,
}

/// Who a client has proven to be.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `None` where nobody has to prove anything.
    credential: Option<Credential>,
    /// What [`Auth::replaced`] was when that was found.
    as_of: u64,
}

impl Identity {
    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.credential.as_ref().map_or(DEFAULT_USER, Credential::name)
    }

    /// What it may do.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.credential.as_ref().map_or(Scope::Write, Credential::scope)
    }
}

impl Auth {
    /// Asks clients for one of `credentials`, if there are any.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials: ArcSwap::from_pointee(credentials), replaced: AtomicU64::new(0) }
    }

    /// Takes other credentials from now on. Clients whose own is no longer among them have no access from their next
    /// request on, nor have those who have proven nothing if there were none so far; an empty set lets everybody in.
    ///
    /// True when they differ from those before.
    pub fn replace(&self, credentials: Credentials) -> bool {
        if **self.credentials.load() == credentials {
            return false;
        }
        self.credentials.store(credentials.into());
        // After the set: whoever sees the new number must find the new set, not the other way round.
        self.replaced.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Whether clients have to prove anything.
    #[must_use]
    pub fn is_required(&self) -> bool {
        !self.credentials.load().is_empty()
    }

    /// Who a client is that has proven nothing; `None` when it must.
    #[must_use]
    pub fn anonymous(&self) -> Option<Identity> {
        let as_of = self.replaced.load(Ordering::Acquire);
        (!self.is_required()).then_some(Identity { credential: None, as_of })
    }

    /// Who the owner of `secret` is, if it is anybody's; if a name comes with it, that one's.
    #[must_use]
    pub fn prove(&self, name: Option<&[u8]>, secret: &[u8]) -> Option<Identity> {
        let as_of = self.replaced.load(Ordering::Acquire);
        let credential = self.credentials.load().find(name, secret)?.clone();
        Some(Identity { credential: Some(credential), as_of })
    }

    /// Whether nothing was replaced since `identity` was found. Cheap enough for every request.
    #[must_use]
    pub fn is_current(&self, identity: &Identity) -> bool {
        self.replaced.load(Ordering::Acquire) == identity.as_of
    }

    /// Who the owner of `identity` is by now, with the scope it has by now; `None` when it has lost its access.
    #[must_use]
    pub fn renewed(&self, identity: &Identity) -> Option<Identity> {
        if self.is_current(identity) {
            return Some(identity.clone());
        }
        let as_of = self.replaced.load(Ordering::Acquire);
        let known = identity.credential.as_ref().and_then(|held| self.credentials.load().same(held).cloned());
        known.map(|credential| Identity { credential: Some(credential), as_of }).or_else(|| self.anonymous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(credentials: &[(&str, Scope, &str)]) -> Auth {
        Auth::new(set(credentials))
    }

    fn set(credentials: &[(&str, Scope, &str)]) -> Credentials {
        let each = |(name, scope, secret): &(&str, Scope, &str)| {
            Credential::new(name, *scope, Digest::of(secret.as_bytes()))
        };
        Credentials::new(credentials.iter().map(each).collect()).unwrap()
    }

    #[test]
    fn without_credentials_everybody_may_do_everything() {
        let auth = auth(&[]);
        let anybody = auth.anonymous().unwrap();
        assert_eq!((anybody.name(), anybody.scope()), ("default", Scope::Write));
        assert!(!auth.is_required() && auth.is_current(&anybody));
    }

    #[test]
    fn an_identity_is_good_for_as_long_as_its_credential_is_known() {
        let auth = auth(&[("app", Scope::Write, "one"), ("old", Scope::Read, "two")]);
        assert!(auth.anonymous().is_none());
        let app = auth.prove(Some(b"app"), b"one").unwrap();
        let old = auth.prove(None, b"two").unwrap();
        assert_eq!((old.name(), old.scope()), ("old", Scope::Read));
        auth.replace(set(&[("app", Scope::Read, "one")]));
        assert!(!auth.is_current(&app));
        let renewed = auth.renewed(&app).unwrap();
        assert_eq!((renewed.scope(), auth.is_current(&renewed)), (Scope::Read, true), "its scope has shrunk");
        assert!(auth.renewed(&old).is_none(), "it is gone");
        auth.replace(set(&[("app", Scope::Write, "another")]));
        assert!(auth.renewed(&renewed).is_none(), "the name is known, but not by this secret");
    }

    #[test]
    fn who_has_proven_nothing_loses_access_when_it_must_and_gets_it_when_it_need_not() {
        let open = auth(&[]);
        let anybody = open.anonymous().unwrap();
        open.replace(set(&[("app", Scope::Write, "one")]));
        assert!(open.renewed(&anybody).is_none());
        let app = open.prove(None, b"one").unwrap();
        open.replace(Credentials::default());
        assert_eq!(open.renewed(&app).unwrap().name(), "default");
    }
}
