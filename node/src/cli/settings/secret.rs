use super::fault::SettingsError;
use std::{collections::BTreeMap, fs, path::Path};

/// The variable that holds the secrets themselves.
pub(crate) const VARIABLE: &str = "SHOAL_SECRET";

/// Shorter secrets can be guessed from one overheard datagram.
const MIN_SECRET_BYTES: usize = 16;
/// A longer line is not a secret but a mistake.
const MAX_SECRET_BYTES: usize = 4096;
/// Two take part in a replacement, and every proof is tried with each.
const MAX_SECRETS: usize = 4;

/// Reads the cluster's secrets, one per line, from the one place they are kept in. Blanks around them and empty lines do
/// not count.
///
/// # Errors
/// When they are kept in two places, cannot be read, or one is too short or too long. The text never holds a secret.
pub(crate) fn read(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>, SettingsError> {
    let variable = environment.get(VARIABLE).filter(|text| !text.is_empty());
    let (text, place) = match (file, variable) {
        (None, None) => return Ok(Vec::new()),
        (Some(path), Some(_)) => {
            let text = format!("set both as {VARIABLE} and by secret_file {}; keep one", path.display());
            return Err(SettingsError::Secret(text));
        }
        (None, Some(text)) => (text.clone(), VARIABLE.to_owned()),
        (Some(path), None) => {
            let text = fs::read_to_string(path)
                .map_err(|error| SettingsError::Secret(format!("{}: {error}", path.display())))?;
            (text, path.display().to_string())
        }
    };
    let secrets: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if !(1..=MAX_SECRETS).contains(&secrets.len()) {
        let text = format!("{place} holds {} secrets, 1 to {MAX_SECRETS} are allowed", secrets.len());
        return Err(SettingsError::Secret(text));
    }
    for secret in &secrets {
        if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&secret.len()) {
            return Err(SettingsError::Secret(format!(
                "{place} holds one of {} bytes, {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are allowed",
                secret.len()
            )));
        }
    }
    Ok(secrets)
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
        let expected = ["sixteen bytes or more"];
        assert_eq!(read(Some(file.path()), &BTreeMap::new()).unwrap(), expected);
        assert_eq!(read(None, &variable("sixteen bytes or more")).unwrap(), expected);
        assert!(read(None, &variable("")).unwrap().is_empty());
        let error = read(Some(file.path()), &variable("sixteen bytes or more")).unwrap_err().to_string();
        assert!(error.contains("keep one") && !error.contains("sixteen"), "{error}");
    }

    #[test]
    fn a_secret_stands_on_each_line() {
        let secrets =
            read(None, &variable("\n the first, which proves \r\n\nthe second, accepted\n")).unwrap();
        assert_eq!(secrets, ["the first, which proves", "the second, accepted"]);
        for (text, complaint) in [
            (" \n", "holds 0 secrets, 1 to 4 are allowed"),
            ("a secret of some length\n".repeat(5).as_str(), "holds 5 secrets, 1 to 4 are allowed"),
            ("a secret of some length\nguess me\n", "holds one of 8 bytes, 16 to 4096 are allowed"),
        ] {
            let error = read(None, &variable(text)).unwrap_err().to_string();
            assert!(error.contains(complaint) && !error.contains("guess"), "{error}");
        }
    }

    #[test]
    fn a_short_secret_and_a_missing_file_are_refused_by_name() {
        let error = read(None, &variable("guess me")).unwrap_err().to_string();
        assert!(error.contains(VARIABLE) && !error.contains("guess"), "{error}");
        let error = read(Some(Path::new("/nowhere/secret")), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/secret"), "{error}");
    }
}
