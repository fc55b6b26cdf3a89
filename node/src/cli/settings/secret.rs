use super::fault::SettingsError;
use std::{collections::BTreeMap, fs, path::Path};

/// Shorter secrets can be guessed.
const MIN_SECRET_BYTES: usize = 16;
/// A longer one is not a secret but a mistake.
const MAX_SECRET_BYTES: usize = 4096;
/// Two take part in a replacement, and every proof is tried with each.
const MAX_SECRETS: usize = 4;

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
        let Some((text, place)) = self.text(file, environment)? else { return Ok(None) };
        let secret = text.trim();
        check_length(secret.len()).map_err(|why| self.fault(format!("{place} {why}")))?;
        Ok(Some(secret.to_owned()))
    }

    /// Reads several, one per line, from the one place they are kept in; none when there is no such place. Blanks around
    /// them and empty lines do not count.
    ///
    /// # Errors
    /// As for one, and when there are too many or none. The text never holds a secret.
    pub(crate) fn read_all(
        &self,
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, SettingsError> {
        let Some((text, place)) = self.text(file, environment)? else { return Ok(Vec::new()) };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<String> = lines.map(str::to_owned).collect();
        if !(1..=MAX_SECRETS).contains(&secrets.len()) {
            let count = secrets.len();
            return Err(self.fault(format!("{place} holds {count} secrets, 1 to {MAX_SECRETS} are allowed")));
        }
        for secret in &secrets {
            check_length(secret.len()).map_err(|why| self.fault(format!("{place} {why}")))?;
        }
        Ok(secrets)
    }

    /// What is in the one place it is kept in, and which that is.
    fn text(
        &self,
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<(String, String)>, SettingsError> {
        let Self { variable, setting, .. } = self;
        let text = environment.get(*variable).filter(|text| !text.is_empty());
        Ok(match (file, text) {
            (None, None) => None,
            (Some(path), Some(_)) => {
                let path = path.display();
                return Err(self.fault(format!("set both as {variable} and by {setting} {path}; keep one")));
            }
            (None, Some(text)) => Some((text.clone(), (*variable).to_owned())),
            (Some(path), None) => Some((read_file(path)?, path.display().to_string())),
        })
    }

    fn fault(&self, why: String) -> SettingsError {
        SettingsError::Secret { what: self.what, why }
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
    fn of_several_each_stands_on_a_line() {
        let read = |text: &str| CLUSTER.read_all(None, &variable(&CLUSTER, text));
        let secrets = read("\n the first, which proves \r\n\nthe second, accepted\n").unwrap();
        assert_eq!(secrets, ["the first, which proves", "the second, accepted"]);
        assert!(read("").unwrap().is_empty());
        for (text, complaint) in [
            (" \n", "holds 0 secrets, 1 to 4 are allowed"),
            ("a secret of some length\n".repeat(5).as_str(), "holds 5 secrets, 1 to 4 are allowed"),
            ("a secret of some length\nguess me\n", "holds 8 bytes, 16 to 4096 are allowed"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(complaint) && !error.contains("guess"), "{error}");
        }
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
