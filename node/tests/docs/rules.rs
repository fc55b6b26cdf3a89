//! What accounts for a block of each kind.

use crate::markdown::{Block, Document};
use std::{fs, path::Path};

/// Kinds that are for reading only.
const PROSE: &[&str] = &["dockerfile", "ini", "text", "yaml"];
/// Comments before a block that mean something.
const NOTES: &[&str] = &["machines", "varies"];

/// How a block is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Commands, each of which succeeds.
    Script,
    /// Commands, each of which prints what is shown.
    Session,
    /// A program, run by this interpreter, that succeeds.
    Program(&'static str),
    /// A settings file, which a node would take.
    Settings,
    /// Values that parse.
    Json,
    /// Part of a document that a crate has among its own, so that it is tested with that crate.
    Rust,
    /// Nothing to check.
    Prose,
}

/// The rule for a block.
///
/// # Errors
/// When there is none.
pub(crate) fn rule(block: &Block) -> Result<Rule, String> {
    if let Some(note) = block.notes.iter().find(|note| !NOTES.contains(&note.name.as_str())) {
        return Err(format!("'{}' before a block means nothing; these do: {}", note.name, NOTES.join(", ")));
    }
    match block.kind.as_str() {
        "sh" | "bash" => Ok(Rule::Script),
        "console" => Ok(Rule::Session),
        "python" => Ok(Rule::Program("python")),
        "js" => Ok(Rule::Program("node")),
        "toml" => Ok(Rule::Settings),
        "json" => Ok(Rule::Json),
        "rust" => Ok(Rule::Rust),
        kind if PROSE.contains(&kind) => Ok(Rule::Prose),
        "" => Err("a block says what it is: sh, console, python, js, toml, json, rust or text".into()),
        kind => Err(format!("nothing checks blocks of the kind '{kind}'")),
    }
}

/// What is wrong with a document that can be told without following it.
pub(crate) fn faults(document: &Document, workspace: &Path) -> Vec<String> {
    let fault = |block: &Block| {
        let why = match rule(block) {
            Err(why) => Some(why),
            Ok(Rule::Json) => parse_json(&block.text).err().map(|error| error.to_string()),
            Ok(Rule::Rust) if !is_tested(&workspace.join(&document.name), workspace) => {
                Some("Rust is tested where a crate includes the document: #[doc = include_str!(...)]".into())
            }
            Ok(_) => None,
        };
        why.map(|why| format!("{}:{}: {why}", document.name, block.line))
    };
    document.blocks.iter().filter_map(fault).collect()
}

/// Links that lead nowhere: to no file, or to no heading of a document.
pub(crate) fn broken_links(documents: &[Document], workspace: &Path) -> Vec<String> {
    let leads_nowhere = |from: &Document, link: &str| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let path = match file {
            "" => workspace.join(&from.name),
            file => workspace.join(&from.name).parent().unwrap().join(file),
        };
        let Ok(path) = fs::canonicalize(path) else { return true };
        let has = |to: &Document| {
            workspace.join(&to.name) == path && to.anchors.iter().any(|anchor| anchor == heading)
        };
        !heading.is_empty() && !documents.iter().any(has)
    };
    let mut faults = Vec::new();
    for document in documents {
        let local = document.links.iter().filter(|(_, link)| !link.contains("://"));
        let broken = local.filter(|(_, link)| leads_nowhere(document, link));
        let tell = |(line, link): &(usize, String)| format!("{}:{line}: {link} leads nowhere", document.name);
        faults.extend(broken.map(tell));
    }
    faults
}

/// One value or several.
fn parse_json(text: &str) -> Result<(), serde_json::Error> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<serde_json::Value>()
        .try_for_each(|value| value.map(drop))
}

/// Whether a crate of the workspace has the document among its own documentation.
fn is_tested(document: &Path, workspace: &Path) -> bool {
    let sources = fs::read_dir(workspace).unwrap().map(|entry| entry.unwrap().path().join("src"));
    sources.filter(|folder| folder.is_dir()).any(|folder| includes(&folder, document))
}

fn includes(folder: &Path, document: &Path) -> bool {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().any(|path| {
        if path.is_dir() {
            return includes(&path, document);
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let included = text.split("doc = include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let here = |name: &str| fs::canonicalize(folder.join(name)).unwrap_or_default();
        included
            .into_iter()
            .any(|name| fs::canonicalize(document).is_ok_and(|document| here(name) == document))
    })
}
