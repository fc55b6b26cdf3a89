//! Shapes of code that the compiler and clippy do not know.

use crate::source::{tokens, without_tests};

/// Where a build for the simulator may differ from a real one.
const SIMULATED: &[&str] = &[
    "membership/src/gossip/runtime.rs",
    "membership/src/gossip/tests/",
    "node/src/frontend/mod.rs",
    "node/src/fuzzing.rs",
    "node/src/listen.rs",
    "node/tests/",
    "proto/src/lib.rs",
    "sim/",
];
/// Where a build with deliberate bugs may differ from a sound one.
const MUTANTS: &[&str] = &["client/src/mutant.rs", "node/src/mutant.rs"];
/// Tests that another test runs, in a process of its own.
const RUN_BY_ANOTHER: &[&str] = &["membership/src/gossip/tests/simulated.rs"];

/// What is wrong with a source.
pub(crate) fn faults(file: &str, text: &str) -> Vec<String> {
    let everything = tokens(text);
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push(format!("{file}: {what}"));
    for (at, token) in everything.iter().enumerate() {
        let after = &everything[at + 1..];
        match *token {
            "select" if after.starts_with(&["!"]) && after.get(2) != Some(&"biased") => {
                fault("select! without `biased;` draws its order from a generator nobody seeded");
            }
            "ignore" if everything[..at].ends_with(&["#", "["]) && !starts(file, RUN_BY_ANOTHER) => {
                fault("an ignored test proves nothing");
            }
            "cfg" | "cfg_attr" if after.starts_with(&["("]) || after.starts_with(&["!"]) => {
                let condition = after.iter().take_while(|token| !matches!(**token, "]" | ";" | "{"));
                for name in condition {
                    if *name == "madsim" && !starts(file, SIMULATED) {
                        fault("only sockets and gossip's runtime may tell a simulated build from a real one");
                    }
                    if *name == "shoal_mutants" && !MUTANTS.contains(&file) {
                        fault("only the switches may tell a build with deliberate bugs from a sound one");
                    }
                }
            }
            _ => {}
        }
    }
    let product = file.contains("/src/")
        && !file.starts_with("sim/")
        && !file.contains("test")
        && !file.contains("fuzz");
    if product && without_tests(everything).windows(3).any(|window| window == [".", "unwrap", "("]) {
        fault("unwrap: say with expect why it cannot fail, or return the error");
    }
    faults
}

fn starts(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place))
}

#[test]
fn planted_shapes_are_found() {
    for (text, what) in [
        ("tokio::select! { () = a => {} }", "biased"),
        ("select! {\n // biased;\n () = a => {} }", "biased"),
        ("#[test]\n#[ignore = \"slow\"]\nfn f() {}", "ignored"),
        ("#[cfg(all(unix, not(madsim)))] fn f() {}", "simulated"),
        ("fn f() -> bool { cfg!(madsim) }", "simulated"),
        ("#[cfg(shoal_mutants)] fn f() {}", "deliberate"),
        ("fn f() { g().unwrap(); }", "unwrap"),
    ] {
        let found = faults("node/src/replica/link.rs", text);
        assert!(found.len() == 1 && found[0].contains(what), "{text}: {found:?}");
    }
}

#[test]
fn sound_shapes_are_not_found() {
    for text in [
        "tokio::select! { biased; () = a => {} }",
        "// select! { #[ignore] cfg(madsim)",
        "fn f() { g().unwrap_or_default(); }",
        "#[cfg(test)] mod tests { fn f() { g().unwrap(); } }",
        "#[cfg(not(windows))] fn f() { madsim(); }",
    ] {
        assert_eq!(faults("node/src/replica/link.rs", text), Vec::<String>::new(), "{text}");
    }
}
