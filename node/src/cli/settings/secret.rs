use super::fault::SettingsError;
use std::{collections::BTreeMap, fs, path::Path};

/// Shorter secrets can be guessed.
const MIN_SECRET_BYTES: usize = 16;
/// A longer file is not a secret but a mistake.
const MAX_SECRET_BYTES: usize = 4096;

/// A secret that is kept in a variable or in a file.
#[derive(Debug)]
pub(crate) struct Secret {
    /// What it is called.
    what: &'static str,
    /// The variable that holds the secret itself.
    pub(crate) variable: &'static str,
    /// The setting that names the file.
    setting: &'static str,
}

/// What nodes prove to each other.
pub(crate) const CLUSTER: Secret =
    Secret { what: "cluster secret", variable: "SHOAL_SECRET", setting: "secret_file" };
/// What clients prove that name no user.
pub(crate) const PASSWORD: Secret =
    Secret { what: "password", variable: "SHOAL_PASSWORD", setting: "password_file" };

impl Secret {
    /// Reads it from the one place it is kept in. Blanks around it do not count.
    ///
    /// # Errors
    /// When it is kept in two places, cannot be read, or is too short or too long. The text never holds the secret.
    pub(crate) fn read(
        &self,
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<String>, SettingsError> {
        let variable = environment.get(self.variable).filter(|text| !text.is_empty());
        let (secret, place) = match (file, variable) {
            (None, None) => return Ok(None),
            (Some(path), Some(_)) => {
                let Self { variable, setting, .. } = self;
                let why = format!("set both as {variable} and by {setting} {}; keep one", path.display());
                return Err(SettingsError::Secret { what: self.what, why });
            }
            (None, Some(text)) => (text.clone(), self.variable.to_owned()),
            (Some(path), None) => (read_file(path)?, path.display().to_string()),
        };
        let secret = secret.trim();
        check_length(secret.len())
            .map_err(|why| SettingsError::Secret { what: self.what, why: format!("{place} {why}") })?;
        Ok(Some(secret.to_owned()))
    }
}

/// Reads a file that holds secrets.
pub(super) fn read_file(path: &Path) -> Result<String, SettingsError> {
    fs::read_to_string(path)
        .map_err(|source| SettingsError::File { path: path.display().to_string(), source })
}

/// Whether a secret may have so many bytes.
pub(super) fn check_length(bytes: usize) -> Result<(), String> {
    if (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes) {
        Ok(())
    } else {
        Err(format!("holds {bytes} bytes, {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(secret: &Secret, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(secret.variable.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_secret_comes_from_the_variable_or_the_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "sixteen bytes or more\n").unwrap();
        let expected = Some("sixteen bytes or more".to_owned());
        for secret in [CLUSTER, PASSWORD] {
            let given = variable(&secret, "sixteen bytes or more");
            assert_eq!(secret.read(Some(file.path()), &BTreeMap::new()).unwrap(), expected);
            assert_eq!(secret.read(None, &given).unwrap(), expected);
            assert_eq!(secret.read(None, &variable(&secret, "")).unwrap(), None);
            let error = secret.read(Some(file.path()), &given).unwrap_err().to_string();
            assert!(error.contains("keep one") && !error.contains("sixteen"), "{error}");
        }
        assert_eq!(PASSWORD.read(None, &variable(&CLUSTER, "sixteen bytes or more")).unwrap(), None);
    }

    #[test]
    fn a_short_secret_and_a_missing_file_are_refused_by_name() {
        for secret in [CLUSTER, PASSWORD] {
            let error = secret.read(None, &variable(&secret, "guess me")).unwrap_err().to_string();
            assert!(error.contains(secret.variable) && !error.contains("guess"), "{error}");
            let error = secret.read(Some(Path::new("/nowhere/secret")), &BTreeMap::new()).unwrap_err();
            assert!(error.to_string().contains("/nowhere/secret"), "{error}");
        }
    }
}
