//! The fenced blocks of a document.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use std::{fs, path::Path};

/// A document of the workspace.
pub(crate) struct Document {
    /// Where it is, from the workspace.
    pub(crate) name: String,
    /// Its blocks, from top to bottom.
    pub(crate) blocks: Vec<Block>,
    /// Where it points to, with the lines.
    pub(crate) links: Vec<(usize, String)>,
    /// The names that its headings can be pointed to by.
    pub(crate) anchors: Vec<String>,
}

/// A block of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its first line of text, from 1.
    pub(crate) line: usize,
    /// The word after the fence; empty for none and for a block that is merely indented.
    pub(crate) kind: String,
    /// What the comments right before it say.
    pub(crate) notes: Vec<Note>,
    /// What is in it.
    pub(crate) text: String,
}

/// `<!-- name: value, value -->`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

impl Document {
    /// Reads the README and everything below `docs`.
    pub(crate) fn all(workspace: &Path) -> Vec<Self> {
        let mut files = vec![workspace.join("README.md")];
        collect(&workspace.join("docs"), &mut files);
        files.sort();
        let read = |file: &Path| {
            let name = file.strip_prefix(workspace).unwrap().to_str().unwrap();
            Self::read(name, &fs::read_to_string(file).unwrap())
        };
        files.iter().map(|file| read(file)).collect()
    }

    pub(crate) fn read(name: &str, text: &str) -> Self {
        let mut document =
            Self { name: name.to_owned(), blocks: Vec::new(), links: Vec::new(), anchors: Vec::new() };
        let mut notes = Vec::new();
        let mut block: Option<Block> = None;
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Html(html) => notes.extend(note(&html)),
                Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
                Event::Start(Tag::CodeBlock(kind)) => {
                    let (kind, fence) = match &kind {
                        CodeBlockKind::Fenced(info) => (info.split_whitespace().next().unwrap_or(""), 1),
                        CodeBlockKind::Indented => ("", 0),
                    };
                    let line = fence + line_of(text, range.start);
                    let notes = std::mem::take(&mut notes);
                    block = Some(Block { line, kind: kind.to_owned(), notes, text: String::new() });
                }
                Event::Text(line) if block.is_some() => block.as_mut().unwrap().text.push_str(&line),
                Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
                event => {
                    notes.clear();
                    match event {
                        Event::Start(Tag::Link { dest_url, .. }) => {
                            document.links.push((line_of(text, range.start), dest_url.into_string()));
                        }
                        Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                        Event::End(TagEnd::Heading(_)) => document.anchors.extend(heading.take().map(anchor)),
                        Event::Text(words) | Event::Code(words) => {
                            heading.iter_mut().for_each(|heading| heading.push_str(&words));
                        }
                        _ => {}
                    }
                }
            }
        }
        document
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// As GitHub makes it of a heading.
fn anchor(heading: String) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn note(html: &str) -> Option<Note> {
    let comment = html.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let (name, values) = comment.split_once(':').unwrap_or((comment, ""));
    let values = values.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
    Some(Note { name: name.trim().to_owned(), values: values.collect() })
}

#[test]
fn links_and_headings_are_found() {
    let document = Document::read("x.md", "# How `much`, today?\n\nsee [a\nb](y.md#z) and <https://c.d>\n");
    assert_eq!(document.links, [(3, "y.md#z".into()), (4, "https://c.d".into())]);
    assert_eq!(document.anchors, ["how-much-today"]);
}

#[test]
fn blocks_are_found_with_their_lines_and_notes() {
    let text = "# Title\n\n<!-- varies: 59, 7 -->\n```console\n$ a\n59\n```\n\n<!-- far -->\n\nprose\n\n- item\n\n  ```sh\n  b\n  ```\n\nprose\n\n    indented\n";
    let note = Note { name: "varies".into(), values: vec!["59".into(), "7".into()] };
    let block =
        |line, kind: &str, notes, text: &str| Block { line, kind: kind.into(), notes, text: text.into() };
    assert_eq!(
        Document::read("x.md", text).blocks,
        [
            block(5, "console", vec![note], "$ a\n59\n"),
            block(16, "sh", vec![], "b\n"),
            block(21, "", vec![], "indented\n")
        ]
    );
}
