//! What settings must never do, whatever they are.

use super::{Flags, Layers, SETTINGS, Setup};
use std::{collections::BTreeMap, io::Write as _};

/// Settings are understood or refused: up to a first zero byte lines of a file, up to a second one lines `NAME=value` of the
/// environment, then lines `name=value` of flags.
///
/// # Panics
/// When a refusal says nothing.
pub(crate) fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\0');
    let config = parts.next().filter(|text| !text.is_empty()).map(file);
    let environment: BTreeMap<String, String> =
        pairs(parts.next()).map(|(name, value)| (name.into(), value.into())).collect();
    let values = pairs(parts.next()).filter_map(|(name, value)| {
        let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
        Some((setting.name, value.to_owned()))
    });
    let flags =
        Flags { config: config.as_ref().map(|file| file.path().to_owned()), values: values.collect() };
    let layers = match Layers::read(&flags, &environment) {
        Ok(layers) => layers,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    // Nothing is opened that only an operator can name.
    let names_file = |name: &str| name.ends_with("_file") && !layers.value(name).is_empty();
    if SETTINGS.iter().any(|setting| names_file(setting.name)) {
        return;
    }
    if let Err(error) = Setup::new(&layers, &environment) {
        assert!(!error.to_string().is_empty());
    }
}

fn pairs(lines: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    lines.unwrap_or_default().lines().filter_map(|line| line.split_once('='))
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    file.write_all(text.as_bytes()).expect("and written");
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn what_was_kept_for_settings_does_no_harm() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/settings");
        let files: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3, "only {} inputs are kept", files.len());
        for file in files {
            settings(&fs::read(&file).unwrap());
        }
    }
}
