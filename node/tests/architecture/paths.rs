//! Reads paths off tokens: imports, and every other path of two and more names.

use crate::source::is_name;
use std::collections::BTreeSet;

/// The absolute paths that the tokens of `module` name. `modules` are all there are.
pub(crate) fn named(tokens: &[&str], module: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let mut reader = Reader { tokens, modules, place: vec![(0, module.to_owned())], found: BTreeSet::new() };
    reader.read();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    modules: &'a BTreeSet<String>,
    /// Modules that are open, each with the depth of braces outside it.
    place: Vec<(usize, String)>,
    found: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.next() {
            match token {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if self.place.len() > 1 && self.place.last().is_some_and(|(outside, _)| *outside == depth)
                    {
                        self.place.pop();
                    }
                }
                "mod" if self.tokens.get(1) == Some(&"{") => {
                    let inner = format!("{}::{}", self.here(), self.tokens[0]);
                    self.place.push((depth, inner));
                }
                "use" if self.tokens.first() != Some(&"<") => self.import(&mut Vec::new()),
                name if is_name(name) => {
                    let mut path = vec![name];
                    while self.tokens.first() == Some(&"::") && self.tokens.get(1).is_some_and(|t| is_name(t))
                    {
                        path.push(self.tokens[1]);
                        self.tokens = &self.tokens[2..];
                    }
                    if path.len() > 1 {
                        self.add(&path);
                    }
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn here(&self) -> &str {
        self.place.last().map_or("", |(_, module)| module)
    }

    /// One tree of an import, after `prefix`; stops before the comma, brace or semicolon that ends it.
    fn import(&mut self, prefix: &mut Vec<&'a str>) {
        let outer = prefix.len();
        while let Some(token) =
            self.tokens.first().copied().filter(|token| !matches!(*token, "," | "}" | ";" | "as"))
        {
            self.tokens = &self.tokens[1..];
            match token {
                "{" => {
                    while self.tokens.first().is_some_and(|token| !matches!(*token, "}" | ";")) {
                        self.import(prefix);
                        if self.tokens.first() == Some(&",") {
                            self.tokens = &self.tokens[1..];
                        }
                    }
                    self.next();
                    return prefix.truncate(outer);
                }
                name if is_name(name) || name == "*" => prefix.push(name),
                _ => {}
            }
        }
        if self.tokens.first() == Some(&"as") {
            self.tokens = self.tokens.get(2..).unwrap_or_default();
        }
        if prefix.len() > outer {
            self.add(prefix);
        }
        prefix.truncate(outer);
    }

    fn add(&mut self, path: &[&str]) {
        let here = self.here();
        let child = format!("{here}::{}", path[0]);
        let mut absolute: Vec<&str> = match path[0] {
            "crate" => here.split("::").take(1).collect(),
            "self" | "super" => here.split("::").collect(),
            _ if self.modules.contains(&child) => here.split("::").collect(),
            _ => Vec::new(),
        };
        for name in path {
            match *name {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                name => absolute.push(name),
            }
        }
        self.found.insert(absolute.join("::"));
    }
}
