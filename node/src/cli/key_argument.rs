//! Keys as the command line gives them and as answers show them.

use super::output;
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use shoal_proto::types::Key;
use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

/// One key.
#[derive(Debug, Args)]
pub(crate) struct KeyArgument {
    /// The key, any bytes: the shell gives odd ones as $'\xff'
    key: OsString,
    #[command(flatten)]
    spelling: Spelling,
}

/// How keys are given.
#[derive(Debug, Args)]
pub(crate) struct Spelling {
    /// The key is given in hexadecimal digits
    #[arg(long)]
    hex: bool,
}

impl KeyArgument {
    /// The key meant.
    ///
    /// # Errors
    /// When it is too long or no hexadecimal number where one was promised.
    pub(crate) fn key(&self) -> anyhow::Result<Key> {
        self.spelling.read(&self.key)
    }
}

impl Spelling {
    /// The key that `text` spells.
    ///
    /// # Errors
    /// As [`KeyArgument::key`].
    pub(crate) fn read(&self, text: &OsStr) -> anyhow::Result<Key> {
        let bytes = text.as_bytes();
        let bytes = if self.hex {
            hex::decode(bytes).with_context(|| format!("{} is not hexadecimal", text.display()))?
        } else {
            bytes.to_vec()
        };
        Ok(Key::new(bytes)?)
    }
}

/// A key in an answer.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Named<'a> {
    /// As text.
    Key(&'a str),
    /// A key that is not UTF-8.
    KeyBytes(&'a [u8]),
}

impl Named<'_> {
    /// The key for people.
    pub(crate) fn printable(&self) -> Cow<'_, str> {
        match self {
            Self::Key(text) => output::printable(text.as_bytes()),
            Self::KeyBytes(bytes) => output::printable(bytes),
        }
    }
}

impl<'a> From<&'a Key> for Named<'a> {
    fn from(key: &'a Key) -> Self {
        str::from_utf8(key.as_bytes()).map_or_else(|_| Self::KeyBytes(key.as_bytes()), Self::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_any_bytes_or_their_hexadecimal_digits() {
        let read = |hex, text: &[u8]| Spelling { hex }.read(OsStr::from_bytes(text));
        assert_eq!(read(false, b"\xff\x00k").unwrap().as_bytes(), b"\xff\x00k");
        assert_eq!(read(true, b"fF006b").unwrap().as_bytes(), b"\xff\x00k");
        assert_eq!(read(true, b"").unwrap().as_bytes(), b"");
        for bad in ["6", "6g", "0x6b"] {
            let error = read(true, bad.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), format!("{bad} is not hexadecimal"));
        }
    }

    #[test]
    fn keys_that_are_not_text_are_bytes_in_json() {
        let show =
            |bytes: &'static [u8]| serde_json::to_string(&Named::from(&Key::new(bytes).unwrap())).unwrap();
        assert_eq!(show(b"k"), r#"{"key":"k"}"#);
        assert_eq!(show(b"\xff"), r#"{"key_bytes":[255]}"#);
    }
}
