//! Sources of the workspace, and what each names.

use crate::paths;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// One source without its tests.
pub(crate) struct Source {
    /// Where it is, from the workspace.
    pub file: String,
    /// Its module, beginning with its crate.
    pub module: String,
    /// The absolute paths it names.
    pub paths: BTreeSet<String>,
}

/// Every source that is built into a product.
pub(crate) fn all() -> Vec<Source> {
    let files = files();
    let modules: BTreeSet<String> = files.iter().filter_map(|(file, _)| module_of(file)).collect();
    files.iter().filter_map(|(file, text)| Source::read(file, text, &modules)).collect()
}

/// Every source of the workspace with its text, tests and benchmarks included.
pub(crate) fn files() -> Vec<(String, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for package in ["proto", "membership", "client", "node", "sim", "benches"] {
        collect(&workspace.join(package), &mut files);
    }
    files.sort();
    let with_text = |file: PathBuf| {
        let name = file.strip_prefix(workspace).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(file).unwrap())
    };
    files.into_iter().map(with_text).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    /// Reads one; `None` for what is only a test. `modules` are all there are, for paths that begin with a child's name.
    pub(crate) fn read(file: &str, text: &str, modules: &BTreeSet<String>) -> Option<Self> {
        let module = module_of(file)?;
        let paths = paths::named(&without_tests(tokens(text)), &module, modules);
        Some(Self { file: file.to_owned(), module, paths })
    }

    /// Whether it names `what`, something in it, or all of what it lies in.
    pub(crate) fn names(&self, what: &str) -> bool {
        self.paths.iter().any(|path| {
            let whole = path.strip_suffix("::*").unwrap_or(path);
            super::within(path, what) || super::within(what, whole)
        })
    }
}

/// The module in a file; `None` when it is only compiled for tests and fuzzing.
fn module_of(file: &str) -> Option<String> {
    let (package, inner) = file.split_once("/src/")?;
    // A package inside of a crate of the workspace tests that crate.
    if package.contains('/') {
        return None;
    }
    let names: Vec<&str> = inner.strip_suffix(".rs")?.split('/').collect();
    if names.iter().any(|name| matches!(*name, "fuzzing" | "tests" | "testing" | "test_support")) {
        return None;
    }
    let mut module = match (package, names[0]) {
        ("node", "main" | "cli") => "shoal".to_owned(),
        _ => format!("shoal_{package}"),
    };
    for name in names.iter().filter(|name| !matches!(**name, "lib" | "main" | "mod")) {
        module = format!("{module}::{name}");
    }
    Some(module)
}

/// Names, `::`, and single characters of anything else; comments, strings, characters and lifetimes are left out.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, counts) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(length) = literal(rest) {
            (length, false)
        } else if is_name(rest) || first.is_numeric() {
            (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (token, after) = rest.split_at(length);
        tokens.extend(counts.then_some(token));
        rest = after;
    }
    tokens
}

/// Whether a token is a name or a keyword.
pub(crate) fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The length of the string, character or lifetime that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = text.len() - unprefixed.len();
    let bare = unprefixed.trim_start_matches('#');
    if text[..prefix].contains('r') && bare.starts_with('"') {
        let close = format!("\"{}", "#".repeat(unprefixed.len() - bare.len()));
        let opened = text.len() - bare.len() + 1;
        return Some(text[opened..].find(&close).map_or(text.len(), |at| opened + at + close.len()));
    }
    if prefix == 0
        && let Some(after) = text.strip_prefix('\'')
    {
        let name = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        if name > 0 && !after[name..].starts_with('\'') {
            return Some(1 + name);
        }
    }
    let quote = unprefixed.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, character) in unprefixed.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(prefix + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Drops every item under `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: Vec<&str>) -> Vec<&str> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some((first, others)) = rest.split_first() {
        rest = if rest.starts_with(&MARK) {
            &rest[item_length(rest)..]
        } else {
            kept.push(*first);
            others
        };
    }
    kept
}

/// How many tokens the first item takes: up to its semicolon or the end of its block.
fn item_length(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => depth += 1,
            "}" if depth <= 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}
