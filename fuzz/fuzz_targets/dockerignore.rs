//! `.dockerignore`: nothing panics, and a last line that keeps or leaves out everything decides.
#![no_main]

use berth_builder::IgnorePatterns;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (patterns, path) = input;
    let Ok(parsed) = IgnorePatterns::parse(patterns.as_bytes()) else { return };
    let _ = parsed.excludes(path);
    for (last, excluded) in [("**", true), ("!**", false)] {
        let all = IgnorePatterns::parse(format!("{patterns}\n{last}\n").as_bytes()).expect("one more line");
        assert_eq!(all.excludes(path), excluded);
    }
});
