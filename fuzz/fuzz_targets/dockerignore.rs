//! `.dockerignore`: nothing panics, and a last line that keeps or leaves out everything decides.
#![no_main]

use builder::IgnorePatterns;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (patterns, path) = input;
    let Ok(parsed) = IgnorePatterns::parse(patterns.as_bytes()) else { return };
    let _ = parsed.excludes(path);
    for (last, excluded) in [("**", true), ("!**", false)] {
        let Ok(all) = IgnorePatterns::parse(format!("{patterns}\n{last}\n").as_bytes()) else { continue };
        assert!(all.excludes(path) == excluded || all.is_exhausted());
    }
});
