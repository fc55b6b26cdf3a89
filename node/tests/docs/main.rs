//! The README and everything below `docs` say nothing that is not so: every block is accounted for, and what a reader
//! is told to type is typed. `docs/TESTING.md` says how blocks are written.
#![cfg(not(madsim))]

mod commands;
mod expected;
mod follow;
mod markdown;
mod rules;
mod sandbox;
mod terminal;

use follow::{Fault, Follower};
use markdown::Document;
use rules::Rule;
use sandbox::{DONE_ELSEWHERE, NODE_MODULES, Network, PYTHON, Sandbox};
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};
use terminal::{PATIENCE, Terminal};
use tokio::time::Instant;

/// Programs that documents use and that not every machine has.
const TOOLS: &[&str] = &["curl", "openssl", "perl", "redis-benchmark", "redis-cli", "redis-server"];
/// Set to 1, what cannot be followed is a failure.
const REQUIRED: &str = "SHOAL_REQUIRE_SNIPPETS";
/// The only document to follow.
const ONE: &str = "SHOAL_SNIPPETS_OF";
/// Interpreters that documents use, and what has to be there for the libraries that their programs use.
const INTERPRETERS: &[(&str, &str)] = &[("python", PYTHON), ("node", NODE_MODULES)];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

#[test]
fn links_lead_somewhere() {
    let workspace = workspace();
    let documents = Document::all(&workspace);
    assert!(documents.iter().any(|document| !document.links.is_empty()));
    let broken = rules::broken_links(&documents, &workspace);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_block_of_every_document_is_accounted_for() {
    let workspace = workspace();
    let documents = Document::all(&workspace);
    let faults: Vec<String> =
        documents.iter().flat_map(|document| rules::faults(document, &workspace)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    let mut kinds: BTreeMap<Rule, usize> = BTreeMap::new();
    for block in documents.iter().flat_map(|document| &document.blocks) {
        *kinds.entry(rules::rule(block).unwrap()).or_default() += 1;
    }
    eprintln!("{} documents: {kinds:?}", documents.len());
    assert!(kinds.contains_key(&Rule::Script) && kinds.contains_key(&Rule::Session), "{kinds:?}");
}

#[tokio::test]
async fn documents_do_what_they_say() {
    let workspace = workspace();
    let documents: Vec<Document> = Document::all(&workspace).into_iter().filter(is_followed).collect();
    assert!(!documents.is_empty(), "there is no document to follow");
    let mut faults = Vec::new();
    for document in &documents {
        match prepare(document).await {
            Ok(network) => {
                let (sandbox, began) = (Sandbox::new(&workspace), Instant::now());
                let outcome = Follower::new(document, &sandbox, &network, PATIENCE).follow().await;
                faults.extend(outcome.err().map(|Fault(text)| text));
                eprintln!("{}: followed in {:.1?}", document.name, began.elapsed());
                for command in sandbox.done_elsewhere() {
                    eprintln!("  left to others: {command}");
                }
            }
            Err(obstacle) => {
                eprintln!("SKIPPED: {}: {obstacle}; {REQUIRED}=1 makes this a failure", document.name);
                if env::var(REQUIRED).is_ok_and(|value| value == "1") {
                    faults.push(format!("{}: {obstacle}", document.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n\n"));
}

/// Whether there is something to type, and nobody asked for another document alone.
fn is_followed(document: &Document) -> bool {
    if env::var(ONE).is_ok_and(|name| name != document.name) {
        return false;
    }
    let read_only = [Rule::Json, Rule::Rust, Rule::Prose];
    document.blocks.iter().any(|block| rules::rule(block).is_ok_and(|rule| !read_only.contains(&rule)))
}

/// The network to follow a document in, or what is missing here.
async fn prepare(document: &Document) -> Result<Network, String> {
    let used = |tool: &&&str| document.blocks.iter().any(|block| block.text.contains(**tool));
    let missing = |tool: &&&str| Command::new(tool).arg("--version").output().is_err();
    let missing: Vec<&str> = TOOLS.iter().filter(used).filter(missing).copied().collect();
    if !missing.is_empty() {
        return Err(format!("not installed: {}", missing.join(", ")));
    }
    let runs = |name| document.blocks.iter().any(|block| rules::rule(block) == Ok(Rule::Program(name)));
    let absent = |(name, path): &&(&'static str, &str)| runs(*name) && !workspace().join(path).exists();
    if let Some((name, path)) = INTERPRETERS.iter().find(absent) {
        return Err(format!(
            "no libraries for {name} in {path}: node/tests/clients/install.sh puts them there"
        ));
    }
    Network::find()
        .await
        .ok_or_else(|| "no network namespace may be made and the default ports are in use".into())
}

#[tokio::test]
async fn the_tests_of_ci_are_those_of_the_readme() {
    let Some(network) = Network::find().await else {
        return eprintln!("SKIPPED: no network to run a terminal in");
    };
    let sandbox = Sandbox::new(&workspace());
    let ci = workspace().join(".ci/run");
    // Its own function, with a cargo that only notes what it is asked.
    let run = format!(
        "( set -euo pipefail; OUT=$HOME/ci; mkdir $OUT; eval \"$(sed -n '/^fail() {{/,/^}}/p;/^tests() {{/,/^}}/p' {})\"; tests )",
        ci.display()
    );
    let ran = Terminal::open(&sandbox, &network, PATIENCE).run(&run).await;
    assert_eq!(ran.status, Ok(0), "{}", ran.printed);
    assert_eq!(sandbox.done_elsewhere(), ["cargo test --workspace"], "{}", ran.printed);
    let steps = std::fs::read_to_string(ci).unwrap();
    assert!(steps.lines().any(|line| line.starts_with("step ") && line.ends_with(" tests")));
    assert!(DONE_ELSEWHERE.iter().any(|(command, _)| *command == "test --workspace"));
}

mod planted {
    //! The checker itself must find what is planted.

    use super::*;
    use std::time::Duration;

    /// Follows a document and returns what is found.
    async fn fault(text: &str, patience: Duration) -> Option<String> {
        let network = Network::find().await?;
        let document = Document::read("planted.md", text);
        let workspace = workspace();
        let sandbox = Sandbox::new(&workspace);
        let found = rules::faults(&document, &workspace).into_iter().next();
        let outcome = Follower::new(&document, &sandbox, &network, patience).follow().await;
        Some(found.or(outcome.err().map(|Fault(text)| text)).unwrap_or_default())
    }

    async fn check(text: &str, expected: &str) {
        check_within(PATIENCE, text, expected).await;
    }

    async fn check_within(patience: Duration, text: &str, expected: &str) {
        match fault(text, patience).await {
            Some(found) if expected.is_empty() => assert_eq!(found, "", "{text}"),
            Some(found) => assert!(found.contains(expected), "{text}\n{expected:?} is not in {found:?}"),
            None => eprintln!("SKIPPED: no network to run a terminal in"),
        }
    }

    #[tokio::test]
    async fn a_block_that_nothing_checks_is_found() {
        check("```cobol\nADD 1\n```\n", "planted.md:2: nothing checks blocks of the kind 'cobol'").await;
        check("```\nx\n```\n", "planted.md:2: a block says what it is").await;
        check("a\n\n    indented\n", "planted.md:3: a block says what it is").await;
        check("<!-- skip: x -->\n```sh\nfalse\n```\n", "'skip' before a block means nothing").await;
        check("```json\n{\"a\": }\n```\n", "planted.md:2: expected value").await;
        check("```rust\nfn f() {}\n```\n", "planted.md:2: Rust is tested where a crate includes").await;
        check("```console\noutput\n```\n", "planted.md:2: a session begins with a command").await;
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let broken = |text| rules::broken_links(&[Document::read("README.md", text)], &workspace());
        assert_eq!(broken("# A b\n\n[a](docs/) [b](#a-b) [b](README.md#a-b) [c](https://d.e)"), [""; 0]);
        assert_eq!(broken("\n[a](NONE.md)"), ["README.md:2: NONE.md leads nowhere"]);
        assert_eq!(broken("[b](#a-b)"), ["README.md:1: #a-b leads nowhere"]);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_found_with_its_line_and_what_it_printed() {
        check("```sh\ntrue\nls /nowhere\n```\n", "planted.md:3: it exits with 2\n$ ls /nowhere\n    ls: ")
            .await;
        check("```sh\nexit 0\n```\n", "planted.md:2: it ended the shell").await;
        check("```sh\ncargo publish\n```\n", "cargo publish: not a command that snippets may use").await;
        check("```toml\nbootstrap = true\nreplicas = 0\n```\n", "invalid value '0' for replicas").await;
    }

    #[tokio::test]
    async fn a_program_that_fails_is_found() {
        for (kind, name, text) in [("python", "python", "assert 1 == 2"), ("js", "node", "throw 1")] {
            let installed = INTERPRETERS.iter().find(|(interpreter, _)| *interpreter == name).unwrap().1;
            if !workspace().join(installed).exists() {
                eprintln!("SKIPPED: {installed} is not there");
                continue;
            }
            check(&format!("```{kind}\n{text}\n```\n"), "planted.md:2: it exits with 1").await;
            check(&format!("```{kind}\n```\n"), "").await;
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_found() {
        let soon = Duration::from_millis(500);
        check_within(soon, "```sh\nsleep 600\n```\n", "planted.md:2: it had not ended after 500ms").await;
        let alone = "target/release/shoal serve --seed 127.0.0.1:7382,127.0.0.1:7482";
        let expected = "planted.md:2: it was not ready after 500ms";
        check_within(soon, &format!("```sh\n{alone}\n```\n"), expected).await;
        let nothing = "target/release/shoal serve";
        let expected = "planted.md:2: it ended before it was ready";
        check(&format!("```sh\n{nothing}\n```\n"), expected).await;
    }

    #[tokio::test]
    async fn other_output_than_shown_is_found() {
        let expected = "planted.md:2: the document shows\n    2\n$ echo 1\n    1";
        check("```console\n$ echo 1\n2\n```\n", expected).await;
        check("```console\n$ echo 1\n```\n", "planted.md:2: the document shows").await;
        check("```console\n$ echo error: no\nerror: no\n```\n", "shows an error, and it succeeds").await;
    }

    #[tokio::test]
    async fn what_holds_is_not_found() {
        let text = "```sh\nA=1\nsleep 600 &\ncargo test --workspace\n```\n\n<!-- varies: 7 -->\n```console\n$ echo $A 8\n1 7\n```\n";
        check(text, "").await;
        check("```console\n$ (echo error: no; exit 3)\nerror: no\n```\n", "").await;
        check("```toml\nbootstrap = true\n```\n\n```json\n1 [2]\n```\n", "").await;
    }
}
