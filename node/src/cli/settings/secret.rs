use super::fault::SettingsError;
use std::{collections::BTreeMap, fs, path::Path};

/// The variable that holds the secret itself.
pub(crate) const VARIABLE: &str = "SHOAL_SECRET";

/// Shorter secrets can be guessed from one overheard datagram.
const MIN_SECRET_BYTES: usize = 16;
/// A longer file is not a secret but a mistake.
const MAX_SECRET_BYTES: usize = 4096;

/// Reads the cluster secret from the one place it is kept in. Blanks around it do not count.
///
/// # Errors
/// When it is kept in two places, cannot be read, or is too short or too long. The text never holds the secret.
pub(crate) fn read(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<String>, SettingsError> {
    let variable = environment.get(VARIABLE).filter(|text| !text.is_empty());
    let (secret, place) = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(path), Some(_)) => {
            let text = format!("set both as {VARIABLE} and by secret_file {}; keep one", path.display());
            return Err(SettingsError::Secret(text));
        }
        (None, Some(text)) => (text.clone(), VARIABLE.to_owned()),
        (Some(path), None) => {
            let text = fs::read_to_string(path)
                .map_err(|source| SettingsError::File { path: path.display().to_string(), source })?;
            (text, path.display().to_string())
        }
    };
    let secret = secret.trim();
    if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&secret.len()) {
        return Err(SettingsError::Secret(format!(
            "{place} holds {} bytes, {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are allowed",
            secret.len()
        )));
    }
    Ok(Some(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(VARIABLE.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_secret_comes_from_the_variable_or_the_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "sixteen bytes or more\n").unwrap();
        let expected = Some("sixteen bytes or more".to_owned());
        assert_eq!(read(Some(file.path()), &BTreeMap::new()).unwrap(), expected);
        assert_eq!(read(None, &variable("sixteen bytes or more")).unwrap(), expected);
        assert_eq!(read(None, &variable("")).unwrap(), None);
        let error = read(Some(file.path()), &variable("sixteen bytes or more")).unwrap_err().to_string();
        assert!(error.contains("keep one") && !error.contains("sixteen"), "{error}");
    }

    #[test]
    fn a_short_secret_and_a_missing_file_are_refused_by_name() {
        let error = read(None, &variable("guess me")).unwrap_err().to_string();
        assert!(error.contains(VARIABLE) && !error.contains("guess"), "{error}");
        let error = read(Some(Path::new("/nowhere/secret")), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/secret"), "{error}");
    }
}
