use std::{fmt, sync::Arc};
use tokio::sync::watch;

/// What nodes of a cluster prove to each other: the first seals and proves, all are accepted. Clones are one and the
/// same, so that a secret is replaced while the node runs.
#[derive(Clone)]
pub struct Secrets(Arc<watch::Sender<Arc<[String]>>>);

impl Secrets {
    /// The secrets to begin with; without any, nothing is proven.
    #[must_use]
    pub fn new<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self(Arc::new(watch::Sender::new(secrets.into_iter().map(Into::into).collect())))
    }

    /// The secrets as of now.
    #[must_use]
    pub fn current(&self) -> Arc<[String]> {
        self.0.borrow().clone()
    }

    /// Puts others in their place. True when they differ.
    pub fn replace<S: Into<String>>(&self, secrets: impl IntoIterator<Item = S>) -> bool {
        let secrets: Arc<[String]> = secrets.into_iter().map(Into::into).collect();
        self.0.send_if_modified(|current| {
            let differ = *current != secrets;
            *current = secrets;
            differ
        })
    }

    /// Tells whenever they are replaced.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<[String]>> {
        self.0.subscribe()
    }
}

/// None.
impl Default for Secrets {
    fn default() -> Self {
        Self::new(Vec::<String>::new())
    }
}

/// Tells how many there are, and no more.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.borrow().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_what_replaces_them_and_nobody_sees_them_printed() {
        let secrets = Secrets::new(["old"]);
        let (clone, mut changes) = (secrets.clone(), secrets.subscribe());
        assert!(!secrets.replace(["old"]));
        assert!(!changes.has_changed().unwrap());
        assert!(secrets.replace(["new", "old"]));
        assert_eq!(*clone.current(), ["new".to_owned(), "old".to_owned()]);
        assert!(changes.has_changed().unwrap());
        assert_eq!(changes.borrow_and_update().len(), 2);
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }
}
