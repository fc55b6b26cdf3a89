#![no_main]

#[path = "../../src/cli/settings/mod.rs"]
#[allow(dead_code, unused_imports)]
mod settings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| settings::fuzzing::settings(data));
