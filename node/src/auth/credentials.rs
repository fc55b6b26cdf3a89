//! Pure: secrets as digests, and finding whose a presented one is.

use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// What a client may do. The later includes the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Ask for values, and about the node and the cluster.
    Read,
    /// Change values, too.
    Write,
}

/// The text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected read or write")]
pub struct UnknownScope;

impl Scope {
    /// As it is written in files and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        [Self::Read, Self::Write].into_iter().find(|scope| scope.name() == text).ok_or(UnknownScope)
    }
}

/// The SHA-256 of a secret. Secrets are long enough that it need not be slow to compute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// One that was computed elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Shows nothing: whoever has the digest of a weak secret can guess it.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// A name, what it may do, and how it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    name: Arc<str>,
    scope: Scope,
    digest: Digest,
}

impl Credential {
    /// That of the user `name`.
    #[must_use]
    pub fn new(name: &str, scope: Scope, digest: Digest) -> Self {
        Self { name: name.into(), scope, digest }
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is good for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }
}

/// Two credentials cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Duplicate {
    /// They have the same name.
    #[error("'{0}' is named twice")]
    Name(String),
    /// They have the same secret, which by itself says whose it is.
    #[error("'{0}' has the secret of another")]
    Secret(String),
}

/// All credentials a node knows: of different names and secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials(Vec<Credential>);

impl Credentials {
    /// These.
    ///
    /// # Errors
    /// When two of them have the same name or the same secret. The text names the later of them.
    pub fn new(all: Vec<Credential>) -> Result<Self, Duplicate> {
        let (mut names, mut digests) = (BTreeSet::new(), BTreeSet::new());
        for credential in &all {
            if !names.insert(&credential.name) {
                return Err(Duplicate::Name(credential.name.to_string()));
            }
            if !digests.insert(credential.digest) {
                return Err(Duplicate::Secret(credential.name.to_string()));
            }
        }
        Ok(Self(all))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.iter()
    }

    /// The credential that `secret` is the secret of; if a name comes with it, only if it has that name.
    ///
    /// How long this takes does not depend on whose secret it is, nor on how much of it is right: it is compared, hashed,
    /// with all of them to the end. Names are not secret.
    pub(super) fn find(&self, name: Option<&[u8]>, secret: &[u8]) -> Option<&Credential> {
        let presented = Digest::of(secret);
        let mut found = u64::MAX;
        for (index, credential) in (0_u64..).zip(&self.0) {
            found.conditional_assign(&index, credential.digest.0.ct_eq(&presented.0));
        }
        let credential = self.0.get(usize::try_from(found).ok()?)?;
        name.is_none_or(|name| name == credential.name.as_bytes()).then_some(credential)
    }

    /// The one of the same name and secret as `other`.
    pub(super) fn same(&self, other: &Credential) -> Option<&Credential> {
        self.0.iter().find(|held| held.name == other.name && held.digest == other.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn credential(name: &str, secret: &str) -> Credential {
        Credential::new(name, Scope::Read, Digest::of(secret.as_bytes()))
    }

    fn name(found: Option<&Credential>) -> Option<&str> {
        found.map(Credential::name)
    }

    #[test]
    fn a_secret_is_that_of_one_name_whether_it_is_said_or_not() {
        let all =
            Credentials::new(vec![credential("a", "x"), credential("b", "y"), credential("c", "z")]).unwrap();
        for (said, secret, expected) in [
            (None, "x", Some("a")),
            (None, "z", Some("c")),
            (Some("b"), "y", Some("b")),
            (Some("a"), "y", None),
            (Some("d"), "y", None),
            (Some(""), "y", None),
            (None, "", None),
            (None, "xyz", None),
        ] {
            let found = all.find(said.map(str::as_bytes), secret.as_bytes());
            assert_eq!(name(found), expected, "{said:?} {secret}");
        }
        assert!(Credentials::default().find(None, b"x").is_none());
    }

    #[test]
    fn two_that_cannot_be_told_apart_are_refused() {
        let both = |a, b| Credentials::new(vec![a, b]).map(|_| ());
        assert_eq!(both(credential("a", "x"), credential("a", "y")), Err(Duplicate::Name("a".into())));
        assert_eq!(both(credential("a", "x"), credential("b", "x")), Err(Duplicate::Secret("b".into())));
        assert_eq!(both(credential("a", "x"), credential("b", "y")), Ok(()));
    }

    #[test]
    fn nothing_shows_a_secret_or_its_digest() {
        let all = Credentials::new(vec![credential("a", "hunter2")]).unwrap();
        let shown = format!("{all:?}");
        assert!(shown.contains("\"a\"") && shown.contains("digest: Digest }"), "{shown}");
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in [Scope::Read, Scope::Write] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert_eq!("Read".parse::<Scope>(), Err(UnknownScope));
        assert!(Scope::Write > Scope::Read);
    }

    proptest! {
        #[test]
        fn every_secret_finds_its_own_and_no_other_finds_anything(
            secrets in prop::collection::btree_set("[a-z]{1,8}", 1..20),
            other in "[A-Z]{0,8}",
        ) {
            let all: Vec<_> = secrets.iter().map(|secret| credential(&format!("of {secret}"), secret)).collect();
            let all = Credentials::new(all).unwrap();
            for secret in &secrets {
                let expected = format!("of {secret}");
                prop_assert_eq!(name(all.find(None, secret.as_bytes())), Some(expected.as_str()));
            }
            prop_assert!(all.find(None, other.as_bytes()).is_none());
        }
    }
}
