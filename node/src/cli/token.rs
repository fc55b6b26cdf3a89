//! What a command proves to a cluster that asks for it.

use super::settings::TOKEN_VARIABLE;
use anyhow::{Context as _, ensure};
use clap::Args;
use shoal_client::Token;
use std::{env, fmt, fs, path::PathBuf};

/// Said to who is not let in.
pub(crate) const HINT: &str = "the cluster asks for a token or its password: set SHOAL_TOKEN or --token-file";

/// Where the token is kept.
#[derive(Debug, Args)]
pub(crate) struct TokenArgument {
    /// File with the token or the password that the cluster asks for [default: the variable SHOAL_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A token or a password. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl TokenArgument {
    /// Reads it. The file goes before the variable; blanks around it do not count.
    ///
    /// # Errors
    /// When the file cannot be read or is empty.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.token_file else {
            let told = env::var(TOKEN_VARIABLE).ok().map(|text| text.trim().to_owned());
            return Ok(told.filter(|text| !text.is_empty()).map(Secret));
        };
        let place = || format!("token file {}", path.display());
        let text = fs::read_to_string(path).with_context(place)?.trim().to_owned();
        ensure!(!text.is_empty(), "{} is empty", place());
        Ok(Some(Secret(text)))
    }

    /// The same for the Rust client.
    ///
    /// # Errors
    /// The same, and when it cannot be sent.
    pub(crate) fn token(&self) -> anyhow::Result<Option<Token>> {
        self.read()?.map(|secret| secret.token()).transpose()
    }
}

impl Secret {
    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The same for the Rust client.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub(crate) fn token(&self) -> anyhow::Result<Token> {
        self.0.parse().context("SHOAL_TOKEN or --token-file")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_the_blanks_around_and_must_hold_something() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let argument = TokenArgument { token_file: Some(file.path().to_owned()) };
        assert!(argument.read().unwrap_err().to_string().ends_with("is empty"));
        fs::write(file.path(), " hunter2 \n").unwrap();
        let secret = argument.read().unwrap().unwrap();
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("hunter2", "Secret"));
        let nowhere = TokenArgument { token_file: Some("/nowhere".into()) };
        assert!(nowhere.token().unwrap_err().to_string().contains("token file /nowhere"));
    }
}
