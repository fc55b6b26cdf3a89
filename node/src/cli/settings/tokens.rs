//! The file of named tokens: a line each.
//!
//! ```text
//! # name    scope  secret, or its SHA-256 in hexadecimal digits
//! app       write  cHl0aG9uIGlzIG5pY2U
//! grafana   read   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```

use super::{
    fault::SettingsError,
    secret::{check_length, read_file},
    text::FromText as _,
    units::Name,
};
use shoal_node::auth::{Credential, Credentials, Digest, Scope};
use std::path::Path;

/// What stands before a digest that is given in place of a secret.
const HASHED: &str = "sha256:";
/// Every proof is compared with all of them.
const MAX_TOKENS: usize = 1_000;

/// Everything that clients may prove: the password, if there is one, and the tokens of the file.
///
/// # Errors
/// When the file cannot be read or has a line that is no token. The text never holds a secret.
pub(crate) fn read(password: Option<Credential>, file: Option<&Path>) -> Result<Credentials, SettingsError> {
    let mut all: Vec<Credential> = password.into_iter().collect();
    let Some(path) = file else { return Ok(Credentials::new(all)?) };
    let text = read_file(path)?;
    let lines = text.lines().map(str::trim).enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let fault = |why| SettingsError::Token { path: path.display().to_string(), line: index + 1, why };
        all.push(token(line).map_err(fault)?);
        if all.len() > MAX_TOKENS {
            return Err(fault(format!("more than {MAX_TOKENS} tokens")));
        }
        // Checked line by line, so that the line that repeats another is known.
        Credentials::new(all.clone()).map_err(|duplicate| fault(duplicate.to_string()))?;
    }
    Ok(Credentials::new(all)?)
}

fn token(line: &str) -> Result<Credential, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(scope), Some(secret), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("expected a name, a scope and a secret".into());
    };
    Name::from_text(name).map_err(|why| format!("name: {why}"))?;
    let scope: Scope = scope.parse().map_err(|why| format!("scope of '{name}': {why}"))?;
    let digest = digest(secret).map_err(|why| format!("secret of '{name}': {why}"))?;
    Ok(Credential::new(name, scope, digest))
}

fn digest(secret: &str) -> Result<Digest, String> {
    if let Some(digits) = secret.strip_prefix(HASHED) {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| format!("expected 64 hexadecimal digits after {HASHED}"))?;
        return Ok(Digest::from_bytes(bytes));
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("expected ASCII, which every protocol can carry".into());
    }
    check_length(secret.len())?;
    Ok(Digest::of(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn tokens(password: Option<&str>, text: &str) -> Result<Vec<String>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let default = |secret: &str| Credential::new("default", Scope::Write, Digest::of(secret.as_bytes()));
        match read(password.map(default), Some(file.path())) {
            Ok(all) => Ok(all.iter().map(|token| format!("{} {}", token.name(), token.scope())).collect()),
            Err(error) => {
                let error = error.to_string();
                let place = format!("tokens file {}, line ", file.path().display());
                Err(error.strip_prefix(&place).unwrap_or_else(|| panic!("{error}")).to_owned())
            }
        }
    }

    #[test]
    fn a_line_is_a_token_a_comment_or_nothing() {
        let digits = "0".repeat(64);
        let text = format!("# tokens\n\n app write sixteen-bytes-or-more\r\nprobe\tread  sha256:{digits}\n");
        assert_eq!(tokens(None, &text), Ok(vec!["app write".into(), "probe read".into()]));
        assert_eq!(tokens(Some("a"), "# none"), Ok(vec!["default write".into()]));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_never_shows_a_secret() {
        let digits = "0".repeat(63);
        for (text, expected) in [
            ("app write", "1: expected a name, a scope and a secret"),
            ("\napp write hidden-but-too-many words", "2: expected a name, a scope and a secret"),
            ("app admin hidden-and-long-enough", "1: scope of 'app': expected read or write"),
            ("app read hidden", "1: secret of 'app': holds 6 bytes, 16 to 4096 are allowed"),
            (
                "app read hidden-näh-long-enough",
                "1: secret of 'app': expected ASCII, which every protocol can carry",
            ),
            (
                &format!("app read sha256:{digits}"),
                "1: secret of 'app': expected 64 hexadecimal digits after sha256:",
            ),
            (
                "a,b read hidden-and-long-enough",
                "1: name: expected 1 to 64 letters, digits or any of .:-_[]@",
            ),
            ("a read hidden-and-long-enough\na read hidden-and-long-enough2", "2: 'a' is named twice"),
            (
                "a read hidden-and-long-enough\nb read hidden-and-long-enough",
                "2: 'b' has the secret of another",
            ),
            ("default read hidden-and-long-enough", "1: 'default' is named twice"),
        ] {
            assert_eq!(tokens(Some("password"), text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_secret_may_be_given_by_its_digest() {
        // Of "abc", from the standard: https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values.
        let hashed = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(hashed), Ok(Digest::of(b"abc")));
    }

    #[test]
    fn there_is_a_bound() {
        let line = |n| format!("t{n} read a-secret-that-is-long-enough-{n}\n");
        let text: String = (0..=MAX_TOKENS).map(line).collect();
        assert_eq!(tokens(None, &text), Err("1001: more than 1000 tokens".into()));
    }
}
