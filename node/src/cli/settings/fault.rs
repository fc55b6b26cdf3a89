use shoal_node::auth::Duplicate;
use std::{fmt, io};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its name.
    pub(crate) setting: &'static str,
    /// Its text; empty when it has none.
    pub(crate) value: String,
    /// Where the text comes from.
    pub(crate) origin: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, origin, why } = self;
        if value.is_empty() {
            write!(f, "{setting} must be set: {why}")
        } else {
            write!(f, "invalid value '{value}' for {setting}: {why} (from {origin})")
        }
    }
}

/// The settings do not make a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("settings file {path}")]
    File { path: String, source: io::Error },
    /// The file is not TOML.
    #[error("settings file {path}, line {line}: {why}")]
    Syntax { path: String, line: usize, why: String },
    /// The file has settings that do not exist.
    #[error("settings file {path}: unknown setting {names}")]
    Unknown { path: String, names: String },
    /// The sources do not fit the settings in a way no single setting is to blame for.
    #[error("settings cannot be read: {0}")]
    Unreadable(String),
    /// A secret cannot be used.
    #[error("{what}: {why}")]
    Secret { what: &'static str, why: String },
    /// A line of the tokens file is no token.
    #[error("tokens file {path}, line {line}: {why}")]
    Token { path: String, line: usize, why: String },
    /// Two credentials cannot be told apart.
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
    /// Settings that cannot be used, all of them.
    #[error("{}", list(.0))]
    Invalid(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}
